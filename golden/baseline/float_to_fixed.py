"""Conversion from binary32 to signed fixed point."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.baseline.binary32 import from_bits
from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.fixed import Ints, saturate


@dataclass(frozen=True)
class FloatToFixedParams:
    """The fixed-point format.

    Attributes
    ----------
    width : int
        Bits of the signed result, 2 to 48.
    fraction : int
        Its fraction bits, 0 to 64.
    """

    width: int
    fraction: int

    def __post_init__(self) -> None:
        """Raise `ValueError` on sizes out of range."""
        demand(self, 2, "width", most=48)
        demand(self, 0, "fraction", most=64)


def float_to_fixed(params: FloatToFixedParams, value: npt.ArrayLike) -> Ints:
    """Return ``floor(x * 2**fraction + 1/2)``, saturated, of binary32 bit patterns, int64.

    Infinities saturate; NaN gives 0.

    Hardware payloads: ``i`` binary32, here uint32, ``o {value: signed(width)}``.

    Examples
    --------
    >>> from mubinn.golden.baseline.binary32 import to_bits
    >>> params = FloatToFixedParams(width=8, fraction=2)
    >>> float_to_fixed(params, to_bits([0.375, -0.375, 1e9])).tolist()
    [2, -1, 127]
    """
    x = from_bits(value)
    bound = 2.0 ** (params.width - params.fraction)
    # Within the bound, 24 bits scaled and a half added are exact in float64, but for numbers so
    # small that the sum's rounding leaves its floor as it is.
    near = np.clip(np.where(np.isnan(x), np.float32(0), x), -bound, bound).astype(np.float64)
    return saturate(np.floor(np.ldexp(near, params.fraction) + 0.5).astype(np.int64), params.width)
