"""Packets of a link: how they are framed, and what they say. No hardware: host and tests use it.

The frame is that of RFC 1662, octet-stuffed HDLC: 0x7E stands before and behind each packet and
nowhere inside it, for 0x7E and 0x7D are sent as 0x7D and the byte with bit 5 turned over. So
whatever is lost, wrong or inserted, the 0x7E before a packet begins it anew, and damage costs the
packets that it touches and no other. A start byte that may also stand in the payload would not
promise that. COBS would, with one byte more a packet where stuffing may take twice the bytes, but
its sender looks ahead to the next zero, over a buffer of the whole packet; here both sides have a
bit that says that the last byte was 0x7D. And an idle SPI, which has to send something, sends
0x7E: packets of no bytes, which are no packets.

The check is CRC-16/IBM-SDLC (X-25): polynomial 0x1021, both reflected, begun with 0xFFFF, turned
over at the end. Behind a packet and its CRC the register holds 0xF0B8, always. A damaged packet
passes with a probability of 2 ** -16, less by what the length rules out; one of up to 3 wrong bits
that neither make nor spoil a 0x7E or 0x7D never does.

Between two 0x7E, before stuffing, little-endian: `FIELDS`, then the payload, then the CRC. Each
side counts its packets. A packet that does not come, or is refused, leaves a gap in the counter of
the next one: losses are seen by that alone, up to 65535 packets at a stretch.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from mubinn.golden.ground.errors import MubinnError

FLAG, ESCAPE, TURNED = 0x7E, 0x7D, 0x20
FIELDS = {"kind": 8, "length": 8, "counter": 16}
"""Bits of what each packet begins with; ``kind`` has the `Kind` below and the `Flags` above."""
STAMP = {"window": 16, "index": 16}
"""Bits of what a result begins with: the counter of the packet that began its window, and which of
the window's results it is, from 0 on. The core's result follows, as on an AXI4-Stream of bytes."""
COUNTS = {"received": 16, "refused": 16, "lost": 16, "dropped": 16, "expected": 16}
"""Bits of what a status says: packets taken, packets refused, gaps in their counters, windows given
up, and the counter that the next packet should have. All wrap."""
LOADING = {"weights": 16}
"""What a status says besides where weights are loaded: the counter of the packet that began what
was loaded last; whether all of it is there, a flag tells."""
GIVING = {"state": 16, "broken": 8}
"""What a status says besides where a state goes out and in: the counter of the packet that began
the state which was taken last, whole; and 1 where windows are not taken, for what they would go on
from is not there or not sure: a state that came in parts, or packets that are missing."""
HEADER = sum(FIELDS.values()) // 8
CRC = 2
MAX_LENGTH = 255
WRAP = 1 << FIELDS["counter"]
RESIDUE = 0xF0B8
"""What the register of the CRC holds behind a packet that is whole."""
_CODES = {8: "B", 16: "H"}


class Kind(IntEnum):
    """What a packet is, see `TO_BOARD`, `TO_LOADED` and `TO_HOST`."""

    SAMPLES = 1
    CLEAR = 2
    ASK = 3
    RESULT = 4
    STATUS = 5
    WEIGHTS = 6
    SAVE = 7
    GIVE = 8
    STATE = 9


class Flags(IntFlag):
    """The upper half of ``kind``; what a bit means depends on the lower half."""

    NONE = 0
    FIRST = 1
    """Of samples: they begin a window. Of weights or a state: they begin what is loaded."""
    LAST = 2
    """Of samples, weights and states: they end it. Of a result: it is its window's last."""
    CARRIED = 4
    """Of the first samples of a window: it goes on from the window before."""
    EMPTY = 1
    """Of a status: the weights are not loaded, or not all of them."""
    REFUSED = 2
    """Of a status: what was loaded last is another model's."""
    LOST = 4
    """From the board: packets to it were lost since the last one with this flag."""
    WORKING = 8
    """Of a status: a payload is held or a window is worked on, and its result is yet to come."""


TO_BOARD = frozenset({Kind.SAMPLES, Kind.CLEAR, Kind.ASK})
TO_LOADED = TO_BOARD | {Kind.WEIGHTS}
"""To a board whose weights are loaded."""
TO_PORTED = frozenset({Kind.SAVE, Kind.GIVE})
"""Besides, to a board whose state goes out and in."""
TO_HOST = frozenset({Kind.RESULT, Kind.STATUS, Kind.STATE})
FLAGS = {
    Kind.SAMPLES: ("FIRST", "LAST", "CARRIED"),
    Kind.WEIGHTS: ("FIRST", "LAST"),
    Kind.GIVE: ("FIRST", "LAST"),
    Kind.RESULT: ("LAST", "LOST"),
    Kind.STATUS: ("EMPTY", "REFUSED", "LOST", "WORKING"),
    Kind.STATE: ("LAST",),
}
"""By kind the names of the `Flags` that a packet may have."""


def pattern(fields: dict[str, int]) -> struct.Struct:
    """Return fields as the standard library packs them.

    >>> pattern(FIELDS).size, pattern(STAMP).size, pattern(COUNTS).size
    (4, 4, 10)
    """
    return struct.Struct("<" + "".join(_CODES[bits] for bits in fields.values()))


def state_share(size: int) -> int:
    """Return the most bytes of a state of `size` bytes that a packet of the board has.

    >>> state_share(7), state_share(1000)
    (7, 250)
    """
    return min(size, MAX_LENGTH - pattern(STAMP).size - 1)


def check_room(room: int, step: int) -> int:
    """Return `room`; raise `MubinnError` where a packet does not hold it, or it no step.

    >>> check_room(255, 128)
    255
    """
    if not 0 < step <= room <= MAX_LENGTH:
        raise MubinnError(
            f"Room for {room} bytes does not do for steps of {step} bytes: give {step} to "
            f"{MAX_LENGTH}, and longer steps to an AXI4-Stream."
        )
    return room


def _register(data: bytes) -> int:
    """Return the register of the CRC behind `data`."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc


def crc16(data: bytes) -> int:
    """Return CRC-16/IBM-SDLC of `data`.

    >>> hex(crc16(b"123456789"))
    '0x906e'
    """
    return _register(data) ^ 0xFFFF


@dataclass(frozen=True)
class Packet:
    """A packet, whole.

    Attributes
    ----------
    kind : Kind
    counter : int
        16 bits.
    payload : bytes
        Up to `MAX_LENGTH` of them.
    flags : Flags
    """

    kind: Kind
    counter: int
    payload: bytes = b""
    flags: Flags = Flags.NONE

    def frame(self) -> bytes:
        """Return the bytes that are sent.

        >>> Packet(Kind.SAMPLES, 0x7E, b"AB", Flags.FIRST).frame().hex(" ")
        '7e 11 02 7d 5e 00 41 42 33 6d 7e'

        Raises
        ------
        MubinnError
            The payload is longer than a packet may be.
        """
        if len(self.payload) > MAX_LENGTH:
            raise MubinnError(
                f"A payload of {len(self.payload)} bytes does not fit into a packet: give at most "
                f"{MAX_LENGTH}, fewer steps in each."
            )
        head = pattern(FIELDS).pack(self.kind | self.flags << 4, len(self.payload), self.counter)
        body = head + self.payload
        stuffed = bytearray()
        for byte in body + crc16(body).to_bytes(CRC, "little"):
            stuffed += bytes([ESCAPE, byte ^ TURNED] if byte in (FLAG, ESCAPE) else [byte])
        return bytes([FLAG, *stuffed, FLAG])


@dataclass(frozen=True)
class Rules:
    """What a receiver takes; it refuses the rest.

    Attributes
    ----------
    kinds : frozenset of Kind
    room : int
        Bytes of the longest payload.
    step : int
        Bytes of a time step: samples are whole steps, and at least one.
    """

    kinds: frozenset[Kind] = TO_HOST
    room: int = MAX_LENGTH
    step: int = 1

    def read(self, body: bytes) -> Packet | None:
        """Return the packet whose bytes are `body`, unstuffed and with their CRC, or None."""
        if len(body) < HEADER + CRC or _register(body) != RESIDUE:
            return None
        kind, length, counter = pattern(FIELDS).unpack_from(body)
        payload = body[HEADER:-CRC]
        if kind & 15 not in self.kinds or length != len(payload) or length > self.room:
            return None
        found = Kind(kind & 15)
        if found is Kind.SAMPLES:
            fits = bool(payload) and not length % self.step
        elif found in (Kind.WEIGHTS, Kind.GIVE):
            fits = bool(payload)
        else:
            fits = found in TO_HOST or not payload
        return Packet(found, counter, payload, Flags(kind >> 4)) if fits else None


class Receiver:
    """Bytes to packets.

    Parameters
    ----------
    rules : Rules
        By default those of the host.
    """

    def __init__(self, rules: Rules | None = None) -> None:
        self._rules = rules or Rules()
        self._body = bytearray()
        self._escaped = False

    def feed(self, data: Iterable[int]) -> list[Packet | None]:
        """Return what ends in `data`: packets, and None for each one that is refused.

        >>> sent = Packet(Kind.STATUS, 7, bytes(10)).frame()
        >>> [p and p.counter for p in Receiver().feed(sent[3:] + sent + sent[:4] + sent)]
        [None, 7, None, 7]
        """
        found: list[Packet | None] = []
        for byte in data:
            if byte == FLAG:
                if self._body or self._escaped:
                    whole = not self._escaped
                    found.append(self._rules.read(bytes(self._body)) if whole else None)
                self._body.clear()
                self._escaped = False
            elif byte == ESCAPE and not self._escaped:
                self._escaped = True
            else:
                self._body.append(byte ^ TURNED if self._escaped else byte)
                self._escaped = False
        return found
