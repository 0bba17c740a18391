"""IEEE-754 binary32 addition on bit patterns."""

import numpy as np
import numpy.typing as npt

from mubinn.golden.baseline.binary32 import Words, canonical, from_bits


def float_add(a: npt.ArrayLike, b: npt.ArrayLike) -> Words:
    """Return ``a + b`` of binary32 bit patterns; flip `b`'s sign bit to subtract.

    Rounded once, to nearest, ties to even; subnormal numbers in and out; an exact zero sum of
    opposite signs is +0; infinities as in the standard; every NaN is 0x7fc00000.

    Parameters
    ----------
    a, b : uint32 array, broadcast against each other

    Returns
    -------
    uint32 array
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return canonical(from_bits(a) + from_bits(b))
