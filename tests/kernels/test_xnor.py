"""The kernel for GPUs, in interpret mode: against plain NumPy."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from mubinn.train.kernels.xnor import pack, xnor_product  # noqa: E402


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 64, 70), (65, 300, 129)])
def test_products_of_signs(shape):
    rows, size, outputs = shape
    rng = np.random.default_rng(size)
    x, w = (rng.normal(0, 1, (n, size)).astype(np.float32) for n in (rows, outputs))
    x[:, ::3] = 0
    found = xnor_product(x, pack(w), outputs=outputs, interpret=True)
    assert found.dtype == np.int32
    expected = np.where(x >= 0, 1, -1) @ np.where(w >= 0, 1, -1).T
    assert (np.asarray(found) == expected).all()


def test_every_operation_has_a_form_for_gpus():
    x = np.zeros((10, 300), np.float32)
    traced = xnor_product.trace(x, pack(np.zeros((130, 300), np.float32)), outputs=130)
    assert "triton" in traced.lower(lowering_platforms=("cuda",)).as_text()
