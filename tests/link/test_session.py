"""A host's session with a board of the codec alone: each window ends, whatever the line loses."""

import numpy as np
import pytest
from lines import damaged

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.link.host import Dropped, Host, Lost, Result
from mubinn.hw.link.packets import (
    COUNTS,
    FLAG,
    STAMP,
    TO_BOARD,
    Flags,
    Kind,
    Packet,
    Receiver,
    Rules,
    pattern,
)
from mubinn.hw.link.session import Pauses, Sent, Session

STEP = 3


class Line:
    """A board that answers a window, of one packet or two, with its bytes; and its line."""

    def __init__(self, random=None, share=0.0):
        self.random, self.share = random, share
        self.receiver = Receiver(Rules(TO_BOARD, STEP, STEP))
        self.back = bytearray()
        self.written = bytearray()
        self.counter, self.expected, self.received = 0, None, 0
        self.window, self.data = None, b""
        self.deaf = False

    @property
    def in_waiting(self):
        return len(self.back)

    def read(self, size=1):
        found, self.back = bytes(self.back[:size]), self.back[size:]
        return found

    def hurt(self, data):
        if self.random is None or self.random.random() >= self.share:
            return data
        return damaged(self.random, data)

    def answer(self, kind, payload, flags=Flags.NONE):
        self.back += self.hurt(Packet(kind, self.counter % 65536, payload, flags).frame())
        self.counter += 1

    def status(self):
        counts = dict.fromkeys(COUNTS, 0)
        counts |= {"received": self.received % 65536, "expected": self.expected % 65536}
        self.answer(Kind.STATUS, pattern(COUNTS).pack(*counts.values()))

    def write(self, data):
        self.written += data
        for packet in () if self.deaf else self.receiver.feed(self.hurt(data)):
            if packet is None:
                continue
            if self.expected is not None and packet.counter != self.expected:
                self.window = None
            self.expected = packet.counter + 1
            self.received += 1
            if packet.kind is Kind.CLEAR:
                self.received, self.window = 1, None
            if packet.kind is not Kind.SAMPLES:
                self.status()
                continue
            if packet.flags & Flags.FIRST:
                self.window, self.data = packet.counter, b""
            self.data += packet.payload
            if self.window is not None and packet.flags & Flags.LAST:
                self.answer(
                    Kind.RESULT, pattern(STAMP).pack(self.window, 0) + self.data, Flags.LAST
                )
                self.window = None


def played(line, count, **options):
    """Play windows of one packet and of two; return by window its data and how it ended."""
    host = Host(STEP)
    session = Session(line, host, patience_s=0.002, **options)
    session.clear()
    windows = [bytes([k % 256] * STEP * (1 + k % 2)) for k in range(count)]
    waiting, given, ended = iter(windows), {}, {}
    for event in session.run([None, *windows]):
        if isinstance(event, Sent):
            given[event.window] = next(waiting)
            assert len(host.open) <= options.get("ahead", 4)
        elif isinstance(event, Result | Dropped):
            assert event.window not in ended
            ended[event.window] = event
    assert len(given) == count
    assert given.keys() == ended.keys()
    return given, ended


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4])
def test_each_window_ends_with_its_result_or_is_dropped(share):
    given, ended = played(Line(np.random.default_rng(1), share), 300)
    found = {n: e.data for n, e in ended.items() if isinstance(e, Result)}
    assert found == {n: given[n] for n in found}
    assert len(found) == 300 if not share else 30 < len(found) < 300


def test_pauses_stand_behind_packets():
    line = Line()
    played(line, 2, pauses=Pauses(3, 7), ahead=1)
    frames = bytes(line.written).split(bytes([FLAG]))
    # Behind the clear, a window of one packet and one of two; b"" stands between two flags.
    gaps = [len(gap) for gap in "".join("x" if f else "." for f in frames).split("x")]
    assert gaps == [1, 1, 1 + 7, 1 + 3, 1 + 7]


def test_a_board_that_says_nothing_is_told_of():
    line = Line()
    line.deaf = True
    with pytest.raises(MubinnError, match="does not answer"):
        played(line, 1)
    session = Session(line := Line(), Host(STEP), patience_s=0.002)
    session.clear()
    line.deaf = True
    events = []
    with pytest.raises(MubinnError, match="does not answer"):
        events += session.run([bytes(STEP)])
    assert not [e for e in events if isinstance(e, Lost)]
