"""Level table: the stored word of a code, for cells that decode a tensor before they multiply."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True)
class LevelTableParams:
    """Sizes.

    Attributes
    ----------
    levels : int
        Bits of a code; the table has 2**levels words.
    width : int
        Bits of a word; 32 for binary32.
    """

    levels: int
    width: int = 32

    def __post_init__(self) -> None:
        """Raise `ValueError` on sizes that make no table."""
        demand(self, 1, "levels", most=8)
        demand(self, 1, "width", most=63)


def level_table(params: LevelTableParams, code: npt.ArrayLike, words: npt.ArrayLike) -> Ints:
    """Return ``words[code]``, int64 like `code`; leading axes of `words` broadcast against it.

    Hardware payloads: ``i {code: levels, words: ArrayLayout(unsigned(width), 2**levels)}``,
    ``o {word: width}``.

    Examples
    --------
    >>> level_table(LevelTableParams(levels=2, width=4), [3, 0], [5, 6, 7, 8]).tolist()
    [8, 5]
    """
    codes, table = np.asarray(code, np.int64), np.asarray(words, np.int64)
    if table.shape[-1] != 1 << params.levels:
        raise ValueError(f"{table.shape[-1]} words for {params.levels} levels")
    spread = np.broadcast_to(table, (*codes.shape, table.shape[-1]))
    return np.take_along_axis(spread, codes[..., None], axis=-1)[..., 0]
