"""Rows that read the first levels of h alone: files, integers, reference and fast inference."""

from dataclasses import replace

import numpy as np
import pytest
from read_signs import reading

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.bounds import dequantize
from mubinn.golden.model.model_file import load_model, save_model

CASES = {1: Levels(x=1, w=1, h=4, c=3, gate=4, b=2), 2: Levels(x=2, w=2, h=3, c=3, gate=2, b=2)}


@pytest.mark.parametrize("count", CASES)
def test_what_rows_read_is_the_first_levels_of_h(random_model, tmp_path, count):
    """z is W_x x + W_h read + b, in integers and in floats; files and kernels say the same."""
    model = reading(random_model(5, CASES[count], readout="last"), count)
    (layer,), x = model.layers, np.random.default_rng(1).normal(0, 1.5, (7, 6, 5))
    codes = model.encode_input(x)
    (trace,), scores, _ = bit_true.run(model, codes)
    h = trace["h"][:-1]
    met = np.asarray(2 * (h[..., None] >> np.arange(count) & 1) - 1) @ layer.read.scales
    wide = layer.z_fraction - np.array([layer.x.fraction, layer.read.fraction])
    of_x = layer.x.decode_signs(np.moveaxis(codes, 1, 0)[1:]) @ layer.wx.values.T
    of_h = met @ layer.wh.values.T
    want = (of_x << wide[0] - layer.wx.fraction) + (of_h << wide[1] - layer.wh.fraction)
    assert (trace["z"][1:] == want + layer.b.values).all()
    floats, quantizers = dequantize(model)
    states = layer.x, layer.h, layer.quantizers["c"]
    values = [
        np.ldexp(q.decode(code).astype(float), -q.fraction)
        for q, code in zip(states, (np.moveaxis(codes, 1, 0)[1:], h, trace["c"][:-1]), strict=True)
    ]
    z = reference.step(floats.layers[0], quantizers[0], *values)["z"]
    assert (z == np.ldexp(trace["z"][1:].astype(float), -layer.z_fraction)).all()
    save_model(tmp_path / "a.mubinn", model)
    assert (bit_true.run(load_model(tmp_path / "a.mubinn"), codes)[1] == scores).all()
    assert (CompiledModel(model, kernel="numpy").infer(x).scores == scores).all()


def test_what_rows_cannot_read_is_refused(random_model, random_gru):
    model = random_model(5, CASES[1])
    with pytest.raises(MubinnError, match="rows read 5 levels of the 4 of h: give no more than"):
        reading(model, 5)
    (layer,) = reading(model, 1).layers
    own = {**layer.quantizers, "h": replace(layer.h, scales=np.full(4, 9))}
    with pytest.raises(MubinnError, match="weighs no more than the later ones together"):
        replace(layer, quantizers=own)
    with pytest.raises(MubinnError, match="do not all read h: let them read all its levels"):
        reading(random_gru(3, reset="before", offsets=False), 1)
