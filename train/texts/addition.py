"""The addition problem: two numbers as text, and their sum as text, as windows. NumPy only.

``" 3+10"`` is followed by blanks, at which the characters of the sum are the labels, ``"13"``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.recordings import NO_LABEL

CHARACTERS = "0123456789+ "
"""The characters in the order of their numbers."""

LARGEST = 99
PARTS = 5
"""Parts of all pairs, by one of which the folds are told apart."""


def addition(largest: int = LARGEST, seed: int = 0) -> tuple[dict[str, NDArray[Any]], str]:
    """Return windows of all additions of two numbers from 1 to `largest`, each once.

    Pairs are drawn into `PARTS` folds; a pair and the same pair turned round are one subject, so
    that no sum of a fold is known from another one. Texts stand to the right, blanks before them.

    Parameters
    ----------
    largest : int
        The larger number of the largest pair.
    seed : int
        Of the folds.

    Returns
    -------
    arrays : dict
        What an .npz for training holds: X int32 [n, T, 1], y int64 [n, T], -1 where nothing is
        asked for.
    told : str
        How many there are.

    Raises
    ------
    MubinnError
        There are fewer pairs than folds, or far too many.

    Examples
    --------
    >>> arrays, _ = addition(10)
    >>> "".join(CHARACTERS[k] for k in arrays["X"][29, :, 0])
    ' 3+10  '
    >>> arrays["y"][29].tolist()
    [-1, -1, -1, -1, -1, 1, 3]
    """
    if not 3 <= largest <= 999:
        raise MubinnError(f"Numbers up to {largest} are no task: give 3 to 999.")
    width = 2 * len(str(largest)) + 1
    answer = len(str(2 * largest))
    numbers = np.arange(1, largest + 1)
    a, b = (grid.ravel() for grid in np.meshgrid(numbers, numbers, indexing="ij"))
    asked = [
        f"{left}+{right}".rjust(width) + " " * answer for left, right in zip(a, b, strict=True)
    ]
    sums = [str(total).rjust(answer) for total in a + b]
    low, high = np.minimum(a, b), np.maximum(a, b)
    _, subject = np.unique(low * (largest + 1) + high, return_inverse=True)
    count = int(subject.max()) + 1
    fold = np.random.default_rng(seed).permutation(count) % PARTS
    y = np.full((len(asked), width + answer), NO_LABEL, np.int64)
    y[:, width:] = _numbered(sums)
    arrays: dict[str, NDArray[Any]] = {
        "X": _numbered(asked)[:, :, None].astype(np.int32),
        "y": y,
        "subject": subject.astype(np.int64),
        "fold": fold[subject],
        "classes": np.array([character.replace(" ", "blank") for character in CHARACTERS]),
        "channels": np.array(["character"]),
    }
    return arrays, f"additions: {len(asked)}, of {count} pairs"


def _numbered(texts: list[str]) -> NDArray[np.int64]:
    """Return the numbers of the characters of texts of one length, [texts, length]."""
    number = {character: k for k, character in enumerate(CHARACTERS)}
    return np.array([[number[character] for character in text] for text in texts], np.int64)
