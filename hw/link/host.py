"""The host's end of a link: windows to packets, and what comes back to events."""

from collections.abc import Iterable
from dataclasses import dataclass

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.link.packets import (
    COUNTS,
    STAMP,
    TO_BOARD,
    WRAP,
    Flags,
    Kind,
    Packet,
    Receiver,
    check_room,
    pattern,
)


@dataclass(frozen=True)
class Result:
    """A result of a window that was sent, all of it.

    Attributes
    ----------
    window : int
        As `Host.window` has numbered it.
    index : int
        Which of its window's results it is.
    data : bytes
        The core's result, as on an AXI4-Stream of bytes.
    last : bool
        It is its window's last.
    lost : bool
        Packets to the board have been lost since it last said so; not those of this window, or,
        where each step has a result, not those up to this step.
    """

    window: int
    index: int
    data: bytes
    last: bool
    lost: bool


@dataclass(frozen=True)
class Dropped:
    """A window that will have no last result: packets of it, or its result, are lost."""

    window: int


@dataclass(frozen=True)
class Lost:
    """So many packets of the board did not come, or not whole."""

    packets: int


@dataclass(frozen=True)
class Status:
    """What the board has counted, by name as in `mubinn.hw.link.packets.COUNTS`, and its flags."""

    counts: dict[str, int]
    lost: bool
    working: bool


Event = Result | Dropped | Lost | Status


class Host:
    """Numbers windows and packets, and tells what became of each.

    A window is decided on, or dropped, or still on its way: `ask` settles which, once the board has
    had the time to work on the last one.

    Parameters
    ----------
    step : int
        Bytes of a time step, as on an AXI4-Stream of bytes.
    room : int or None
        Bytes of the longest payload that the board takes; by default one step's.
    min_steps, max_steps : int, int or None
        Of a window.
    """

    def __init__(
        self,
        step: int,
        *,
        room: int | None = None,
        min_steps: int = 1,
        max_steps: int | None = None,
    ) -> None:
        room = check_room(step if room is None else room, step)
        self._step, self._share = step, room // step * step
        self._min, self._max = min_steps, max_steps
        self._counter = 0
        self._receiver = Receiver()
        self._awaited: int | None = None
        self._open: dict[int, int] = {}

    @property
    def open(self) -> list[int]:
        """Windows that are neither decided on nor dropped, the oldest first."""
        return list(self._open)

    def window(self, data: bytes) -> tuple[int, list[bytes]]:
        """Return a window's number, and the packets to send.

        Raises
        ------
        MubinnError
            `data` is not whole steps, or more or fewer than a window has.
        """
        steps, rest = divmod(len(data), self._step)
        if rest or steps < self._min or (self._max is not None and steps > self._max):
            most = "any number" if self._max is None else self._max
            raise MubinnError(
                f"{len(data)} bytes are no window: give {self._min} to {most} steps of "
                f"{self._step} bytes."
            )
        number, frames = self._counter, []
        for start in range(0, len(data), self._share):
            payload = data[start : start + self._share]
            flags = Flags.NONE if start else Flags.FIRST
            if start + len(payload) == len(data):
                flags |= Flags.LAST
            frames.append(self._packet(Kind.SAMPLES, payload, flags))
        self._open[number] = self._counter
        return number, frames

    def ask(self) -> bytes:
        """Return a packet that has the board send its status."""
        return self._packet(Kind.ASK)

    def clear(self) -> bytes:
        """Return a packet that has the board forget all windows and counts, and send its status."""
        self._open.clear()
        return self._packet(Kind.CLEAR)

    def feed(self, data: Iterable[int]) -> list[Event]:
        """Return what bytes of the board say.

        >>> host = Host(2)
        >>> first, _ = host.window(b"abcd")
        >>> second, _ = host.window(b"efgh")
        >>> stamp = pattern(STAMP).pack(second, 0)
        >>> sent = Packet(Kind.RESULT, 0, stamp + b"!", Flags.LAST | Flags.LOST)
        >>> for event in host.feed(sent.frame()):
        ...     print(event)
        Dropped(window=0)
        Result(window=2, index=0, data=b'!', last=True, lost=True)
        """
        events: list[Event] = []
        for packet in self._receiver.feed(data):
            if packet is None:
                continue  # the counter of the next one tells
            if self._awaited is not None and packet.counter != self._awaited:
                events.append(Lost((packet.counter - self._awaited) % WRAP))
            self._awaited = (packet.counter + 1) % WRAP
            events += self._result(packet) if packet.kind is Kind.RESULT else self._status(packet)
        return events

    def _packet(self, kind: Kind, payload: bytes = b"", flags: Flags = Flags.NONE) -> bytes:
        assert kind in TO_BOARD
        packet = Packet(kind, self._counter % WRAP, payload, flags)
        self._counter += 1
        return packet.frame()

    def _whole(self, counter: int) -> int:
        """Return which of the packets up to now has, or the next one is to have, a counter."""
        return self._counter - (self._counter - counter) % WRAP

    def _result(self, packet: Packet) -> list[Event]:
        window, index = pattern(STAMP).unpack_from(packet.payload)
        window = self._whole(window)
        if window not in self._open:
            return []  # of a time before a clear
        dropped: list[Event] = [Dropped(number) for number in self._open if number < window]
        last = Flags.LAST in packet.flags
        data = packet.payload[pattern(STAMP).size :]
        found = Result(window, index, data, last, Flags.LOST in packet.flags)
        self._open = {
            n: end for n, end in self._open.items() if n > window or (n == window and not last)
        }
        return [*dropped, found]

    def _status(self, packet: Packet) -> list[Event]:
        counts = dict(zip(COUNTS, pattern(COUNTS).unpack(packet.payload), strict=True))
        working = Flags.WORKING in packet.flags
        found: list[Event] = [Status(counts, Flags.LOST in packet.flags, working)]
        if not working:
            past = self._whole(counts["expected"])
            gone = [number for number, end in self._open.items() if end <= past]
            for number in gone:
                del self._open[number]
            found += [Dropped(number) for number in gone]
        return found
