"""IEEE-754 binary32 multiplication on bit patterns."""

import numpy as np
import numpy.typing as npt

from mubinn.golden.baseline.binary32 import Words, canonical, from_bits


def float_mult(a: npt.ArrayLike, b: npt.ArrayLike) -> Words:
    """Return ``a * b`` of binary32 bit patterns, broadcast.

    Rounded once, to nearest, ties to even; subnormal numbers in and out (no flush to zero);
    infinities and signed zeros as in the standard; every NaN is 0x7fc00000.

    Examples
    --------
    >>> hex(float_mult(0x3FC00000, 0xC0200000))  # 1.5 times -2.5
    '0xc0700000'
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return canonical(from_bits(a) * from_bits(b))
