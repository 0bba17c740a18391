"""Requantize: fewer fraction bits, rounded half up, saturated to a narrower format."""

from dataclasses import dataclass

import numpy.typing as npt

from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.fixed import Ints, round_shift, saturate


@dataclass(frozen=True)
class RequantizeParams:
    """Formats on both sides; all numbers are signed.

    Attributes
    ----------
    in_width, in_fraction, out_width, out_fraction : int
        Bits. ``out_fraction`` may be larger, which shifts left exactly before saturation.
    """

    in_width: int
    in_fraction: int
    out_width: int
    out_fraction: int

    def __post_init__(self) -> None:
        """Raise `ValueError` on a width below 1 or a negative fraction."""
        demand(self, 1, "in_width", "out_width")
        demand(self, 0, "in_fraction", "out_fraction")

    @property
    def shift(self) -> int:
        """Low bits dropped; negative where the value is shifted left."""
        return self.in_fraction - self.out_fraction


def requantize(params: RequantizeParams, value: npt.ArrayLike) -> Ints:
    """Return ``saturate(round_half_up(value))`` in the output format, int64 like `value`.

    Hardware payloads: ``i {value: signed(in_width)}``, ``o {value: signed(out_width)}``.

    Examples
    --------
    >>> params = RequantizeParams(in_width=8, in_fraction=3, out_width=4, out_fraction=0)
    >>> requantize(params, [11, 12, -12, 127]).tolist()
    [1, 2, -1, 7]
    """
    return saturate(round_shift(value, params.shift), params.out_width)
