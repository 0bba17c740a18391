"""Code table: a stored number for every combination of codes; Eq. (5) and (6) on codes alone."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.fixed import Ints, signed_width, unsigned_width


@dataclass(frozen=True)
class CodeTableParams:
    """The content.

    Attributes
    ----------
    words : tuple of int
        ``2**bits`` of them; the index is the codes side by side.
    """

    words: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise `ValueError` on a count that is no power of two."""
        if len(self.words).bit_count() != 1:
            raise ValueError(f"{len(self.words)} words are not a table over whole codes")

    @property
    def index_width(self) -> int:
        """Bits of the index."""
        return (len(self.words) - 1).bit_length()

    @property
    def signed(self) -> bool:
        """Whether a word is negative."""
        return min(self.words) < 0

    @property
    def width(self) -> int:
        """Bits of a word."""
        if not self.signed:
            return unsigned_width(max(self.words))
        return signed_width(max(max(self.words), -1 - min(self.words)))


def code_table(params: CodeTableParams, index: npt.ArrayLike) -> Ints:
    """Return the words at `index`, int64 [...].

    Hardware payloads: ``i {index: index_width}``, ``o {word: width, signed or not}``.

    Examples
    --------
    >>> code_table(CodeTableParams((3, -2, 7, 0)), [2, 1]).tolist()
    [7, -2]
    """
    return np.array(params.words, np.int64)[np.asarray(index, np.int64)]
