"""A recording on its way to a board: what is sent, what comes of it, what is told in the end."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
import numpy as np
from numpy.typing import NDArray

from mubinn.cli.shared.common import print_json

if TYPE_CHECKING:
    from mubinn.cli.shared.board import Board
    from mubinn.cli.shared.run_check import Checker, Difference
    from mubinn.cli.shared.run_source import Samples, Source
    from mubinn.cli.shared.run_table import Table
    from mubinn.hw.link.session import Session
    from mubinn.sim.link.virtual_board import BoardCount

_LINE_S = 10.0


class Play:
    """A recording on its way to a board, and what is known so far."""

    def __init__(
        self,
        board: Board,
        source: Source,
        names: Sequence[str],
        out: TextIO,
        *,
        check: bool,
        drawn: bool,
        state: bytes = b"",
        saving: bool = False,
    ) -> None:
        from mubinn.cli.shared.run_check import Checker, Packer
        from mubinn.cli.shared.run_table import Table
        from mubinn.reports.played import CHANNELS

        self.board, self.source = board, source
        self.names = names
        self.quantum = board.quantum
        self.table: Table = Table(board, self.names, out, source.rate_hz, self.quantum, kept=drawn)
        self.checker: Checker | None = Checker(board, state) if check else None
        self.difference: Difference | None = None
        self.interrupted = False
        self.state, self.saving = state, saving
        self.saved = b""
        # How often the state has begun anew, and whether it has at last.
        self.restarts, self.lapsed = 0, False
        self.loads = 0
        self.seconds = 0.0
        self._packer = Packer(board)
        count = board.model.channels
        self._drawn = np.linspace(0, count - 1, min(count, CHANNELS)).round().astype(int)
        self._signal: list[NDArray[Any]] | None = [] if drawn else None
        self._waiting: list[Samples] = []

    def session(self, wire: Any, patience_s: float, clock_hz: float) -> Session:
        """Return the host's session, on a board that has forgotten all that was before."""
        from mubinn.hw.accelerator.link_accelerator import latency, pauses
        from mubinn.hw.link.session import AHEAD, ANSWERS, Session

        between = pauses(self.board.top, self.source.steps)
        working = AHEAD * latency(self.board.top, self.source.steps) / clock_hz
        found = Session(
            wire,
            self.board.host(),
            contents=self.board.contents,
            state=self.state,
            pauses=between,
            patience_s=patience_s,
            work_s=ANSWERS * patience_s + working,
        )
        found.clear()
        return found

    def run(self, session: Session, show: Any, quiet: bool) -> None:
        """Play all of it, or up to the first difference, or to an interruption.

        Where the state is to be saved, what is under way at a first interruption ends before.
        """
        begun = time.monotonic()
        try:
            with _first_interruption(self._interrupt) if self.saving else nullcontext():
                self._follow(session.run(self._payloads()), show, quiet)
            if self.saving and self.difference is None:
                self.lapsed = False
                self._follow(session.save(), show, quiet)
        except KeyboardInterrupt:
            self.interrupted = True
        self.seconds = time.monotonic() - begun

    def _interrupt(self) -> None:
        self.interrupted = True

    def _follow(self, events: Iterator[Any], show: Any, quiet: bool) -> None:
        from mubinn.hw.link.session import Loading, Sent

        told = time.monotonic()
        counts, total = self.table.counts, self.source.total
        for event in events:
            if isinstance(event, Sent):
                samples = self._waiting.pop()
                self.table.sent(event.window, samples, len(samples) // self.quantum)
                continue
            if isinstance(event, Loading):
                show("loading weights", event.sent, event.packets)
                continue
            self._note(event)
            if self.difference is not None:
                break
            show(self.table.latest, counts.steps, total or counts.steps)
            if not quiet and not sys.stderr.isatty() and time.monotonic() - told > _LINE_S:
                told = time.monotonic()
                of = "" if total is None else f" of {total:,}"
                click.echo(f"step {counts.steps:,}{of}: {self.table.latest}", err=True)

    def _note(self, event: Any) -> None:
        """Keep what an event says, and compare the windows that end with it."""
        from mubinn.hw.link.host import Loaded, Saved
        from mubinn.hw.link.session import Anew

        self.loads += isinstance(event, Loaded)
        if isinstance(event, Saved):
            self.saved = event.data
        if isinstance(event, Anew) and self.table.counts.windows:
            # Before the first window nothing is lost: weights have come, and no state.
            self.restarts, self.lapsed = self.restarts + 1, True
            if self.checker is not None:
                self.checker.anew()
        for ended in self.table.told(event):
            if self.checker is not None and self.difference is None:
                flight = ended.flight
                self.difference = self.checker.ended(
                    flight.place, flight.samples, flight.found, ended.whole
                )

    def _payloads(self) -> Iterator[bytes | None]:
        """Yield windows as they are sent; of what comes in its own time, None until it is there."""
        from mubinn.cli.shared.run_source import as_they_come

        for samples in as_they_come(self.source.windows):
            if self.interrupted:
                return
            if samples is None:
                yield None
                continue
            self._waiting.append(samples)
            if self._signal is not None:
                self._signal.append(samples[:, self._drawn])
            yield self._packer.packed(samples)

    def picture(self) -> bytes:
        """Return the picture of what was played."""
        from mubinn.reports.played import Played, played_picture

        table, source, signal = self.table, self.source, self._signal
        assert signal is not None
        per_step = 1.0 if source.rate_hz is None else self.quantum / source.rate_hz
        steps, labels, scores = zip(*table.decided, strict=True)
        regression = labels[0] is None
        names = self.names if not regression else [str(k) for k in range(len(scores[0]))]
        if len(scores[0]) == 1 and not regression:
            names = ["score"]
        return played_picture(
            Played(
                f"{source.name}: {table.counts.steps:,} steps, {table.counts.decisions:,} results",
                "steps" if source.rate_hz is None else "s",
                np.concatenate(signal),
                [source.channels[k] for k in self._drawn],
                table.counts.steps * per_step,
                (np.array(steps) + 1) * per_step,
                np.array(scores),
                None if regression or len(scores[0]) == 1 else np.array(labels),
                names,
                [(begin * per_step, (end + 1) * per_step) for begin, end in table.gaps],
            )
        )

    def _loaded(self) -> str:
        """Return how often weights were loaded, in words."""
        size = len(self.board.contents)
        times = "once" if self.loads == 1 else f"{self.loads} times"
        return f" {size:,} bytes of weights were loaded {times}." if size else ""

    def _states(self) -> Iterator[str]:
        """Yield what became of the state, in sentences."""
        if self.restarts:
            times = "once" if self.restarts == 1 else f"{self.restarts} times"
            yield f"The state began anew {times}, as the line had lost what it was."
        if self.saved:
            anew = ", that of a board that begins anew" if self.lapsed else ""
            yield f"The state, {len(self.saved):,} bytes, is saved{anew}."
        elif self.saving:
            yield "The state is not saved."

    def _asleep(self, counted: BoardCount) -> float | None:
        """Return the share of time that a core sleeps, its steps coming at the recording's rate.

        None where it never does, or rate or clock are not known.
        """
        hertz, clock = self.source.rate_hz, self.board.clock_hz
        if not self.board.top.sleeps or hertz is None or clock is None:
            return None
        return 1 - self._awake(counted) * hertz / self.quantum / clock

    def _awake(self, counted: BoardCount) -> float:
        """Return the cycles of a step in which the core had a clock."""
        return (counted.cycles - counted.asleep) / max(1, self.table.counts.steps)

    def _slept(self, counted: BoardCount) -> str:
        """Return for how long the core had no clock, in words."""
        if not self.board.top.sleeps:
            return ""
        awake, share = self._awake(counted), self._asleep(counted)
        told = (
            f" In {counted.asleep:,} of them its core slept; awake it was for {awake:,.0f} a step"
        )
        if share is None:
            return f"{told}."
        assert self.source.rate_hz is not None
        assert self.board.clock_hz is not None
        return (
            f"{told}: at {self.source.rate_hz / self.quantum:g} steps a second and "
            f"{self.board.clock_hz / 1e6:g} MHz it sleeps {100 * share:.2f} % of the time."
        )

    def _report(self, counted: BoardCount | None) -> dict[str, Any]:
        """Return what has happened, as JSON types."""
        counts = self.table.counts
        rate = 1e3 * self.seconds / max(1, counts.steps)
        report: dict[str, Any] = {"data": self.source.name, **asdict(counts)}
        report |= {"seconds": self.seconds, "ms_per_step": rate}
        if self.checker is not None:
            report |= {"equal": self.difference is None, "compared": self.checker.compared}
        weights = len(self.board.contents)
        report |= {"loads": self.loads, "load_bytes": weights} if weights else {}
        if self.board.top.state_bytes is not None:
            report |= {"restarts": self.restarts, "saved_bytes": len(self.saved) or None}
            report |= {"lapsed": self.lapsed} if self.saving else {}
        if counted is not None:
            report |= {"simulated": asdict(counted), "asleep": self._asleep(counted)}
        return report

    def tell(self, counted: BoardCount | None, output: Path | None, as_json: bool) -> None:
        """Say what has happened."""
        counts, report = self.table.counts, self._report(counted)
        if as_json:
            print_json(report)
            return

        def say(text: str) -> None:
            click.echo(text, err=output is None)

        say(
            f"{counts.windows:,} windows, {counts.steps:,} steps of {self.source.name}: "
            f"{counts.decisions:,} results, {counts.dropped:,} windows dropped; "
            f"{self.seconds:.1f} s, {report['ms_per_step']:.2f} ms a step.{self._loaded()}"
        )
        for sentence in self._states():
            say(sentence)
        if counted is not None:
            say(f"The simulated board ran {counted.cycles:,} clock cycles.{self._slept(counted)}")
            for name, line in (("to", counted.to_board), ("from", counted.from_board)):
                if line.lost or line.flipped:
                    say(
                        f"On the line {name} the board {line.lost:,} of {line.bytes:,} bytes were "
                        f"lost and {line.flipped:,} flipped, in {line.touched:,} of "
                        f"{line.packets:,} packets."
                    )
        if self.difference is not None:
            where = self.difference
            click.echo(
                f"mubinn: result {where.index} of window {where.window} is {where.found}, and the "
                f"bit-true model has {where.wanted}.",
                err=True,
            )
        elif self.checker is not None:
            say(f"All {self.checker.compared:,} results compared equal the bit-true model.")
            if not self.checker.known:
                say("Then its state could not be told after many losses: the rest is not compared.")


@contextmanager
def _first_interruption(tell: Callable[[], None]) -> Iterator[None]:
    """Have a first Ctrl-C call `tell`; the next one interrupts."""

    def heard(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        tell()

    before = signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
