"""Fixed-point multiply-accumulate with an accumulator that holds every sum exactly."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.checks import demand


@dataclass(frozen=True)
class FixedMacParams:
    """The Q format of the operands, and the accumulator's reserve.

    Attributes
    ----------
    width : int
        Bits of a signed operand.
    fraction : int
        Fraction bits of an operand; the accumulator has twice as many.
    guard : int
        Bits beyond a product's: at least ``2**guard`` products of any size sum without overflow.
    """

    width: int = 32
    fraction: int = 24
    guard: int = 8

    def __post_init__(self) -> None:
        """Raise `ValueError` on sizes that make no format."""
        demand(self, 2, "width")
        demand(self, 0, "fraction", most=self.width)
        demand(self, 0, "guard")

    @property
    def sum_width(self) -> int:
        """Bits of the signed accumulator."""
        return 2 * self.width + self.guard

    @property
    def sum_fraction(self) -> int:
        """Fraction bits of the accumulator."""
        return 2 * self.fraction


def fixed_mac(
    params: FixedMacParams, a: npt.ArrayLike, b: npt.ArrayLike, acc: npt.ArrayLike
) -> npt.NDArray[Any]:
    """Return ``acc + a * b``, wrapped to the accumulator's width, as an array of Python integers.

    Exact as long as the accumulator does not overflow. Integers stand for themselves times
    ``2**-fraction`` (`a`, `b`) and ``2**-(2 * fraction)`` (`acc`, the result); where 64 bits do not
    hold `acc`, it is an array of Python integers too.

    Hardware payloads: ``i {a, b: signed(width), acc: signed(sum_width)}``,
    ``o {acc: signed(sum_width)}``.

    Examples
    --------
    >>> int(fixed_mac(FixedMacParams(width=8, fraction=4), a=-128, b=127, acc=100))
    -16156
    """
    half = 1 << (params.sum_width - 1)
    exact = np.asarray(a, object) * np.asarray(b, object) + np.asarray(acc, object)
    return np.asarray((exact + half) % (2 * half) - half, object)
