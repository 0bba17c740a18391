"""Sentences: the Stanford Sentiment Treebank (Socher et al. 2013) as windows of words. NumPy only.

Five classes; every phrase of a sentence has one too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.compact import arrays_of
from mubinn.train.texts.vocabulary import check_sizes, numbering, text_of, windows_of

CLASSES = ("very negative", "negative", "neutral", "positive", "very positive")
UNKNOWN, FIRST = 1, 2
"""Numbers that are no words, and the most frequent word's."""

_TOKEN = re.compile(r"\(([0-4]) |\)|([^()\s]+)")


class Phrase(NamedTuple):
    """Words `start` to `end` of a sentence, and their class."""

    start: int
    end: int
    label: int


class Sentence(NamedTuple):
    """Words, by text or by number, and phrases, the whole sentence first."""

    words: Sequence[Any]
    phrases: Sequence[Phrase]


def tree(text: str) -> Sentence:
    """Return a sentence of a line of the set: ``(3 (2 It) (4 works))``.

    Raises
    ------
    MubinnError
        It is no tree.

    Examples
    --------
    >>> tree("(3 (2 It) (4 works))").words
    ['It', 'works']
    >>> tree("(3 (2 It) (4 works))").phrases[0]
    Phrase(start=0, end=2, label=3)
    """
    words: list[str] = []
    opened: list[tuple[int, int]] = []
    phrases: list[Phrase] = []
    rest = text.strip()
    while rest:
        found = _TOKEN.match(rest)
        if found is None or (phrases and not opened):
            break
        rest = rest[found.end() :].lstrip()
        if found[1]:
            opened.append((len(words), int(found[1])))
        elif found[2] and opened:
            words.append(found[2])
        elif opened:
            start, label = opened.pop()
            phrases.append(Phrase(start, len(words), label))
        else:
            break
    if rest or opened or not words:
        raise MubinnError(f"{text[:40]!r} is no tree of phrases, such as '(3 (2 It) (4 works))'.")
    return Sentence(words, phrases[::-1])


def sentences(
    path: Path, *, words: int = 20_000, steps: int = 52, phrases: bool = False
) -> tuple[dict[str, NDArray[Any]], str]:
    """Return windows of the set: what an .npz for training holds.

    Fold 0 is the set's test part, or without one its part for development; fold 1 has the sentences
    for training, and a part for development that is not fold 0 is fold 2. A sentence is a subject.

    Parameters
    ----------
    path : Path
        The folder of ``train.txt``, ``dev.txt`` and ``test.txt`` as it is published, a tree a line,
        or an .npz of ``x_train`` (whole numbers [sentences, words], padded behind), ``len_train``,
        ``span_train`` ([phrases, 4]: sentence, start, end, class) and the same of ``dev``.
    words : int
        Numbers that there are: 0 pads, 1 stands for words that are rarer, and from 2 on the most
        frequent words of the training part follow.
    steps : int
        Longer sentences are cut at their front; shorter ones are padded there.
    phrases : bool
        All phrases of the sentences for training are windows, each of its subject.

    Returns
    -------
    arrays : dict
    told : str
        How many were cut.

    Raises
    ------
    MubinnError
        The folder or file is missing or damaged.
    """
    check_sizes(words, FIRST, steps)
    parts = _published(path, words) if path.is_dir() else _compact(path, words)
    texts: list[Sequence[Any]] = []
    about: list[tuple[int, int, int]] = []
    whole = [(fold, sentence) for fold, part in parts for sentence in part]
    for number, (fold, sentence) in enumerate(whole):
        for phrase in sentence.phrases if phrases and fold == 1 else sentence.phrases[:1]:
            texts.append(sentence.words[phrase.start : phrase.end])
            about.append((phrase.label, number, fold))
    x, cut = windows_of(texts, steps)
    y, subject, fold_of = np.array(about, np.int64).T
    arrays: dict[str, NDArray[Any]] = {
        "X": x[:, :, None].astype(np.int32),
        "y": y,
        "subject": subject,
        "fold": fold_of,
        "classes": np.array(CLASSES),
        "channels": np.array(["word"]),
    }
    return arrays, f"{cut} cut to their last {steps} words"


def _published(path: Path, words: int) -> Iterator[tuple[int, list[Sentence]]]:
    parts = {name: _trees(path / f"{name}.txt") for name in ("train", "dev")}
    if (path / "test.txt").is_file():
        parts["test"] = _trees(path / "test.txt")
    numbers = numbering((one.words for one in parts["train"]), words, FIRST)
    held = "test" if "test" in parts else "dev"
    folds = {held: 0, "train": 1} | ({"dev": 2} if held == "test" else {})
    for name, fold in folds.items():
        yield (
            fold,
            [
                Sentence([numbers.get(word, UNKNOWN) for word in one.words], one.phrases)
                for one in parts[name]
            ],
        )


def _trees(file: Path) -> list[Sentence]:
    return [tree(line) for line in text_of(file).splitlines() if line.strip()]


def _compact(path: Path, words: int) -> Iterator[tuple[int, list[Sentence]]]:
    for fold, part in enumerate(("dev", "train")):
        names = {f"x_{part}": 2, f"len_{part}": 1, f"span_{part}": 2}
        x, lengths, spans = (a.astype(np.int64) for a in arrays_of(path, **names).values())
        sentence, start, end, label = spans.T if spans.shape[1] == 4 else np.zeros((4, 0), np.int64)
        good = len(lengths) == len(x) and len(sentence) and sentence.max() < len(x)
        if not good or x.min() < 0 or not np.isin(label, range(len(CLASSES))).all():
            raise MubinnError(f"{path} has a part {part} whose arrays do not fit: copy it again.")
        x = np.where(x < words, x, UNKNOWN)
        owned: list[list[Phrase]] = [[] for _ in x]
        for number, *about in zip(sentence, start, end, label, strict=True):
            owned[number].append(Phrase(*map(int, about)))
        found = []
        for row, length, own in zip(x, lengths, owned, strict=True):
            own.sort(key=lambda phrase: (phrase.start, -phrase.end))
            if not own or (own[0].start, own[0].end) != (0, length):
                raise MubinnError(f"{path} has a sentence without a class: copy it again.")
            found.append(Sentence(row[:length], own))
        yield fold, found
