"""What a board says, as lines of a table, and what is kept of it for the end."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.model.head import head_of
from mubinn.hw.link.host import Dropped, Event, Lost, Result, Status

if TYPE_CHECKING:
    from mubinn.cli.shared.board import Board

LOST, MISSED, DROPPED = "lost", "missed", "dropped"
"""Flags: packets to the board were lost before this, packets of the board were, no decision."""


@dataclass
class Flight:
    """A window that has been sent.

    Attributes
    ----------
    place : int
        How many were before it.
    start, steps : int
        Its first step, counted from the first one of all, and how many it has.
    samples : [T, C]
    found : dict
        Its results by index, as a driver has them.
    """

    place: int
    start: int
    steps: int
    samples: NDArray[Any]
    found: dict[int, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """A window of which no more comes; `whole` where its last result is there."""

    flight: Flight
    whole: bool


@dataclass
class Counts:
    """What has happened so far.

    Attributes
    ----------
    windows, steps : int
        Sent.
    decisions : int
        Results that came.
    dropped : int
        Windows without a last result.
    lost : int
        Answers which say that packets to the board were lost before them.
    missed : int
        Packets of the board that did not come.
    """

    windows: int = 0
    steps: int = 0
    decisions: int = 0
    dropped: int = 0
    lost: int = 0
    missed: int = 0


class Table:
    """Writes a line for each result, and for each window that has none, as they come.

    Parameters
    ----------
    board : Board
    names : sequence of str
        Of the classes.
    out : text file
    rate_hz : float or None
        Samples of a channel a second.
    samples : int
        Samples of a channel that make a step.
    kept : bool
        Keep what is decided, for a picture.

    Attributes
    ----------
    counts : Counts
    latest : str
        What was last decided, in words.
    decided : list of (int, int or None, list of int)
        Step, class and scores of each result, with `kept`.
    gaps : list of (int, int)
        First and last step of each window that is dropped, with `kept`.
    """

    def __init__(
        self,
        board: Board,
        names: Sequence[str],
        out: TextIO,
        rate_hz: float | None,
        samples: int,
        *,
        kept: bool = False,
    ) -> None:
        self._board, self._names = board, names
        self._head = head_of(board.model.head)
        self._reading = board.model.reading
        self._seconds = None if rate_hz is None else samples / rate_hz
        self._flights: dict[int, Flight] = {}
        self._missed, self._kept = False, kept
        self.decided: list[tuple[int, int | None, list[int]]] = []
        self.gaps: list[tuple[int, int]] = []
        self.counts = Counts()
        self.latest = ""
        outputs = board.model.outputs
        if self._head.name == "classes":
            scores = [f"score_{name}" for name in names]
        elif self._head.name == "sigmoid":
            scores = ["score"]
        else:
            scores = [f"{kind}_{k}" for kind in ("value", "score") for k in range(outputs)]
        decided = [] if self._head.decision is None else ["class"]
        columns = ["window", "step", "time_s", *decided, *scores, "flags"]
        self._out = out
        self._writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
        self._writer.writeheader()

    def sent(self, number: int, samples: NDArray[Any], steps: int) -> None:
        """Note a window that is on its way."""
        counts = self.counts
        self._flights[number] = Flight(counts.windows, counts.steps, steps, samples)
        counts.windows += 1
        counts.steps += steps

    def told(self, event: Event) -> list[Ended]:
        """Write what an event says; return the windows that end with it."""
        counts = self.counts
        if isinstance(event, Lost):
            counts.missed += event.packets
            self._missed = True
            return []
        if isinstance(event, Status):
            counts.lost += event.lost
            return []
        if isinstance(event, Dropped):
            flight = self._flights.pop(event.window)
            counts.dropped += 1
            if self._kept:
                self.gaps.append((flight.start, flight.start + flight.steps - 1))
            self._write(flight, flight.steps - 1, {}, [DROPPED])
            self.latest = DROPPED
            return [Ended(flight, whole=False)]
        # Of the weights nothing is written: they are there before the first window.
        return self._result(event) if isinstance(event, Result) else []

    def seconds(self, step: int) -> float | None:
        """Return the time at the end of a step."""
        return None if self._seconds is None else (step + 1) * self._seconds

    def _result(self, event: Result) -> list[Ended]:
        flight = self._flights[event.window]
        found = self._board.driver.unpack(event.data)
        flight.found[event.index] = found
        self.counts.decisions += 1
        self.counts.lost += event.lost
        step = int(self._reading.given(flight.steps)[event.index])
        if self._kept:
            self.decided.append((flight.start + step, found.get("label"), self._scores(found)))
        self._write(
            flight, step, self._said(found, flight, event.index), [LOST] if event.lost else []
        )
        if not event.last:
            return []
        del self._flights[event.window]
        return [Ended(flight, whole=True)]

    def _said(self, found: dict[str, Any], flight: Flight, index: int) -> dict[str, Any]:
        """Return the columns of a window's result of some index."""
        scores = self._scores(found)
        if self._head.decision is None:
            divisor = np.broadcast_to(
                self._reading.divisor(flight.steps), (self._reading.results(flight.steps), 1)
            )
            fraction = self._board.model.dense.b.fraction
            values = (np.ldexp(np.array(scores, float), -fraction) / divisor[index]).tolist()
            self.latest = f"{values[0]:.4g}"
            columns = {f"value_{k}": value for k, value in enumerate(values)}
            return columns | {f"score_{k}": score for k, score in enumerate(scores)}
        self.latest = self._names[found["label"]]
        if len(scores) == 1:
            return {"class": self.latest, "score": scores[0]}
        own = {f"score_{name}": score for name, score in zip(self._names, scores, strict=True)}
        return {"class": self.latest, **own}

    def _scores(self, found: dict[str, Any]) -> list[int]:
        numbers = found[self._head.field]
        return numbers if isinstance(numbers, list) else [numbers]

    def _write(self, flight: Flight, step: int, said: dict[str, Any], flags: list[str]) -> None:
        step += flight.start
        if self._missed:
            flags = [*flags, MISSED]
            self._missed = False
        time_s = self.seconds(step)
        place = {"window": flight.place, "step": step}
        timed = {} if time_s is None else {"time_s": f"{time_s:.6g}"}
        self._writer.writerow({**place, **timed, **said, "flags": " ".join(flags)})
        self._out.flush()
