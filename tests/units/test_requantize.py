"""Requantization against exact fractions, and its hardware."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mubinn.golden.units.requantize import RequantizeParams, requantize
from mubinn.hw.units.requantize import Requantize
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_requantize as bench


@given(st.integers(-(2**30), 2**30 - 1), st.integers(0, 16), st.integers(1, 24), st.integers(0, 16))
def test_is_round_half_up_then_saturation(value, in_fraction, out_width, out_fraction):
    params = RequantizeParams(31, in_fraction, out_width, out_fraction)
    exact = math.floor(Fraction(value, 2**in_fraction) * 2**out_fraction + Fraction(1, 2))
    expected = min(max(exact, -(2 ** (out_width - 1))), 2 ** (out_width - 1) - 1)
    assert requantize(params, value) == expected
    assert params.shift == in_fraction - out_fraction


def test_saturation_at_both_ends_only():
    params = RequantizeParams(12, 4, 4, 0)
    values = [-2048, -137, -136, -120, 0, 119, 120, 2047]
    assert requantize(params, values).tolist() == [-8, -8, -8, -7, 0, 7, 7, 7]


@pytest.mark.parametrize(
    ("formats", "fault"),
    [
        ((0, 0, 1, 0), "in_width is 0: give at least 1"),
        ((1, -1, 1, 0), "in_fraction is -1: give at least 0"),
        ((1, 0, 0, 0), "out_width is 0: give at least 1"),
        ((1, 0, 1, -1), "out_fraction is -1: give at least 0"),
    ],
)
def test_bad_formats_are_refused(formats, fault):
    with pytest.raises(ValueError, match=f"RequantizeParams.{fault}"):
        RequantizeParams(*formats)


CASES = [
    *(
        RequantizeParams(*s)
        for s in (
            (12, 4, 12, 4),
            (20, 12, 12, 8),
            (20, 12, 12, 3),
            (8, 2, 12, 6),
            (8, 2, 9, 6),
            (6, 5, 1, 0),
            (5, 9, 4, 0),
            (5, 6, 4, 0),
            (5, 5, 3, 0),
            (9, 5, 10, 4),
            (1, 1, 1, 0),
        )
    ),
]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_hardware_equals_golden(params):
    fields = bench.stimulus(params, np.random.default_rng(1), 150)
    expected = bench.golden(params, fields)
    got = evaluate_unit(Requantize(params), fields)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, name)


def test_bench_on_verilator():
    params = RequantizeParams(24, 14, 12, 8)
    result = check_unit(
        Requantize(params), bench=bench.__name__, params=params, count=4000, batch=8
    )
    assert result.transfers == 4000
