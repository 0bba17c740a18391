"""Conversion from binary32 to fixed point in exact fractions, and its hardware."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from mubinn.golden.baseline.binary32 import INFINITY, SIGN, from_bits
from mubinn.golden.baseline.float_to_fixed import FloatToFixedParams, float_to_fixed
from mubinn.hw.baseline.float_to_fixed import FloatToFixed
from mubinn.sim.baseline import tb_float_to_fixed
from mubinn.sim.baseline import tb_float_to_fixed as bench
from mubinn.sim.baseline.binary32 import join
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit


@pytest.mark.parametrize("sizes", [(2, 0), (16, 8), (32, 24), (48, 64)])
def test_float_to_fixed_rounds_half_up(sizes):
    params = FloatToFixedParams(*sizes)
    bits = join(tb_float_to_fixed.stimulus(params, np.random.default_rng(2), 4000))
    bits = bits[(bits & INFINITY) != INFINITY]
    top = 1 << (params.width - 1)
    for x, got in zip(from_bits(bits).tolist(), float_to_fixed(params, bits).tolist(), strict=True):
        exact = floor(Fraction(x) * 2**params.fraction + Fraction(1, 2))
        assert got == min(max(exact, -top), top - 1), x


def test_float_to_fixed_of_what_is_no_number():
    params = FloatToFixedParams(8, 3)
    nan = [0x7FC00000, 0x7F800001, 0xFFFFFFFF]
    assert float_to_fixed(params, [*nan, INFINITY, INFINITY | SIGN]).tolist() == [
        0,
        0,
        0,
        127,
        -128,
    ]


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        ((1, 0), "width is 1: give 2 to 48"),
        ((49, 0), "width is 49: give 2 to 48"),
        ((8, -1), "fraction is -1: give 0 to 64"),
        ((8, 65), "fraction is 65: give 0 to 64"),
    ],
)
def test_bad_fixed_formats_are_refused(sizes, fault):
    with pytest.raises(ValueError, match=f"FloatToFixedParams.{fault}"):
        FloatToFixedParams(*sizes)


@pytest.mark.parametrize("sizes", [(2, 0), (8, 6), (12, 8), (23, 4), (24, 16), (32, 24), (48, 64)])
def test_hardware_equals_golden(sizes):
    params = FloatToFixedParams(*sizes)
    fields = bench.stimulus(params, np.random.default_rng(1), 300)
    got = evaluate_unit(FloatToFixed(params), fields)["value"]
    np.testing.assert_array_equal(got, bench.golden(params, fields)["value"])


def test_bench_on_verilator():
    params = FloatToFixedParams(16, 8)
    result = check_unit(FloatToFixed(params), bench=bench.__name__, params=params, count=10_000)
    assert result.transfers >= 10_000


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(12, 8), (32, 24)])
def test_bench_on_verilator_at_length(sizes):
    params = FloatToFixedParams(*sizes)
    result = check_unit(FloatToFixed(params), bench=bench.__name__, params=params, count=150_000)
    assert result.transfers >= 150_000
