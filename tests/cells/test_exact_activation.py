import math
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest

from mubinn.golden.cells.exact_activation import (
    FAR,
    bracket,
    first_reaching,
    floor_product,
    reaches,
)

KINDS = ("sigmoid", "tanh")


def real(kind, z, digits=400):
    """The function to many digits, by its textbook formula."""
    with localcontext() as context:
        context.prec = digits
        x = Decimal(z.numerator) / Decimal(z.denominator)
        if kind == "sigmoid":
            return Fraction(1 / (1 + (-x).exp()))
        return Fraction((x.exp() - (-x).exp()) / (x.exp() + (-x).exp()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("z", [Fraction(3, 8), Fraction(-77, 16), Fraction(1, 1 << 40)])
def test_a_bracket_holds_the_function(kind, z):
    widths = []
    for digits in (10, 40, 160):
        low, high = bracket(kind, z, digits)
        assert low < real(kind, z) < high
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2] > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("z", [Fraction(5 * FAR), Fraction(-(1 << 60))])
def test_a_bracket_far_out_ends_at_the_limit(kind, z):
    low, high = bracket(kind, z, 40)
    limits = {"sigmoid": (0, 1), "tanh": (-1, 1)}[kind]
    assert low < high
    assert limits[z > 0] == (high if z > 0 else low)
    assert abs((low if z > 0 else high) - limits[z > 0]) < Fraction(1, 10**30)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("z", [Fraction(3, 8), Fraction(-5, 4)])
def test_targets_that_agree_in_two_hundred_digits(kind, z):
    unit = Fraction(1, 10**200)
    below = math.floor(real(kind, z) / unit) * unit
    assert reaches(kind, z, below)
    assert not reaches(kind, z, below + unit)


@pytest.mark.parametrize("kind", KINDS)
def test_zero_is_exact(kind):
    centre = {"sigmoid": Fraction(1, 2), "tanh": Fraction(0)}[kind]
    assert reaches(kind, Fraction(0), centre)
    assert not reaches(kind, Fraction(0), centre + Fraction(1, 10**90))
    assert first_reaching(kind, centre, 12, 1 << 20) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fraction", [0, 3, 18, 40])
def test_a_threshold_is_the_first_input_that_reaches_it(kind, fraction):
    bound = 30 << fraction
    for target in (Fraction(n, 64) for n in range(-70, 71)):
        first = first_reaching(kind, target, fraction, bound)
        assert -bound <= first <= bound + 1
        if first <= bound:
            assert real(kind, Fraction(first, 1 << fraction), 60) >= target
        if first > -bound:
            assert real(kind, Fraction(first - 1, 1 << fraction), 60) < target


@pytest.mark.parametrize(("target", "edge"), [(-2, 0), (0, 0), (1, 1), (2, 1)])
def test_a_target_outside_the_range_is_always_or_never_reached(target, edge):
    assert first_reaching("sigmoid", Fraction(target), 4, 100) == (101 if edge else -100)


def test_a_threshold_beyond_the_bound():
    assert first_reaching("tanh", Fraction(99, 100), 8, 50) == 51
    assert first_reaching("tanh", Fraction(-99, 100), 8, 50) == -50


def test_floors_of_products():
    for factor in (Fraction(n, 16) for n in range(-40, 41, 7)):
        for z in (Fraction(n, 8) for n in range(-30, 31, 3)):
            want = math.floor(factor * real("tanh", z, 60)) if z else 0
            assert floor_product(factor, "tanh", z) == want
    assert floor_product(Fraction(7), "tanh", Fraction(0)) == 0
    assert floor_product(Fraction(0), "tanh", Fraction(3)) == 0
    # So near to the limit that no float tells them apart, and beyond every bracket's digits.
    for far in (Fraction(300), Fraction(1 << 24)):
        assert floor_product(Fraction(5), "tanh", far) == 4
        assert floor_product(Fraction(5), "tanh", -far) == -5
        assert floor_product(Fraction(-5), "tanh", far) == -5
