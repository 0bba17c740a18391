"""Binary32 addition and multiplication against exact fractions, and the adder's hardware."""

from fractions import Fraction

import numpy as np
import pytest

from mubinn.golden.baseline.binary32 import CANONICAL_NAN, INFINITY, SIGN, from_bits, to_bits
from mubinn.golden.baseline.float_add import float_add
from mubinn.golden.baseline.float_mult import float_mult
from mubinn.hw.baseline.float_add import FloatAdd
from mubinn.sim.baseline import tb_float_add as bench
from mubinn.sim.baseline.binary32 import CORNERS, join, pairs, split
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.testbench.compare import SimulationMismatch

FINITE = CORNERS[(CORNERS & INFINITY) != INFINITY]


def nearest(value, sign):
    """Return the binary32 pattern nearest to a fraction, ties to even; `sign` is a zero's."""
    size = abs(value)
    exponent = -149
    while size >= Fraction(2) ** (exponent + 24):
        exponent += 1
    scaled = size / Fraction(2) ** exponent
    whole = scaled.numerator // scaled.denominator
    rest = scaled - whole
    whole += rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole & 1)
    # A pattern is the place of its number among all; a carry moves on to the next exponent.
    pattern = min(((exponent + 149) << 23) + whole, INFINITY)
    return pattern | (SIGN if (value < 0 if value else sign) else 0)


def exact(bits):
    return Fraction(float(from_bits(np.uint32(bits))))


def cases():
    a, b = pairs(np.random.default_rng(3), 4000)
    keep = ((a & INFINITY) != INFINITY) & ((b & INFINITY) != INFINITY)
    return a[keep][::2], b[keep][::2]


def test_sum_is_the_nearest_number():
    a, b = cases()
    got = float_add(a, b).tolist()
    for x, y, result in zip(a.tolist(), b.tolist(), got, strict=True):
        both = bool(x & y & SIGN)
        assert result == nearest(exact(x) + exact(y), both), (hex(x), hex(y))


def test_product_is_the_nearest_number():
    a, b = cases()
    got = float_mult(a, b).tolist()
    for x, y, result in zip(a.tolist(), b.tolist(), got, strict=True):
        odd = bool((x ^ y) & SIGN)
        assert result == nearest(exact(x) * exact(y), odd), (hex(x), hex(y))


@pytest.mark.parametrize("operation", [float_add, float_mult])
@pytest.mark.parametrize("nan", [0x7F800001, 0xFFC00001, 0x7FFFFFFF])
def test_every_nan_is_canonical(operation, nan):
    assert set(operation(nan, CORNERS).tolist()) == {CANONICAL_NAN}
    assert set(operation(CORNERS, nan).tolist()) == {CANONICAL_NAN}


def test_infinities():
    assert int(float_add(INFINITY, INFINITY | SIGN)) == CANONICAL_NAN
    assert set(float_add(INFINITY, FINITE).tolist()) == {INFINITY}
    assert int(float_mult(INFINITY, SIGN)) == CANONICAL_NAN
    assert int(float_mult(INFINITY, to_bits(-1.0))) == INFINITY | SIGN


def test_subtraction_by_the_sign_bit_gives_positive_zero():
    assert not float_add(FINITE, FINITE ^ np.uint32(SIGN)).any()


def test_hardware_equals_golden():
    fields = bench.stimulus(None, np.random.default_rng(1), 3500)
    fields = {name: values[::35] for name, values in fields.items()}
    got, expected = evaluate_unit(FloatAdd(), fields), bench.golden(None, fields)
    np.testing.assert_array_equal(join(got), join(expected))


def test_bench_on_verilator():
    result = check_unit(FloatAdd(), bench=bench.__name__, count=10_000)
    assert result.transfers >= 10_000 > len(CORNERS) ** 2


@pytest.mark.slow
def test_bench_on_verilator_at_length():
    result = check_unit(FloatAdd(), bench=bench.__name__, count=300_000, seed=7)
    assert result.transfers >= 300_000


def test_bench_finds_one_wrong_sum():
    fields = bench.stimulus(None, np.random.default_rng(2), 1)
    expected = join(bench.golden(None, fields))
    expected[777] ^= 1
    with pytest.raises(SimulationMismatch, match="transfer 777, field fraction"):
        check_unit(FloatAdd(), bench=bench.__name__, fields=fields, expected=split(expected))
