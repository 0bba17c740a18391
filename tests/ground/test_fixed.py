"""Rounding, saturation and widths against exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mubinn.golden.ground.fixed import (
    frozen,
    round_shift,
    saturate,
    signed_width,
    to_fixed,
    to_float,
    unsigned_width,
)


@given(st.integers(-(2**50), 2**50), st.integers(-8, 40))
def test_round_shift_is_floor_of_x_plus_half(value, shift):
    exact = math.floor(Fraction(value) / Fraction(2) ** shift + Fraction(1, 2))
    assert round_shift(value, shift) == exact


def test_ties_round_up():
    assert round_shift([-6, -2, 2, 6], 2).tolist() == [-1, 0, 1, 2]
    assert to_fixed([-1.5, -0.5, 0.5, 1.5], 0).tolist() == [-1, 0, 1, 2]


@given(st.integers(-(2**40), 2**40), st.integers(1, 40))
def test_saturate_is_the_nearest_number_of_the_width(value, width):
    low, high = -(2 ** (width - 1)), 2 ** (width - 1) - 1
    assert saturate(value, width) == min(max(value, low), high)


@given(st.floats(-1e4, 1e4), st.integers(0, 20))
def test_to_fixed_rounds_half_up(value, fraction):
    exact = math.floor(Fraction(value) * 2**fraction + Fraction(1, 2))
    # One float64 rounding of value * 2**fraction + 1/2 may cross the border, never by more.
    assert abs(int(to_fixed(value, fraction)) - exact) <= (abs(value) > 1e3)
    assert abs(Fraction(int(to_fixed(value, fraction)), 2**fraction) - Fraction(value)) <= Fraction(
        1, 2 ** (fraction + 1)
    ) + Fraction(1, 2**30)


@given(st.integers(-(2**52), 2**52), st.integers(0, 40))
def test_to_float_is_exact(value, fraction):
    assert Fraction(float(to_float(value, fraction))) == Fraction(value, 2**fraction)


@pytest.mark.parametrize("bound", [0, 1, 2, 3, 4, 7, 8, 127, 128, 2**40 - 1, 2**40])
def test_widths_are_tight(bound):
    width = signed_width(bound)
    assert -(2 ** (width - 1)) <= -bound
    assert bound <= 2 ** (width - 1) - 1
    assert width == 1 or bound > 2 ** (width - 2) - 1
    plain = unsigned_width(bound)
    assert bound <= 2**plain - 1
    assert plain == 1 or bound > 2 ** (plain - 1) - 1


def test_negative_bound_is_refused():
    with pytest.raises(ValueError, match="not negative"):
        signed_width(-1)


def test_frozen_copies_and_locks():
    source = np.arange(4)
    copy = frozen(source, np.int64)
    source[0] = 9
    assert copy[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        copy[0] = 1
