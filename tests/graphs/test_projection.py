"""Products over all steps, and their gradients, against plain sums."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")


def test_values_and_gradients_are_those_of_the_plain_product():
    from mubinn.train.graphs.projection import project

    rng = np.random.default_rng(0)
    # Small integers: every sum is exact, whatever its order.
    x, w, b = (rng.integers(-9, 9, shape).astype(np.float32) for shape in ((5, 4, 3), (7, 3), (7,)))
    dz = rng.integers(-9, 9, (5, 4, 7)).astype(np.float32)
    z, back = jax.vjp(project, x, w, b)
    assert (z == np.einsum("tbi,ri->tbr", x, w) + b).all()
    dx, dw, db = back(dz)
    assert (dx == np.einsum("tbr,ri->tbi", dz, w)).all()
    assert (dw == np.einsum("tbr,tbi->ri", dz, x)).all()
    assert (db == dz.sum(axis=(0, 1))).all()
