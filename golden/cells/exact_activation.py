"""Sigmoid and tanh decided with certainty: integers that follow from them, right to the last bit.

Every decision comes from a bracket, two rational numbers with the exact value strictly between
them; where a bracket is too wide to decide, it is computed again with twice the digits. That ends:
by Lindemann and Weierstrass e^x is transcendental for every rational x but 0, so the functions
never equal a rational number there, and 0 is decided by itself.
"""

from collections.abc import Iterator
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor

from mubinn.golden.units.shapes import Kind, Ramp, shape_of

DIGITS = 48
"""Decimal digits of the first bracket."""

FAR = 1000
"""Beyond this argument the value at the argument and the limit are bracket enough."""

CENTRE = {"sigmoid": Fraction(1, 2), "tanh": Fraction(0)}
"""The values at 0, which are rational."""


@lru_cache(maxsize=4096)
def bracket(kind: Kind, z: Fraction, digits: int) -> tuple[Fraction, Fraction]:
    """Return two rational numbers with the exact function of `z`, not 0, strictly between them.

    ``decimal`` rounds e^x correctly; x itself, where it has too many digits, errs by a unit in its
    last place. Both functions rise with E = e^x: sigmoid is E / (E + 1) at x = z and tanh is
    (E - 1) / (E + 1) at x = 2 z. Computed with so many decimal `digits`.
    """
    x = z if kind == "sigmoid" else 2 * z
    near = min(max(x, Fraction(-FAR)), Fraction(FAR))
    context = Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN)
    argument = context.divide(Decimal(near.numerator), Decimal(near.denominator))
    power = Fraction(context.exp(argument))
    slack = (FAR + 2) * Fraction(1, 10 ** (digits - 1))
    low, high = (_of_power(kind, power * (1 + error)) for error in (-slack, slack))
    if x > near:
        high = Fraction(1)
    elif x < near:
        low = Fraction(0) if kind == "sigmoid" else Fraction(-1)
    return low, high


def _of_power(kind: Kind, power: Fraction) -> Fraction:
    return (power if kind == "sigmoid" else power - 1) / (power + 1)


def _brackets(kind: Kind, z: Fraction) -> Iterator[tuple[Fraction, Fraction]]:
    digits = DIGITS
    while True:
        yield bracket(kind, z, digits)
        digits *= 2


def _rational(kind: Kind, z: Fraction) -> Fraction | None:
    """Return the value at `z` where it is a rational number, None where it is none."""
    shape = shape_of(kind)
    if isinstance(shape, Ramp):
        return shape.exact(z)
    return CENTRE[kind] if z == 0 else None


def reaches(kind: Kind, z: Fraction, target: Fraction) -> bool:
    """Return whether the exact function of `z` is at least `target`."""
    known = _rational(kind, z)
    if known is not None:
        return known >= target
    for low, high in _brackets(kind, z):
        if low >= target:
            return True
        if high <= target:
            return False
    raise AssertionError("brackets never end")


def first_reaching(kind: Kind, target: Fraction, fraction: int, bound: int) -> int:
    """Return the smallest integer z in [-bound, bound] whose function reaches `target`.

    It stands for ``z * 2**-fraction``. ``-bound`` where every z does, ``bound + 1`` where none
    does. A guess from the inverse function is held against the function itself from both sides.
    """

    def reached(z: int) -> bool:
        return reaches(kind, Fraction(z, 1 << fraction), target)

    first = min(max(_guess(kind, target, fraction), -bound), bound + 1)
    while first <= bound and not reached(first):
        first += 1
    while first > -bound and reached(first - 1):
        first -= 1
    return first


def _guess(kind: Kind, target: Fraction, fraction: int) -> int:
    """Return about ``inverse(target) * 2**fraction``; far outside for a target that has none."""
    shape = shape_of(kind)
    if isinstance(shape, Ramp):
        if not shape.least < target <= shape.most:
            return (1 if target > shape.most else -1) << 64
        return ceil((target - shape.at_zero) / shape.rise * (1 << fraction))
    part = target if kind == "sigmoid" else (target + 1) / 2
    if part <= 0 or part >= 1:
        return (1 if part > 0 else -1) << 64
    context = Context(prec=DIGITS)
    odds = part / (1 - part)
    inverse = context.ln(context.divide(Decimal(odds.numerator), Decimal(odds.denominator)))
    scale = Fraction(1 << fraction, 1 if kind == "sigmoid" else 2)
    return ceil(Fraction(inverse) * scale)


def floor_product(factor: Fraction, kind: Kind, z: Fraction) -> int:
    """Return the floor of ``factor`` times the exact function of `z`."""
    known = _rational(kind, z)
    if known is not None or factor == 0:
        return floor(factor * (known or 0))
    for bounds in _brackets(kind, z):
        low, high = sorted(factor * bound for bound in bounds)
        # The product lies strictly between, so an integer at the upper end is out of reach.
        if floor(low) == ceil(high) - 1:
            return floor(low)
    raise AssertionError("brackets never end")
