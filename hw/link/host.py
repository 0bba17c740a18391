"""The host's end of a link: windows to packets, and what comes back to events."""

from collections.abc import Iterable
from dataclasses import dataclass

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.link.packets import (
    COUNTS,
    GIVING,
    LOADING,
    STAMP,
    TO_LOADED,
    TO_PORTED,
    WRAP,
    Flags,
    Kind,
    Packet,
    Receiver,
    check_room,
    pattern,
)

ANEW = 1 << 12
"""A counter of the board's below it, after a jump of so many or more, has begun anew."""


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
    """What the board has counted, by name as in `mubinn.hw.link.packets.COUNTS`, and its flags.

    `empty`: the weights are not loaded, or not all of them, and windows are dropped. `refused`:
    what was loaded last is another model's.
    """

    counts: dict[str, int]
    lost: bool
    working: bool
    empty: bool = False
    refused: bool = False


@dataclass(frozen=True)
class Loaded:
    """All weights of a load are in the board; windows may follow."""

    load: int


@dataclass(frozen=True)
class Awaited:
    """The packet of a load, counted from 0 on, that the board has not got yet."""

    load: int
    packet: int


@dataclass(frozen=True)
class Unloaded:
    """The board has lost a load, or it is another model's: no window follows before another."""

    load: int


@dataclass(frozen=True)
class Saved:
    """The state that `Host.state` asked for, whole: bytes as of the core's ring."""

    state: int
    data: bytes


@dataclass(frozen=True)
class Unsaved:
    """There is no state to be had, or packets of it are lost: it stays in the board; ask again.

    The board has none to give while it works, and where packets to it are missing.
    """

    state: int


@dataclass(frozen=True)
class Restored:
    """A state that was sent is in the board, whole; windows go on from it."""

    state: int


@dataclass(frozen=True)
class Unrestored:
    """Of a state packets are lost: no window that goes on from it is taken before another comes."""

    state: int


Event = (
    Result
    | Dropped
    | Lost
    | Status
    | Loaded
    | Awaited
    | Unloaded
    | Saved
    | Unsaved
    | Restored
    | Unrestored
)


_COUNTED = [COUNTS, COUNTS | LOADING, COUNTS | GIVING, COUNTS | LOADING | GIVING]
"""What a status may say, each of another size."""


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
    carries : bool
        The board has windows say whether they go on from the one before.
    state_bytes : int or None
        Bytes of the board's state, where it goes out and in: `LinkTop.state_bytes`.
    """

    def __init__(
        self,
        step: int,
        *,
        room: int | None = None,
        min_steps: int = 1,
        max_steps: int | None = None,
        carries: bool = False,
        state_bytes: int | None = None,
    ) -> None:
        room = check_room(step if room is None else room, step)
        self._step, self._share, self._room = step, room // step * step, room
        self._min, self._max = min_steps, max_steps
        self._counter = 0
        self._receiver = Receiver()
        self._awaited: int | None = None
        self._open: dict[int, int] = {}
        self._carries = carries
        # The load that windows wait for; its packets until its end is known, which is awaited, and
        # how many packets the board had refused when it said so.
        self._load: int | None = None
        self._load_frames: list[bytes] = []
        self._place, self._refused = 0, 0
        self._state_bytes = state_bytes
        # The state that is asked for and what has come of it, and the one that is sent; of each the
        # packet that follows it.
        self._save: tuple[int, int] | None = None
        self._parts: list[bytes] = []
        self._give: tuple[int, int] | None = None

    @property
    def open(self) -> list[int]:
        """Windows that are neither decided on nor dropped, the oldest first."""
        return list(self._open)

    def window(self, data: bytes, *, carried: bool = False) -> tuple[int, list[bytes]]:
        """Return a window's number, and the packets to send.

        With `carried` it goes on from the state of the window sent before it, and is dropped where
        that one is, or where packets of the time between are lost.

        Raises
        ------
        MubinnError
            `data` is not whole steps, or more or fewer than a window has; weights that were sent
            are not known to be there; the board has no windows that say `carried`.
        """
        if self._load is not None:
            raise MubinnError(
                f"the weights of load {self._load} are not known to be in the board: feed what it "
                "says until they are, or load them again."
            )
        if carried and not self._carries:
            raise MubinnError(
                "windows of this board do not say whether they go on from the one before: build it "
                "with the state of a register, and say so to the host."
            )
        steps, rest = divmod(len(data), self._step)
        if rest or steps < self._min or (self._max is not None and steps > self._max):
            most = "any number" if self._max is None else self._max
            raise MubinnError(
                f"{len(data)} bytes are no window: give {self._min} to {most} steps of "
                f"{self._step} bytes."
            )
        first = Flags.FIRST | (Flags.CARRIED if carried else Flags.NONE)
        number, frames = self._split(Kind.SAMPLES, data, self._share, first)
        self._open[number] = self._counter
        return number, frames

    def load(self, contents: bytes) -> tuple[int, list[bytes]]:
        """Return a load's number, and the packets to send: the weights of the model.

        One after the other: the first one, then each that an `Awaited` of `feed` names, the same
        again where the line has lost it; where the board says nothing, `ask` has it say so. They
        are in the board once `feed` has given `Loaded`. A window that is under way in parts is
        dropped.

        Parameters
        ----------
        contents : bytes
            `mubinn.hw.layer.loadable_memory.contents`.

        Raises
        ------
        MubinnError
            There are no contents.
        """
        if not contents:
            raise MubinnError("0 bytes are no weights: give the contents of the memories.")
        number, frames = self._split(Kind.WEIGHTS, contents, self._room, Flags.FIRST)
        self._load, self._load_frames, self._place = number, frames, 0
        return number, frames

    def state(self) -> tuple[int, bytes]:
        """Return a number, and the packet that has the board send its state, which stays in it.

        `feed` gives `Saved`, or `Unsaved`; `ask` settles which.

        Raises
        ------
        MubinnError
            The board's state has no port; or windows are under way, which change it.
        """
        self._ported()
        if self._open:
            raise MubinnError(
                f"window {next(iter(self._open))} is under way, and changes the state: feed what "
                "the board says until each window has its last result or is dropped."
            )
        number, frame = self._counter, self._packet(Kind.SAVE)
        self._save, self._parts = (number, self._counter), []
        return number, frame

    def set_state(self, data: bytes) -> tuple[int, list[bytes]]:
        """Return a number, and the packets to send: the state that the next window goes on from.

        `feed` gives `Restored`, or `Unrestored`; `ask` settles which. Windows may follow at once:
        they are dropped where it has not come whole. A window that is under way in parts is
        dropped.

        Parameters
        ----------
        data : bytes
            As `Saved` has them, or `mubinn.hw.accelerator.state_parts.state_bytes` makes them.

        Raises
        ------
        MubinnError
            The board's state has no port, or is of another size.
        """
        size = self._ported()
        if len(data) != size:
            raise MubinnError(
                f"a state of {len(data)} bytes is another board's: give the {size} bytes that this "
                "one has given."
            )
        number, frames = self._split(Kind.GIVE, data, self._room, Flags.FIRST)
        self._give = number, self._counter
        return number, frames

    def _ported(self) -> int:
        if self._state_bytes is None:
            raise MubinnError(
                "the state of this board does not go out or in: build its accelerator with "
                "state_port, and say to the host how many bytes it has."
            )
        return self._state_bytes

    def ask(self) -> bytes:
        """Return a packet that has the board send its status: of a load the one it waits for."""
        if self._load_frames:
            return self._load_frames[min(self._place, len(self._load_frames) - 1)]
        return self._packet(Kind.ASK)

    def clear(self) -> bytes:
        """Return a packet that has the board forget all windows and counts, and send its status.

        Of a load that is under way nothing more is heard: weights are to be loaded again.
        """
        self._open.clear()
        self._load_frames = []
        self._save = self._give = None
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
            events += self._gap(packet.counter)
            self._awaited = (packet.counter + 1) % WRAP
            if packet.kind is Kind.STATE:
                events += self._state(packet)
                continue
            events += self._result(packet) if packet.kind is Kind.RESULT else self._status(packet)
        return events

    def _gap(self, counter: int) -> list[Event]:
        """Return the loss that a counter tells of; one that has begun anew is that of a reset."""
        if self._awaited is None or counter == self._awaited:
            return []
        lost = (counter - self._awaited) % WRAP
        if lost >= ANEW > counter:
            lost = counter
        return [Lost(lost)] if lost else []

    def _split(self, kind: Kind, data: bytes, share: int, first: Flags) -> tuple[int, list[bytes]]:
        """Return the number of what is sent, and its packets of `share` bytes each."""
        number, frames = self._counter, []
        for start in range(0, len(data), share):
            payload = data[start : start + share]
            flags = Flags.NONE if start else first
            if start + len(payload) == len(data):
                flags |= Flags.LAST
            frames.append(self._packet(kind, payload, flags))
        return number, frames

    def _packet(self, kind: Kind, payload: bytes = b"", flags: Flags = Flags.NONE) -> bytes:
        assert kind in TO_LOADED | TO_PORTED
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

    def _state(self, packet: Packet) -> list[Event]:
        """Put a state together; no part is skipped, and none is of a core that has been cleared."""
        stamp = pattern(STAMP)
        if self._save is None or len(packet.payload) < stamp.size + 2:
            return []
        asked, place = stamp.unpack_from(packet.payload)
        number, _ = self._save
        if asked != number % WRAP:
            return []  # of a time before
        if place == len(self._parts) and packet.payload[-1] == 1:
            self._parts.append(packet.payload[stamp.size : -1])
        if Flags.LAST not in packet.flags:
            return []
        data, self._save = b"".join(self._parts), None
        whole = place == len(self._parts) - 1 and len(data) == self._state_bytes
        return [Saved(number, data) if whole else Unsaved(number)]

    def _settled(self, counts: dict[str, int], past: int) -> list[Event]:
        """Return what has become of states, where the board does not work any more."""
        found: list[Event] = []
        if self._save is not None and self._save[1] <= past:
            found.append(Unsaved(self._save[0]))
            self._save = None
        if self._give is not None and self._give[1] <= past:
            number, _ = self._give
            # What is missing behind it breaks as much as what is missing of it.
            whole = counts.get("state") == number % WRAP and not counts["broken"]
            found.append(Restored(number) if whole else Unrestored(number))
            self._give = None
        return found

    def _status(self, packet: Packet) -> list[Event]:
        named = {pattern(own).size: own for own in _COUNTED}
        fields = named[len(packet.payload)]
        loads = "weights" in fields
        counts = dict(zip(fields, pattern(fields).unpack(packet.payload), strict=True))
        working, lost = Flags.WORKING in packet.flags, Flags.LOST in packet.flags
        empty, refused = (loads and flag in packet.flags for flag in (Flags.EMPTY, Flags.REFUSED))
        found: list[Event] = [Status(counts, lost, working, empty, refused)]
        if not working:
            past = self._whole(counts["expected"])
            gone = [number for number, end in self._open.items() if end <= past]
            for number in gone:
                del self._open[number]
            found += [Dropped(number) for number in gone]
            found += self._settled(counts, past)
        if self._load is not None and self._load_frames:
            found += self._told_of_load(self._load, counts, working, empty)
        return found

    def _told_of_load(
        self, load: int, counts: dict[str, int], working: bool, empty: bool
    ) -> list[Event]:
        """Return what a status says of a load: which packet is awaited, or how it has ended."""
        place = (counts["expected"] - load) % WRAP
        own = counts.get("weights") == load % WRAP
        if place < len(self._load_frames) and (own or not place):
            news = place != self._place or counts["refused"] != self._refused
            self._place, self._refused = place, counts["refused"]
            return [Awaited(load, place)] if news else []
        if working:
            return []
        self._load_frames = []
        if not own or empty:
            return [Unloaded(load)]
        self._load = None
        return [Loaded(load)]
