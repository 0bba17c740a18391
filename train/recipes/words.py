"""Windows of words: whole numbers, one a step. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.embedding import MOST_ROWS


def words_of(x: NDArray[Any]) -> int:
    """Return how many words there are, one more than the largest number of windows [N, T, 1].

    Raises
    ------
    MubinnError
        There are several channels, or numbers that are not whole, below 0 or too large.

    Examples
    --------
    >>> words_of(np.array([[[3.0], [0.0]]]))
    4
    """
    if x.shape[2] != 1 or (x != np.floor(x)).any() or x.min() < 0 or x.max() >= MOST_ROWS:
        raise MubinnError(
            f"Words are one whole number a step, from 0 to {MOST_ROWS - 1}, and the data are not: "
            "leave --embedding out, or number the words."
        )
    return int(x.max()) + 1
