"""IEEE-754 binary32 as bit patterns: what every full-precision unit shares."""

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]

#: The one NaN that the units give: quiet, positive, no payload.
CANONICAL_NAN = 0x7FC00000
INFINITY = 0x7F800000
SIGN = 0x80000000


def to_bits(value: npt.ArrayLike) -> Words:
    """Return the bit patterns of `value`, rounded to binary32 (nearest, ties to even)."""
    with np.errstate(over="ignore"):
        return np.asarray(value, dtype=np.float32).view(np.uint32)


def from_bits(bits: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return the binary32 numbers of the uint32 patterns `bits`."""
    return np.asarray(bits, dtype=np.uint32).view(np.float32)


def canonical(value: npt.NDArray[np.float32]) -> Words:
    """Return the bit patterns of `value` with every NaN as `CANONICAL_NAN`."""
    return np.where(np.isnan(value), np.uint32(CANONICAL_NAN), to_bits(value)).astype(np.uint32)
