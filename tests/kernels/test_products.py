"""Packed products against plain NumPy, by every instruction set that this machine has."""

import numpy as np
import pytest

from mubinn.golden.binarize.mlb import mlb
from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import to_fixed, to_float
from mubinn.golden.kernels import LevelProduct, XnorProduct, instruction_sets, native, products

SIZES = (1, 8, 63, 64, 65, 255, 300, 4096)


@pytest.fixture(params=native.SETS)
def instruction_set(request):
    if request.param not in instruction_sets():
        pytest.skip(f"this machine lacks {request.param}")
    return request.param


def signs(bits):
    return 2 * bits.astype(np.int64) - 1


@pytest.mark.parametrize("size", SIZES)
def test_products_of_signs(instruction_set, size):
    rng = np.random.default_rng(size)
    rows, outputs = rng.integers(1, 40, 2)
    bits = rng.integers(0, 2, (outputs, size), dtype=np.uint8)
    x = rng.normal(0, 1, (rows, size)).astype(np.float32)
    x[:, ::3] = np.where(rng.random(x[:, ::3].shape) < 0.5, 0.0, -0.0)
    found = XnorProduct.of(bits, instruction_set=instruction_set)(x)
    assert found.dtype == np.int32
    assert (found == signs(x >= 0) @ signs(bits).T).all()


def test_all_signs_differ_or_none_does(instruction_set):
    product = XnorProduct.of(np.ones((70, 5000)), instruction_set=instruction_set)
    x = np.where(np.arange(9)[:, None] % 2, 1, -1) * np.ones((9, 5000), np.float32)
    assert (product(x.astype(np.float32)) == 5000 * x[:, :1]).all()


@pytest.mark.parametrize("levels", [(1, 1), (2, 2), (3, 1), (1, 3), (5, 4)])
def test_sums_over_levels(instruction_set, levels):
    (a, w), rng = levels, np.random.default_rng(sum(levels))
    for size in rng.choice(SIZES, 3, replace=False):
        rows, outputs = rng.integers(1, 80, 2)
        bits = rng.integers(0, 2, (w, outputs, size), dtype=np.uint8)
        gains = rng.integers(-(1 << 40), 1 << 40, (outputs, a, w))
        scales, offset = -np.sort(-rng.random(a)), rng.normal(0, 0.3, size)
        x = rng.normal(0, 1, (rows, size)).astype(np.float32)
        found = LevelProduct.of(bits, gains, scales, offset, instruction_set=instruction_set)(x)
        dots = np.einsum("amn,wrn->mraw", signs(mlb(x, scales, offset)), signs(bits))
        assert found.dtype == np.int64
        assert (found == (gains * dots).sum(axis=(2, 3))).all()


def test_sums_are_those_of_a_golden_layer(instruction_set, random_model):
    layer = random_model(3, (3, 2), features=37, hidden=21).layers[0]
    x = np.random.default_rng(0).normal(0, 2, (9, 37)).astype(np.float32)
    x = to_float(to_fixed(x, INPUT_FRACTION), INPUT_FRACTION).astype(np.float32)
    product = LevelProduct.of(
        layer.wx.bits,
        layer.gamma_x,
        layer.x.float_scales,
        layer.x.float_offset,
        instruction_set=instruction_set,
    )
    codes = layer.x.encode(to_fixed(x, INPUT_FRACTION), INPUT_FRACTION)
    shift = layer.z_fraction - layer.x.fraction - layer.wx.fraction
    assert (product(x) == (layer.x.decode_signs(codes) @ layer.wx.values.T << shift)).all()


@pytest.mark.parametrize("shape", [(300, 8), (5, 1200)])  # split by rows, and by panels
def test_threads_share_the_work(instruction_set, shape, monkeypatch):
    rows, outputs = shape
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (outputs, 70), dtype=np.uint8)
    x = rng.normal(0, 1, (rows, 70)).astype(np.float32)
    product = XnorProduct.of(bits, instruction_set=instruction_set)
    monkeypatch.setattr(products, "LEAST_WORK", 1)
    for threads in (1, 2, 3, 100):
        out = np.full(shape, 99, np.int32)
        assert (product(x, threads=threads, out=out) == signs(x >= 0) @ signs(bits).T).all()


def test_results_that_pass_by_the_cache(instruction_set):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (1 << 11, 9), dtype=np.uint8)
    x = rng.normal(0, 1, (1 << 11, 9)).astype(np.float32)
    expected = (signs(x >= 0).astype(np.float32) @ signs(bits).T.astype(np.float32)).astype(int)
    product = XnorProduct.of(bits, instruction_set=instruction_set)
    assert (product(x) == expected).all()
    raw = np.zeros(x.shape[0] * len(bits) + 17, np.int32)
    for start in range(1, 17, 5):  # lines of the cache do not begin there
        out = raw[start : start + x.shape[0] * len(bits)].reshape(expected.shape)
        assert product(x, out=out) is out
        assert (out == expected).all()
    assert not raw[-1:].any()


def test_rows_in_another_order_are_copied():
    bits = np.random.default_rng(0).integers(0, 2, (3, 50))
    x = np.random.default_rng(1).normal(0, 1, (50, 4)).astype(np.float32).T
    product = XnorProduct.of(bits)
    assert (product(x) == product(x.copy())).all()
    assert product(x[:0]).shape == (0, 3)


def test_what_does_not_fit_is_refused():
    bits = np.ones((2, 3, 5), np.uint8)
    product = XnorProduct.of(bits[0])
    x = np.zeros((4, 5), np.float32)
    with pytest.raises(MubinnError, match=r"not float32 \[M, 5\]"):
        product(x.astype(float))
    with pytest.raises(MubinnError, match=r"not float32 \[M, 5\]"):
        product(x[:, :4])
    with pytest.raises(MubinnError, match="give at least 1"):
        product(x, threads=0)
    for out in (
        np.zeros((4, 3), np.int64),
        np.zeros((4, 2), np.int32),
        np.zeros((3, 4), np.int32).T,
    ):
        with pytest.raises(MubinnError, match=r"contiguous int32 array of shape \(4, 3\)"):
            product(x, out=out)
    with pytest.raises(MubinnError, match="not planes of zeros and ones"):
        XnorProduct.of(2 * bits[0])
    with pytest.raises(MubinnError, match="do not fit 3 rows"):
        LevelProduct.of(bits, np.ones((3, 2, 2)), [1.0])
    with pytest.raises(MubinnError, match="leave 63 bits"):
        LevelProduct.of(bits, np.full((3, 1, 2), 1 << 60), [1.0])
