"""An embedding: the input of a step is one number, which names a row of a table.

It stands before the first layer and is no hardware: whoever feeds an accelerator looks up the level
bits of a word, or a character, and sends them as it would those of a sensor.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints

MOST_ROWS = 1 << 24
"""Rows of the largest table: float32, in which windows come, has all whole numbers up to here."""


def check_table(table: npt.NDArray[Any], inputs: int) -> None:
    """Raise `MubinnError` unless a table [V, I] has the `inputs` of the first layer as columns."""
    if table.ndim != 2 or table.shape[1] != inputs or not 0 < len(table) <= MOST_ROWS:
        raise MubinnError(
            f"the embedding has shape {table.shape}, expected (words, {inputs}) and at most "
            f"{MOST_ROWS} words: check the model file."
        )


def looked_up(table: npt.NDArray[Any], numbers: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return the rows [..., I] of a table [V, I] that numbers [..., 1] name.

    Parameters
    ----------
    table : array [V, I]
    numbers : array [..., 1]
        Whole numbers from 0 to V - 1, of any type.

    Raises
    ------
    MubinnError
        The last axis is not 1, or a number names no row.

    Examples
    --------
    >>> looked_up(np.array([[1, 2], [3, 4]]), [[1.0], [0.0]]).tolist()
    [[3, 4], [1, 2]]
    """
    return np.asarray(table[named_rows(len(table), numbers)])


def named_rows(words: int, numbers: npt.ArrayLike) -> Ints:
    """Return which of `words` rows numbers [..., 1] name, int64 [...]; raises as `looked_up`.

    >>> named_rows(2, [[1.0], [0.0]]).tolist()
    [1, 0]
    """
    found = np.asarray(numbers)
    if found.ndim == 0 or found.shape[-1] != 1:
        raise MubinnError(
            f"the model reads one number a step, which names a word; data of shape {found.shape} "
            "have another count of channels."
        )
    rows = found[..., 0]
    good = (rows >= 0) & (rows < words) & (rows == np.floor(rows))
    if not good.all():
        raise MubinnError(
            f"{rows[~good].flat[0]:g} names no word: the model knows whole numbers from 0 to "
            f"{words - 1}; number words as its training did."
        )
    return rows.astype(np.int64)
