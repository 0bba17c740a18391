"""Film reviews: the IMDB set (Maas et al. 2011) as windows of words, good or bad. NumPy only."""

from __future__ import annotations

import re
from pathlib import Path
from string import punctuation
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.train.data.compact import arrays_of
from mubinn.train.texts.vocabulary import PADDING, check_sizes, numbering, text_of, windows_of

CLASSES = ("negative", "positive")
FOLDERS = ("neg", "pos")
START, UNKNOWN, FIRST = 1, 2, 4
"""Numbers that are no words, and the most frequent word's, as Keras numbers this set."""

_BETWEEN = re.compile(rf"""[{re.escape(punctuation.replace("'", ""))}\s]+""")
"""What stands between words where Keras reads texts."""


def words_in(text: str) -> list[str]:
    """Return the words of a text in small letters.

    >>> words_in("Isn't it?<br />No - not at all.")
    ["isn't", 'it', 'br', 'no', 'not', 'at', 'all']
    """
    return [word for word in _BETWEEN.split(text.lower()) if word]


def reviews(
    path: Path, *, words: int = 20_000, steps: int = 80
) -> tuple[dict[str, NDArray[Any]], str]:
    """Return windows of the set: what an .npz for training holds.

    Fold 0 is the set's own test part, fold 1 its training part. Each review is a subject of its
    own, so that validation takes a share of the reviews.

    Parameters
    ----------
    path : Path
        The folder ``aclImdb`` as it is published, with ``train/pos``, ``test/neg`` and so on, or an
        .npz of the arrays ``x_train``, ``x_test`` (whole numbers [reviews, steps], padded in
        front), ``y_train`` and ``y_test`` (0 or 1).
    words : int
        Numbers that there are: 0 pads, 1 begins a review, 2 stands for words that are rarer, and
        from 4 on the most frequent words of the training part follow.
    steps : int
        The last so many words are taken.

    Returns
    -------
    arrays : dict
    told : str
        How many reviews were cut.

    Raises
    ------
    MubinnError
        The folder or file is missing or damaged, or lacks a part.
    """
    check_sizes(words, FIRST, steps)
    parts = _published(path, words, steps) if path.is_dir() else _compact(path, words, steps)
    x, y, cut = (list(column) for column in zip(*parts, strict=True))
    arrays: dict[str, NDArray[Any]] = {
        "X": np.concatenate(x)[:, :, None].astype(np.int32),
        "y": np.concatenate(y).astype(np.int64),
        "subject": np.arange(sum(map(len, y))),
        "fold": np.repeat([0, 1], [len(part) for part in y]),
        "classes": np.array(CLASSES),
        "channels": np.array(["word"]),
    }
    return arrays, f"{sum(cut)} cut to their last {steps} words"


_Part = tuple[Ints, Ints, int]
"""Words and classes of the reviews of a part, and how many are cut."""


def _published(path: Path, words: int, steps: int) -> list[_Part]:
    texts = {part: [_texts(path / part / name) for name in FOLDERS] for part in ("test", "train")}
    numbers = numbering((one for kind in texts["train"] for one in kind), words, FIRST)
    found = []
    for kinds in texts.values():
        own = [[START, *(numbers.get(w, UNKNOWN) for w in one)] for kind in kinds for one in kind]
        x, cut = windows_of(own, steps)
        found.append((x, np.repeat([0, 1], [len(kind) for kind in kinds]), cut))
    return found


def _texts(folder: Path) -> list[list[str]]:
    """Return the words of the reviews of a folder, a file each."""
    texts = [words_in(text_of(file)) for file in sorted(folder.glob("*.txt"))]
    if not texts:
        raise MubinnError(
            f"{folder} holds no reviews, .txt files: give the folder aclImdb as it is published."
        )
    return texts


def _compact(path: Path, words: int, steps: int) -> list[_Part]:
    found = []
    for part in ("test", "train"):
        own = arrays_of(path, **{f"x_{part}": 2, f"y_{part}": 1})
        x, y = (own[f"{name}_{part}"].astype(np.int64) for name in "xy")
        if len(x) != len(y) or not np.isin(y, (0, 1)).all() or x.min() < 0:
            raise MubinnError(f"{path} has a part {part} whose arrays do not fit: copy it again.")
        if steps > x.shape[1]:
            raise MubinnError(f"{path} has the last {x.shape[1]} words alone: give fewer --steps.")
        x = np.where(x < words, x, UNKNOWN)
        kept = x[:, x.shape[1] - steps :]
        cut = (kept[:, 0] != PADDING) & (kept[:, 0] != START)
        found.append((kept, y, int(cut.sum())))
    return found
