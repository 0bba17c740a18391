"""Fixed-point quantizers and stored tensors."""

import numpy as np
import pytest
from exact_arithmetic import plane_codes
from hypothesis import given
from hypothesis import strategies as st

from mubinn.golden.binarize.mlb import mlb, mlb_value
from mubinn.golden.binarize.scales import (
    MAX_SCALE,
    MAX_STORED_SCALE,
    LevelTensor,
    Quantizer,
    choose_fraction,
    scale_bits,
    signs,
)
from mubinn.golden.ground.errors import MubinnError


@given(st.floats(1e-6, 240), st.integers(1, 8), st.integers(0, 20))
def test_fraction_is_the_largest_that_fits(total, levels, most):
    fraction = choose_fraction(total, levels, most=most)
    largest = 2 ** scale_bits(levels) - 5
    assert 0 <= fraction <= most
    assert total * 2**fraction <= largest
    assert fraction == most or total * 2 ** (fraction + 1) > largest


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=8), st.floats(-5, 5))
def test_rounded_scales_stay_below_their_bits(scales, offset):
    quantizer = Quantizer.of(scales, offset)
    assert quantizer.peak < 2 ** scale_bits(len(scales))
    half = 2.0 ** -(quantizer.fraction + 1)
    assert np.abs(quantizer.float_scales - scales).max() <= half
    assert abs(quantizer.float_offset - offset) <= half


def test_too_large_scales_are_refused():
    with pytest.raises(MubinnError, match=r"sum to 1e\+06 are too large"):
        Quantizer.of([1e6])


@pytest.mark.parametrize("offset", [0, 37, -20])
@pytest.mark.parametrize("extra", [0, 1, 5])
def test_codes_are_those_of_algorithm_1(offset, extra):
    quantizer = Quantizer([90, 41, 20, 7], 6, offset)
    values = np.arange(-300 << extra, 300 << extra, 3)
    codes = quantizer.encode(values, 6 + extra)
    bits = mlb(
        np.ldexp(values.astype(float), -6 - extra),
        quantizer.float_scales,
        quantizer.float_offset,
    )
    assert (codes == plane_codes(bits)).all()
    expected = mlb_value(bits, quantizer.float_scales, quantizer.float_offset)
    assert (np.ldexp(quantizer.decode(codes).astype(float), -6) == expected).all()
    assert np.abs(quantizer.decode(codes)).max() == quantizer.peak
    assert set(codes) == set(range(16))


def test_offsets_per_element():
    quantizer = Quantizer([8], 3, [-4, 0, 4])
    assert quantizer.encode([0, 0, 0], 3).tolist() == [1, 1, 0]
    assert quantizer.decode([1, 1, 0]).tolist() == [4, 8, -4]
    assert quantizer.zero_code(3).tolist() == [1, 1, 0]
    assert quantizer.decode_signs([1, 0, 1]).tolist() == [8, -8, 8]
    assert quantizer.has_offset
    assert not Quantizer([8], 3, 0).has_offset


def test_zero_code_spreads_over_the_elements():
    assert Quantizer([8, 4], 3, 0).zero_code(3).tolist() == [1, 1, 1]


@given(st.integers(1, 8), st.integers(0, 255))
def test_signs_and_codes_are_inverse(levels, code):
    code %= 2**levels
    planes = ((signs([code], levels).T + 1) // 2).astype(np.uint8)
    assert plane_codes(planes).tolist() == [code]
    assert [int(f"{code:08b}"[7 - k]) for k in range(levels)] == planes[:, 0].tolist()


@pytest.mark.parametrize(
    ("scales", "fraction", "offset", "message"),
    [
        ([-1], 3, 0, "not a list of integers"),
        ([], 3, 0, "not a list of integers"),
        ([[1]], 3, 0, "not a list of integers"),
        ([1], -1, 0, "fraction of -1 bits"),
        ([1], 31, 0, "fraction of 31 bits"),
        ([MAX_SCALE], 3, 0, "units or more"),
        ([1], 3, -MAX_SCALE, "units or more"),
        ([1], 3, [], "an offset is neither"),
        ([1], 3, [[1]], "an offset is neither"),
    ],
)
def test_unusable_quantizers_are_refused(scales, fraction, offset, message):
    with pytest.raises(MubinnError, match=message):
        Quantizer(np.array(scales), fraction, np.array(offset))


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("shape", [(2, 6), (3, 6, 5)])
def test_level_tensor_values(groups, shape):
    rng = np.random.default_rng(groups)
    tensor = LevelTensor(rng.integers(0, 2, shape), rng.integers(0, 99, (groups, shape[0])), 4)
    for index in np.ndindex(*shape[1:]):
        scales = tensor.scales[index[0] * groups // 6]
        total = sum(
            int(scale) * (1 if tensor.bits[(level, *index)] else -1)
            for level, scale in enumerate(scales)
        )
        assert tensor.values[index] == total
        assert tensor.float_values[index] == total / 16
    assert (tensor.levels, tensor.rows) == (shape[0], 6)
    assert not tensor.bits.flags.writeable


@pytest.mark.parametrize(
    ("bits", "scales", "fraction", "message"),
    [
        (np.zeros(3), np.zeros((1, 1)), 0, "planes of zeros and ones"),
        (np.full((1, 3), 2), np.zeros((1, 1)), 0, "planes of zeros and ones"),
        (np.zeros((1, 0)), np.zeros((1, 1)), 0, "planes of zeros and ones"),
        (np.zeros((2, 3)), np.zeros((1, 1)), 0, "do not fit 2 levels"),
        (np.zeros((1, 3)), np.zeros(1), 0, "do not fit 1 levels"),
        (np.zeros((1, 3)), np.full((1, 1), -1), 0, "out of range"),
        (np.zeros((1, 3)), np.full((1, 1), MAX_STORED_SCALE), 0, "out of range"),
        (np.zeros((1, 3)), np.zeros((2, 1)), 0, "do not divide 3 rows"),
        (np.zeros((1, 3)), np.zeros((0, 1)), 0, "do not divide 3 rows"),
        (np.zeros((1, 3)), np.zeros((1, 1)), 41, "fraction of 41 bits"),
    ],
)
def test_unusable_level_tensors_are_refused(bits, scales, fraction, message):
    with pytest.raises(MubinnError, match=message):
        LevelTensor(bits, scales, fraction)
