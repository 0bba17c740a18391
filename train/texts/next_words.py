"""Texts as windows of a language model: at each step the label is the next word. NumPy only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mubinn.golden.ground.arrays import read_arrays
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.embedding import MOST_ROWS
from mubinn.train.data.compact import arrays_of
from mubinn.train.data.recordings import NO_LABEL
from mubinn.train.texts.vocabulary import check_sizes, numbering, text_of

PARTS = ("valid", "train")
"""Parts of a text, in the order of their folds."""

UNKNOWN, END = "<unk>", "<eos>"
"""What rarer words are called, and the end of a line."""

PIECES = 20
"""Pieces that a part is cut into, in place of subjects."""

WORDS = 10_000


def next_words(
    path: Path,
    *,
    words: int | None = None,
    context: int = 20,
    steps: int = 20,
    characters: bool = False,
) -> tuple[dict[str, NDArray[Any]], str]:
    """Return windows of `context` steps without labels and `steps` with the next word as theirs.

    Fold 0 is the part valid, fold 1 the part train. Each part is cut into `PIECES` subjects that
    follow each other. The labelled steps of windows lie side by side; of a part only the first
    `context` + 1 words, and at the end fewer than `steps`, are the label of none.

    Parameters
    ----------
    path : Path
        A folder with ``train.txt`` and ``valid.txt``, or an .npz with the numbers of words
        ``train`` and ``valid``, and maybe what they are called: ``words``, text, or ``symbols``,
        code points.
    words : int or None
        Numbers that there are in texts, `WORDS` for None: 0 stands for words that are rarer in
        train, and the most frequent ones follow.
    context, steps : int
    characters : bool
        Take each character of texts, the ends of lines as well, for a word. Else words stand
        between blanks, and the end of a line is one more.

    Returns
    -------
    arrays : dict
        What an .npz for training holds.
    told : str
        How many words there are.

    Raises
    ------
    MubinnError
        The folder or file is missing or damaged or lacks a part, a part fills no window, or an
        option is for texts alone.
    """
    if context < 0:
        raise MubinnError(f"A context of {context} steps there is not: give 0 or more.")
    check_sizes(words or WORDS, 1, steps)
    if path.is_dir():
        parts, names = _texts(path, words or WORDS, characters)
    elif words is not None or characters:
        raise MubinnError(
            f"{path} holds words by their numbers: leave out --words and --characters, which are "
            "for texts."
        )
    else:
        parts, names = _numbers(path)
    found = [_windows(path, part, own, context, steps) for part, own in parts.items()]
    x, y = (np.concatenate(column) for column in zip(*found, strict=True))
    counts = [len(own) for own, _ in found]
    arrays: dict[str, NDArray[Any]] = {
        "X": x[:, :, None].astype(np.int32),
        "y": y,
        "subject": np.concatenate(
            [k * PIECES + np.arange(n) * PIECES // n for k, n in enumerate(counts)]
        ),
        "fold": np.repeat([0, 1], counts),
        "classes": np.array(names),
        "channels": np.array(["character" if characters else "word"]),
    }
    read = ", ".join(f"{len(own)} of {part}" for part, own in parts.items())
    return arrays, f"words: {read}; {steps} of {context + steps} steps labelled"


def next_characters(path: Path) -> tuple[dict[str, NDArray[Any]], str]:
    """Return `next_words` of the characters of texts, or of numbers that stand for some.

    Windows have 20 steps without labels, and 100 with.
    """
    return next_words(path, steps=100, characters=path.is_dir())


def _windows(
    path: Path, part: str, numbers: Ints, context: int, steps: int
) -> tuple[Ints, NDArray[np.int64]]:
    length = context + steps
    if len(numbers) <= length:
        raise MubinnError(
            f"{path} has {len(numbers)} words of {part}, which fill no window of {length} steps "
            "and its last label: give more, or fewer --context and --steps."
        )
    every = sliding_window_view(numbers, length + 1)[::steps]
    y = every[:, 1:].astype(np.int64)
    y[:, :context] = NO_LABEL
    return every[:, :-1], y


def _numbers(path: Path) -> tuple[dict[str, Ints], list[str]]:
    found = arrays_of(path, **dict.fromkeys(PARTS, 1))
    read = read_arrays(path)
    for part, own in found.items():
        if own.dtype.kind not in "iu" or own.min() < 0 or own.max() >= MOST_ROWS:
            raise MubinnError(
                f"{path} has a part {part} that are no numbers of words, whole and from 0 to "
                f"{MOST_ROWS - 1}: number the words."
            )
    parts = {part: own.astype(np.int64) for part, own in found.items()}
    count = 1 + max(int(own.max()) for own in parts.values())
    named = read if isinstance(read, dict) else {}
    names = list(map(str, range(count)))
    if "words" in named:
        names = [str(word) for word in named["words"].tolist()]
    elif "symbols" in named and named["symbols"].dtype.kind in "iu":
        names = [shown(chr(code)) for code in named["symbols"].tolist()]
    if len(names) < count:
        raise MubinnError(
            f"{path} names {len(names)} words and has numbers up to {count - 1}: name all."
        )
    return parts, names


def _texts(path: Path, words: int, characters: bool) -> tuple[dict[str, Ints], list[str]]:
    parts = {part: _split(text_of(path / f"{part}.txt"), characters) for part in PARTS}
    known = ([one for one in parts["train"] if one != UNKNOWN],)
    numbers = numbering(known, words, 1)
    names = [UNKNOWN, *(shown(one) if characters else one for one in numbers)]
    coded: Iterable[tuple[str, Sequence[str]]] = parts.items()
    return {p: np.array([numbers.get(one, 0) for one in own], np.int64) for p, own in coded}, names


def _split(text: str, characters: bool) -> Sequence[str]:
    if characters:
        return text
    return [word for line in text.splitlines() for word in (*line.split(), END)]


def shown(character: str) -> str:
    """Return a character, or its code point where it would not be seen.

    >>> shown("a"), shown(" "), shown("\\n")
    ('a', 'U+0020', 'U+000A')
    """
    seen = character.isprintable() and not character.isspace()
    return character if seen else f"U+{ord(character):04X}"
