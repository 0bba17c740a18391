"""Encoders of ordered thresholds, the other kind beside Algorithm 1.

K rising thresholds cut the numbers into K + 1 ranges, each with a code of its own. A number that
equals a threshold belongs to the range above it, as in Algorithm 1 and Eq. (20); the printed
Eq. (21) to (24) give it to the one below.

Hardware decides level by level, b_1 first, so codes have to rise in that order of their bits. Then
"b_k is 1" is a single comparison for each prefix b_1..b_{k-1}, and the encoder is a threshold
search like any other.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints, frozen


@dataclass(frozen=True, eq=False)
class Ordered:
    """Thresholds of a value without its offset, in units of the scales' fraction, and codes.

    Attributes
    ----------
    thresholds : int64 [K]
        Strictly rising.
    codes : int64 [K + 1]
        Of the ranges from the lowest to the highest: all bits 0 in the first, all 1 in the last,
        and rising where b_1 counts most. `full_codes` has those of ``2**N - 1`` thresholds.
    """

    thresholds: Ints
    codes: Ints

    def __post_init__(self) -> None:
        """Validate; raise `MubinnError`."""
        object.__setattr__(self, "thresholds", frozen(self.thresholds, np.int64))
        object.__setattr__(self, "codes", frozen(self.codes, np.int64))
        own = self.thresholds
        if own.ndim != 1 or not len(own) or any(low >= high for low, high in pairwise(own)):
            raise MubinnError(
                f"the thresholds {own.tolist()} do not rise: give each once, in order, and far "
                "enough apart for the fraction bits of the scales."
            )
        if self.codes.shape != (len(own) + 1,):
            raise MubinnError(f"{len(own)} thresholds need {len(own) + 1} codes.")

    def check_codes(self, levels: int) -> None:
        """Raise `MubinnError` unless the codes are those of an encoder of `levels` levels."""
        top = (1 << levels) - 1
        if self.codes.min() < 0 or self.codes.max() > top:
            raise MubinnError(f"the codes {self.codes.tolist()} do not have {levels} bits.")
        places = reverse(self.codes, levels)
        if places[0] != 0 or places[-1] != top or (np.diff(places) <= 0).any():
            raise MubinnError(
                f"the codes {self.codes.tolist()} do not rise from all bits 0 to all bits 1, the "
                "first level first: order them so, and leave out those between that are not used."
            )

    def nodes(self, levels: int) -> Ints:
        """Return the tree of a search, int64 [2**levels - 1]; see `ThresholdSearchParams`.

        The node of a prefix is the threshold below the first range whose code has, or comes after,
        that prefix and then a 1; prefixes that never occur have nodes too.
        """
        places, nodes = reverse(self.codes, levels), []
        for level in range(levels):
            prefix = reverse(np.arange(1 << level), level)
            first = (2 * prefix + 1) << levels - 1 - level
            nodes.append(self.thresholds[np.searchsorted(places, first) - 1])
        return np.concatenate(nodes)


def full_codes(levels: int) -> Ints:
    """Return all codes in the order in which b_1 counts most."""
    return reverse(np.arange(1 << levels), levels)


def reverse(code: npt.ArrayLike, levels: int) -> Ints:
    """Return codes with their bits in the opposite order."""
    wide = np.asarray(code, np.int64)
    bits = (wide[..., None] >> np.arange(levels)) & 1
    return np.asarray(bits @ (1 << np.arange(levels - 1, -1, -1, dtype=np.int64)), np.int64)


def ordered_codes(value: npt.ArrayLike, thresholds: npt.ArrayLike, codes: Ints) -> Ints:
    """Return the codes of numbers without their offset, in the unit of the thresholds."""
    return np.asarray(codes[np.searchsorted(thresholds, value, side="right")])
