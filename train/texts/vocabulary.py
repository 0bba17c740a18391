"""Words as numbers: the most frequent ones by rank, in windows of one length. NumPy only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import reason_of
from mubinn.golden.ground.fixed import Ints

PADDING = 0
"""The number in front of texts that are shorter than a window."""


def numbering(texts: Iterable[Sequence[str]], most: int, first: int) -> dict[str, int]:
    """Return the numbers from `first` to below `most` of words, by rank, equals as they sort.

    Examples
    --------
    >>> numbering([["b", "a"], ["b", "c"]], 4, 2)
    {'b': 2, 'a': 3}
    """
    counts = Counter(word for words in texts for word in words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return {word: first + rank for rank, word in enumerate(ranked[: most - first])}


def windows_of(texts: Iterable[npt.ArrayLike], steps: int) -> tuple[Ints, int]:
    """Return the last `steps` numbers of texts [N, steps], padded in front, and how many are cut.

    >>> windows_of([[4], [5, 6, 7]], 2)[0].tolist()
    [[0, 4], [6, 7]]
    """
    rows, cut = [], 0
    for text in texts:
        own = np.asarray(text, np.int64)
        cut += len(own) > steps
        rows.append(np.pad(own[-steps:], (max(0, steps - len(own)), 0)))
    return np.stack(rows), cut


def text_of(file: Path) -> str:
    """Return a file of text in UTF-8; raise `MubinnError` where it is none."""
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise MubinnError(f"{file} cannot be read: {reason_of(error)}.") from error
    except UnicodeDecodeError as error:
        raise MubinnError(f"{file} is no text in UTF-8: convert it.") from error


def check_sizes(words: int, first: int, steps: int) -> None:
    """Raise `MubinnError` on no words or no steps."""
    if words <= first or steps < 1:
        raise MubinnError(f"Give more than {first} words, and windows of a step or more.")
