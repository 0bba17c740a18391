"""Fixed point: the one place where rounding, saturation and widths are defined.

A fixed-point number is a Python or NumPy integer together with a count of fraction bits ``f``; it
stands for ``integer * 2**-f``. Rounding is half up everywhere, ``floor(x + 1/2)``, which hardware
does with one added constant and a truncation. Nothing saturates unless it says so.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def round_shift(value: npt.ArrayLike, shift: int) -> Ints:
    """Return ``floor(value * 2**-shift + 1/2)``, int64; a negative shift multiplies exactly."""
    wide = np.asarray(value, dtype=np.int64)
    if shift <= 0:
        return wide << -shift
    return (wide + (1 << (shift - 1))) >> shift


def saturate(value: npt.ArrayLike, width: int) -> Ints:
    """Clip `value` to the range of a signed number of `width` bits."""
    return np.clip(np.asarray(value, np.int64), -(1 << (width - 1)), (1 << (width - 1)) - 1)


def to_fixed(value: npt.ArrayLike, fraction: int) -> Ints:
    """Return the float `value` as integers of `fraction` bits, rounded half up."""
    return np.floor(np.ldexp(np.asarray(value, np.float64), fraction) + 0.5).astype(np.int64)


def to_float(value: npt.ArrayLike, fraction: int) -> Floats:
    """Return what the integers `value` of `fraction` bits stand for; exact below 2**53."""
    return np.ldexp(np.asarray(value, np.float64), -fraction)


def signed_width(bound: int) -> int:
    """Return the bits of a two's complement number that holds every integer in [-bound, bound]."""
    if bound < 0:
        raise ValueError(f"a bound is not negative, got {bound}")
    return int(bound).bit_length() + 1


def unsigned_width(bound: int) -> int:
    """Return the bits of an unsigned number that holds every integer in [0, bound], at least 1."""
    return max(1, int(bound).bit_length())


def frozen(array: npt.ArrayLike, dtype: Any) -> npt.NDArray[Any]:
    """Return `array` as a read-only contiguous copy of `dtype`."""
    copy = np.array(array, dtype=dtype, order="C")
    copy.setflags(write=False)
    return copy
