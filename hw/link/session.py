"""Windows over a serial port to a board, and what becomes of them, for hours."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.link.host import (
    Awaited,
    Event,
    Host,
    Loaded,
    Restored,
    Saved,
    Status,
    Unloaded,
    Unrestored,
    Unsaved,
)
from mubinn.hw.link.packets import FLAG, WRAP

LOADS = 10
"""Loads that a board loses, as by a reset, after which something is wrong with it; or states."""

AHEAD = 4
"""Windows under way, most."""

ANSWERS = 10
"""Questions without any answer after which nobody is there."""


class Wire(Protocol):
    """What `Session` needs of a port, of pyserial or any other.

    A read returns what there is after a short while at most, with fewer bytes or none.
    """

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""

    def read(self, size: int = 1, /) -> bytes:
        """Return up to `size` bytes."""

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""


@dataclass(frozen=True)
class Pauses:
    """Bytes 0x7E, packets of nothing, that keep a host from sending earlier than a board takes.

    A serial host does not see pin ready; these take their time on the line, whatever its rate.

    Attributes
    ----------
    within, behind : int
        After a packet inside a window, and after a window's last.
    given : int
        After a packet of a state.
    """

    within: int = 0
    behind: int = 0
    given: int = 0


@dataclass(frozen=True)
class Sent:
    """A window is on its way, its number as in results."""

    window: int


@dataclass(frozen=True)
class Loading:
    """So many packets of the weights are in the board, or on their way."""

    sent: int
    packets: int


@dataclass(frozen=True)
class Anew:
    """The state of the board has begun anew: the line had lost what it was."""


class Session:
    """Sends windows, no faster than the board takes them, and tells what becomes of each.

    At most `ahead` windows are neither decided on nor dropped: results are what lets the next ones
    go. Where the board says nothing for a while it is asked what has become of them, so that every
    window ends in its last result or in `Dropped`, whatever the line loses. A board that says
    nothing but that it is at work has hung.

    Weights are loaded first, packet by packet: each follows when the board has the one before, and
    is sent again where the line has lost it. They are loaded again where the board says that it has
    none, as after a reset. Windows that were under way then are dropped.

    A board whose state has a port takes no window that goes on from others once a packet is
    missing. Where it says so, windows that are under way end, and its state begins anew, by a clear
    (`Anew`); the first time by `state`, where there is one.

    Parameters
    ----------
    wire : Wire
    host : Host
    contents : bytes
        Weights to load, as `Host.load` takes them; none where the board has its own.
    state : bytes
        What the first window goes on from, as `Host.set_state` takes it; none where it begins.
    pauses : Pauses
    ahead : int
    patience_s : float
        How long the board may say nothing before it is asked.
    work_s : float or None
        How long it may say nothing but that it is at work; by default `ANSWERS` questions.
    """

    def __init__(
        self,
        wire: Wire,
        host: Host,
        *,
        contents: bytes = b"",
        state: bytes = b"",
        pauses: Pauses | None = None,
        ahead: int = AHEAD,
        patience_s: float = 1.0,
        work_s: float | None = None,
    ) -> None:
        self._wire, self._host = wire, host
        self._pauses = pauses or Pauses()
        self._ahead, self._patience = ahead, patience_s
        self._work = ANSWERS * patience_s if work_s is None else work_s
        # Since when it says nothing else.
        self._working: float | None = None
        self._contents = contents
        # Weights are to be loaded; a load has ended; and what the board has said last.
        self._due, self._ended = bool(contents), False
        # What is to go in; and the board takes no window that goes on from others.
        self._state, self._torn = state, False
        self._status: Status | None = None
        self._asked = 0
        self._since = time.monotonic()

    def clear(self) -> None:
        """Have the board forget all that was before, and wait until it says so.

        Raises
        ------
        MubinnError
            It does not.
        """
        list(self._cleared())

    def _cleared(self) -> Iterator[Event]:
        for _ in range(ANSWERS):
            # What stands before the first 0x7E is a packet that is refused.
            self._send(self._host.clear())
            while time.monotonic() - self._since < self._patience:
                events = self._heard(1)
                yield from events
                # One of what was before has other counts.
                if any(isinstance(e, Status) and e.counts["received"] == 1 for e in events):
                    return
        raise _silent()

    def run(self, windows: Iterable[bytes | None]) -> Iterator[Sent | Loading | Anew | Event]:
        """Yield what happens to weights and windows, until each has its last result or is dropped.

        Parameters
        ----------
        windows : iterable of bytes, or None
            As `Host.window` takes them; None where there is none yet.

        Raises
        ------
        MubinnError
            The board does not answer, or hangs; it takes no weights, or not these, or waits for
            some; its state has no port, or does not come into it.
        """
        yield from self._ready()
        for data in windows:
            if data is None:
                yield from self._heard(0)
                continue
            while (due := self._due or self._torn) or len(self._host.open) >= self._ahead:
                yield from self._ready() if due else self._waited()
            number, frames = self._host.window(data)
            yield Sent(number)
            for frame in frames:
                last = frame is frames[-1]
                pause = self._pauses.behind if last else self._pauses.within
                self._send(frame + bytes([FLAG]) * pause)
                self._working = None
                yield from self._heard(0)
        while self._host.open:
            yield from self._waited()

    def save(self) -> Iterator[Loading | Anew | Event]:
        """Yield what happens until there is `Saved`: the state that a next window would go on from.

        Raises
        ------
        MubinnError
            The board does not answer; its state has no port, or does not come out of it.
        """
        for _ in range(LOADS):
            while self._host.open:
                yield from self._waited()
            yield from self._ready()
            yield from self._ported()
            number, frame = self._host.state()
            self._send(frame)
            found: Event | None = None
            while found is None:
                for event in self._waited():
                    yield event
                    if isinstance(event, Saved | Unsaved) and event.state == number:
                        found = event
            if isinstance(found, Saved):
                return
        raise MubinnError(
            f"The state has not come out of the board in {LOADS} tries: see to its line."
        )

    def _ready(self) -> Iterator[Loading | Anew | Event]:
        """Have weights and state in the board; windows under way end before they go in."""
        for _ in range(LOADS):
            yield from self._loaded()
            while self._torn and self._host.open:
                yield from self._waited()
            if self._state:
                yield from self._restored()
            elif self._torn:
                self._torn = False
                yield from self._cleared()
                yield Anew()
            if not (self._due or self._torn or self._state):
                return
        raise MubinnError(
            f"The state has not come into the board in {LOADS} tries: see to its power, its "
            "button, and its line."
        )

    def _restored(self) -> Iterator[Event]:
        """Have a state go in."""
        yield from self._ported()
        number, frames = self._host.set_state(self._state)
        for frame in frames:
            self._send(frame + bytes([FLAG]) * self._pauses.given)
        ended = False
        while not ended:
            for event in self._waited():
                yield event
                if isinstance(event, Restored | Unrestored) and event.state == number:
                    ended = True
                    if isinstance(event, Restored):
                        self._state = b""

    def _ported(self) -> Iterator[Event]:
        """Raise `MubinnError` where the state of a board does not go out and in."""
        while self._status is None:
            yield from self._waited()
        if "state" not in self._status.counts:
            raise MubinnError(
                "The board's state has no port: load the bitstream of this very model, made with "
                "--state-port."
            )

    def _loaded(self) -> Iterator[Loading | Event]:
        """Load the weights, if they are to be; windows under way end before."""
        for _ in range(LOADS):
            while self._due and self._host.open:
                yield from self._waited()
            if not self._due:
                return
            while self._status is None:
                yield from self._waited()
            self._check_takes()
            number, frames = self._host.load(self._contents)
            self._ended = False
            self._send(frames[0])
            yield Loading(1, len(frames))
            while not self._ended:
                for event in self._waited():
                    yield event
                    if isinstance(event, Awaited):
                        self._send(frames[event.packet])
                        yield Loading(event.packet + 1, len(frames))
            self._check_load(number)
        if self._due:
            raise MubinnError(
                f"The weights have not stayed in the board in {LOADS} tries: see to its power, its "
                "button, and that its bitstream is of this very model."
            )

    def _check_takes(self) -> None:
        """Raise `MubinnError` where a board has weights of its own."""
        assert self._status is not None
        if "weights" not in self._status.counts:
            raise MubinnError(
                "The board takes no weights, its bitstream has its own: load the bitstream of this "
                "very model, made with --load-weights."
            )

    def _check_load(self, number: int) -> None:
        """Raise `MubinnError` where a load will not do however often it is sent."""
        assert self._status is not None
        if self._status.refused and self._status.counts["weights"] == number % WRAP:
            raise MubinnError(
                "The board refuses the weights, its scales and tables are another model's: load "
                "the bitstream of this very model."
            )

    def _send(self, data: bytes) -> None:
        self._wire.write(data)
        self._since = time.monotonic()

    def _heard(self, least: int) -> list[Event]:
        """Return what has come; wait a short while for `least` bytes."""
        data = self._wire.read(max(least, self._wire.in_waiting))
        events = self._host.feed(data)
        if data:
            self._since = time.monotonic()
        if events:
            self._asked = 0
        for event in events:
            if not isinstance(event, Status) or not event.working:
                self._working = None
            if isinstance(event, Status):
                self._told(event)
            elif isinstance(event, Loaded | Unloaded):
                self._ended, self._due = True, isinstance(event, Unloaded)
        return events

    def _told(self, status: Status) -> None:
        self._status = status
        if status.empty and not self._contents:
            raise MubinnError(
                "The board waits for weights: give the folder that it was built in, or "
                "--load-weights."
            )
        self._due |= status.empty
        self._torn = bool(status.counts.get("broken"))
        if not status.working:
            return
        now = time.monotonic()
        self._working = now if self._working is None else self._working
        if now - self._working > self._work:
            raise MubinnError(
                f"The board has said for {self._work:.3g} s that it is at work, and given no "
                "result: see to its power and press its button, or load its bitstream again."
            )

    def _waited(self) -> list[Event]:
        """Return what comes within a short while; ask where nothing has for long."""
        events = self._heard(1)
        if not events and time.monotonic() - self._since > self._patience:
            if self._asked == ANSWERS:
                raise _silent()
            self._asked += 1
            self._send(self._host.ask())
        return events


def _silent() -> MubinnError:
    return MubinnError(
        "The board does not answer: see that it is switched on and loaded with this very model, "
        "and that port and rate are its own."
    )
