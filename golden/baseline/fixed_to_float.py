"""Conversion from signed fixed point to binary32."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.baseline.binary32 import Words, to_bits


@dataclass(frozen=True)
class FixedToFloatParams:
    """The fixed-point format.

    Attributes
    ----------
    width : int
        Bits of the signed operand, 2 to 63.
    fraction : int
        Its fraction bits, 0 to 64; the result is never subnormal.
    """

    width: int
    fraction: int

    def __post_init__(self) -> None:
        """Raise `ValueError` on sizes out of range."""
        if not (2 <= self.width <= 63 and 0 <= self.fraction <= 64):
            raise ValueError(f"bad sizes {self}")


def fixed_to_float(params: FixedToFloatParams, value: npt.ArrayLike) -> Words:
    """Return the binary32 bit patterns of ``value * 2**-fraction``, nearest, ties to even.

    Zero gives +0.

    Hardware payloads: ``i {value: signed(width)}``, ``o`` binary32.

    Parameters
    ----------
    params : FixedToFloatParams
    value : int64 array
    """
    rounded = np.asarray(value, np.int64).astype(np.float32)
    return to_bits(np.ldexp(rounded, -params.fraction))
