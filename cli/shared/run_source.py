"""Windows that are played to a board: of a recording, or samples as they come."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError

Samples = NDArray[np.generic]
_T = TypeVar("_T")

_POLL_S = 0.02


@dataclass(frozen=True, eq=False)
class Source:
    """What is played.

    Attributes
    ----------
    windows : iterator of arrays [T, C]
    name : str
    steps : int
        Of the longest window.
    total : int or None
        Steps of all; None where nobody knows.
    rate_hz : float or None
        Samples of a channel a second.
    channels : tuple of str
        Names.
    """

    windows: Iterator[Samples]
    name: str
    steps: int
    total: int | None
    rate_hz: float | None
    channels: tuple[str, ...]


def pieces(windows: Sequence[Samples], size: int, least: int, quantum: int) -> Iterator[Samples]:
    """Yield windows [T, C] cut into pieces of `size` samples, the last ones shorter.

    What is left at the end of one is whole steps of `quantum` samples, `least` at least, or none.

    >>> [len(part) for part in pieces(np.zeros((2, 7, 1)), 4, 1, 2)]
    [4, 2, 4, 2]
    """
    for window in windows:
        for start in range(0, len(window), size):
            part = window[start : start + size]
            part = part[: len(part) // quantum * quantum]
            if len(part) >= least:
                yield part


def lines(stream: TextIO, channels: int, size: int, least: int, quantum: int) -> Iterator[Samples]:
    """Yield windows of `size` samples of a text, a line of one whole number a channel each.

    Raises
    ------
    MubinnError
        A line is something else.
    """
    rows: list[list[int]] = []
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = [int(word) for word in line.replace(",", " ").split()]
        except ValueError:
            row = []
        if len(row) != channels:
            raise MubinnError(
                f"line {number} is not {channels} whole numbers: give a sample a line, its "
                "channels separated by commas."
            )
        rows.append(row)
        if len(rows) == size:
            yield np.array(rows, np.int64)
            rows = []
    yield from pieces([np.array(rows, np.int64).reshape(-1, channels)], size, least, quantum)


def paced(windows: Iterable[Samples], rate_hz: float | None) -> Iterator[Samples]:
    """Yield windows as they are over where `rate_hz` samples of a channel come a second."""
    begun, count = time.monotonic(), 0
    for window in windows:
        count += len(window)
        if rate_hz is not None:
            time.sleep(max(0.0, begun + count / rate_hz - time.monotonic()))
        yield window


def as_they_come(items: Iterator[_T]) -> Iterator[_T | None]:
    """Yield items, and None where the next one is not there yet; another thread waits for them."""
    waiting: queue.Queue[tuple[str, _T | BaseException | None]] = queue.Queue(4)

    def wait() -> None:
        try:
            for item in items:
                waiting.put(("item", item))
        except BaseException as error:
            waiting.put(("error", error))
        waiting.put(("end", None))

    threading.Thread(target=wait, daemon=True).start()
    for _ in itertools.count():
        try:
            kind, found = waiting.get(timeout=_POLL_S)
        except queue.Empty:
            yield None
            continue
        if kind == "end":
            return
        if isinstance(found, BaseException):
            raise found
        yield found


def seen(items: Iterable[_T | None], tell: Callable[[_T], None]) -> Iterator[_T | None]:
    """Yield items, and tell each that there is."""
    for item in items:
        if item is not None:
            tell(item)
        yield item
