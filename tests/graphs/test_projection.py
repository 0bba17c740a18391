"""Products over all steps against plain sums."""

import numpy as np
import pytest

pytest.importorskip("jax")


def test_values_and_gradients_are_those_of_plain_products():
    from mubinn.train.graphs.projection import side_by_side, weight_gradient, with_one

    rng = np.random.default_rng(0)
    # Small integers: every sum is exact, whatever its order.
    shapes = (5, 4, 3), (5, 4, 2), (7, 2), (7, 3), (7,), (5, 4, 7)
    x, h, wh, wx, b, dz = (rng.integers(-9, 9, shape).astype(np.float32) for shape in shapes)
    both = np.concatenate([h, with_one(x)], axis=2)
    w = np.asarray(side_by_side(wh, wx, b))
    want = np.einsum("tbi,ri->tbr", x, wx) + np.einsum("tbi,ri->tbr", h, wh) + b
    assert (both @ w.T == want).all()
    dw = np.asarray(weight_gradient(both, dz))
    assert (dw == np.einsum("tbr,tbi->ri", dz, both)).all()
