"""IEEE-754 binary32 addition on bit patterns."""

import numpy as np
import numpy.typing as npt

from mubinn.golden.baseline.binary32 import Words, canonical, from_bits


def float_add(a: npt.ArrayLike, b: npt.ArrayLike) -> Words:
    """Return ``a + b`` of binary32 bit patterns, broadcast; flip `b`'s sign bit to subtract.

    Rounded once, to nearest, ties to even; subnormal numbers in and out; an exact zero sum of
    opposite signs is +0; infinities as in the standard; every NaN is 0x7fc00000.

    Examples
    --------
    >>> hex(float_add(0x3F800000, 0x33800001))  # 1 and a little more than half its last place
    '0x3f800001'
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return canonical(from_bits(a) + from_bits(b))
