"""Within the limits, integers and float64 hold every intermediate exactly."""

from dataclasses import replace

import numpy as np
import pytest

from mubinn.golden.cells.constants import MAX_BITS
from mubinn.golden.cells.step import cell_step
from mubinn.golden.ground.errors import MubinnError


def test_exact_up_to_the_limit(random_model):
    layer = random_model(0, (2, 2), features=3, hidden=2).layers[0]
    wx = layer.wx
    # The largest power of two for the scales of wx: twice as much is refused.
    shift = MAX_BITS - layer.z_bound.bit_length()
    layer = replace(layer, wx=replace(wx, scales=wx.scales << (shift - 1)))
    assert layer.z_bound > 1 << (MAX_BITS - 4)
    with pytest.raises(MubinnError, match="z may need more than 52 bits"):
        replace(layer, wx=replace(wx, scales=wx.scales << (shift + 2)))
    x = np.random.default_rng(0).integers(0, 4, (50, 3))
    zero = np.zeros((50, 2), int)
    t = cell_step(layer, x, zero, zero)
    dots = t["dot_x"].astype(object), t["dot_h"].astype(object)
    gammas = (g.reshape(8, -1).astype(object) for g in (layer.gamma_x, layer.gamma_h))
    exact = sum((d * g).sum(axis=-1) for d, g in zip(dots, gammas, strict=True))
    assert (t["z"].astype(object) == exact + layer.b.values.astype(object)).all()
