"""A host's session with a board of the codec alone: each window ends, whatever the line loses."""

from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
from lines import damaged

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.link.host import Dropped, Host, Loaded, Lost, Result, Saved, Unloaded
from mubinn.hw.link.packets import (
    COUNTS,
    FLAG,
    GIVING,
    LOADING,
    STAMP,
    TO_BOARD,
    TO_LOADED,
    TO_PORTED,
    Flags,
    Kind,
    Packet,
    Receiver,
    Rules,
    pattern,
)
from mubinn.hw.link.session import ANSWERS, LOADS, Anew, Loading, Pauses, Sent, Session

STEP = 3
WEIGHTS = bytes(range(4 * STEP - 1))


class Line:
    """A board that answers a window, of one packet or two, with its bytes; and its line."""

    def __init__(self, random=None, share=0.0, loads=False, own=WEIGHTS):
        self.random, self.share, self.loads, self.own = random, share, loads, own
        self.receiver = Receiver(Rules(TO_LOADED if loads else TO_BOARD, STEP, STEP))
        self.back = bytearray()
        self.written = bytearray()
        self.deaf, self.slow = False, 0
        self.reset()

    def reset(self):
        self.counter, self.expected, self.received = 0, None, 0
        self.window, self.data = None, b""
        self.load, self.weights, self.begun = None, b"", 0
        self.worked = []

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
        counts |= {"received": self.received % 65536, "expected": (self.expected or 0) % 65536}
        payload = pattern(COUNTS).pack(*counts.values())
        flags = Flags.WORKING if self.worked else Flags.NONE
        if self.loads:
            payload += pattern(LOADING).pack(self.begun)
            flags |= Flags.NONE if self.weights == self.own else Flags.EMPTY
            flags |= Flags.REFUSED if self.weights[:1] not in (b"", self.own[:1]) else Flags.NONE
        self.answer(Kind.STATUS, payload, flags)

    def loaded(self, packet):
        """Put a packet of weights where it belongs, if it is the next one; answer it."""
        if packet.flags & Flags.FIRST:
            self.load, self.weights, self.begun = b"", b"", packet.counter
        elif self.load is None or packet.counter != self.expected:
            return self.status()
        self.expected, self.received = packet.counter + 1, self.received + 1
        self.load += packet.payload
        if packet.flags & Flags.LAST:
            self.weights, self.load = self.load, None
        self.status()

    def write(self, data):
        self.written += data
        for packet in () if self.deaf else self.receiver.feed(self.hurt(data)):
            if packet is None:
                continue
            if packet.kind is Kind.WEIGHTS and self.loads:
                self.loaded(packet)
                continue
            if self.expected is not None and packet.counter != self.expected:
                self.window = self.load = None
            self.expected = packet.counter + 1
            self.received += 1
            if packet.kind is Kind.CLEAR:
                self.received, self.window = 1, None
            if packet.kind is Kind.ASK:
                self.work()
            if packet.kind in (Kind.ASK, Kind.CLEAR) or (self.loads and self.weights != self.own):
                self.status()
                continue
            if packet.flags & Flags.FIRST:
                self.window, self.data = packet.counter, b""
            self.data += packet.payload
            if self.window is not None and packet.flags & Flags.LAST:
                self.worked.append([pattern(STAMP).pack(self.window, 0) + self.data, self.slow])
                self.window = None
                self.work()

    def work(self):
        """Give the results that do not take longer, a slow one at a time."""
        while self.worked and not self.worked[0][1]:
            self.answer(Kind.RESULT, self.worked.pop(0)[0], Flags.LAST)
        if self.worked:
            self.worked[0][1] -= 1


SIZE = 5
"""Bytes of a state."""


def following(state, data):
    """The state behind a window."""
    return bytes(
        (3 * s + d + k) % 256 for k, (s, d) in enumerate(zip(state, data * 2, strict=False))
    )


class Ported(Line):
    """A board whose windows go on from each other, each with the state that it leaves behind it.

    The state goes out and in; a board that is `closed` gives none.
    """

    closed = False

    def reset(self):
        super().reset()
        self.receiver = Receiver(Rules(TO_BOARD | TO_PORTED, STEP, STEP))
        self.state, self.broken, self.given, self.taken = bytes(SIZE), False, None, 0

    def status(self):
        counts = dict.fromkeys(COUNTS | GIVING, 0)
        counts |= {"received": self.received % 65536, "expected": (self.expected or 0) % 65536}
        counts |= {"state": self.taken, "broken": self.broken}
        self.answer(Kind.STATUS, pattern(COUNTS | GIVING).pack(*counts.values()))

    def save(self, asked):
        if self.broken or self.closed:
            return self.status()
        for place, start in enumerate(range(0, SIZE, 2)):
            last = Flags.LAST if start + 2 >= SIZE else Flags.NONE
            part = pattern(STAMP).pack(asked, place) + self.state[start : start + 2]
            self.answer(Kind.STATE, part + bytes([1]), last)

    def give(self, packet):
        if packet.flags & Flags.FIRST:
            self.given, self.begun = b"", packet.counter
        if self.given is None:
            return
        self.broken, self.given = False, self.given + packet.payload
        if packet.flags & Flags.LAST:
            self.broken = len(self.given) != len(self.state)
            if not self.broken:
                self.state, self.taken = self.given, self.begun
            self.given = None
            self.status()

    def samples(self, packet):
        if packet.flags & Flags.FIRST and self.broken:
            return self.status()
        if packet.flags & Flags.FIRST:
            self.window, self.data = packet.counter, b""
        self.data += packet.payload
        if self.window is not None and packet.flags & Flags.LAST:
            self.state = following(self.state, self.data)
            stamp = pattern(STAMP).pack(self.window, 0)
            self.answer(Kind.RESULT, stamp + self.data + self.state, Flags.LAST)
            self.window = None

    def write(self, data):
        for packet in self.receiver.feed(self.hurt(data)):
            if packet is None:
                continue
            if self.expected is not None and packet.counter != self.expected:
                self.window, self.given, self.broken = None, None, True
            self.expected, self.received = packet.counter + 1, self.received + 1
            if packet.kind is Kind.CLEAR:
                self.received, self.window, self.given = 1, None, None
                self.state, self.broken = bytes(SIZE), False
            if packet.kind in (Kind.ASK, Kind.CLEAR):
                self.status()
            elif packet.kind is Kind.SAVE:
                self.save(packet.counter)
            else:
                (self.give if packet.kind is Kind.GIVE else self.samples)(packet)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_windows_go_on_from_a_state_and_anew_where_it_is_lost(share):
    """Each result is that of a state that the board may have, and so is what is saved."""
    line, begun = Ported(np.random.default_rng(4), share), bytes(range(7, 7 + SIZE))
    host = Host(STEP, state_bytes=SIZE)
    session = Session(line, host, state=begun, patience_s=0.002)
    session.clear()
    windows = [bytes([k] * STEP * (1 + k % 2)) for k in range(200)]
    waiting, under_way, states, decided, anew, saved = iter(windows), {}, {begun}, 0, 0, []

    def told(event):
        nonlocal states, decided, anew
        if isinstance(event, Sent):
            under_way[event.window] = next(waiting)
        elif isinstance(event, Result | Dropped):
            data = under_way.pop(event.window)
            after = {following(state, data) for state in states}
            if isinstance(event, Dropped):
                states |= after
                return
            states, decided = {event.data[len(data) :]}, decided + 1
            assert event.data[: len(data)] == data
            assert states <= after
        elif isinstance(event, Anew):
            assert not under_way
            states, anew = {bytes(SIZE)}, anew + 1
        elif isinstance(event, Saved):
            saved.append(event.data)

    for event in session.run([None, *windows]):
        told(event)
    assert saved == []
    for event in session.save():
        told(event)
    assert not under_way
    assert len(saved) == 1
    assert saved[0] in states
    assert saved[0] == line.state
    assert (decided, anew) == (200, 0) if not share else 50 < decided < 200 > anew > 0
    # Another one goes on where it has ended, behind a power-down; nothing is there to be cleared.
    line = Ported()
    session = Session(line, Host(STEP, state_bytes=SIZE), state=saved[0], patience_s=0.002)
    results = [e.data for e in session.run([windows[1]]) if isinstance(e, Result)]
    assert results == [windows[1] + following(saved[0], windows[1])]


def test_a_state_that_a_board_does_not_take_or_give_is_told_of():
    closed = Ported()
    closed.closed = True
    for line, state, words in [
        (Line(), bytes(SIZE), "state has no port: .* made with --state-port"),
        (Line(), b"", "state has no port: .* made with --state-port"),
        (closed, b"", f"not come out of the board in {LOADS} tries"),
    ]:
        session = Session(line, Host(STEP, state_bytes=SIZE), state=state, patience_s=0.002)
        session.clear()
        with pytest.raises(MubinnError, match=words):
            list(session.save())
    # All it has is an ear.
    line = Ported()
    session = Session(line, Host(STEP, state_bytes=SIZE), state=bytes(SIZE), patience_s=0.002)
    session.clear()
    line.give = lambda packet: line.status()
    with pytest.raises(MubinnError, match=f"not come into the board in {LOADS} tries"):
        list(session.run([bytes(STEP)]))


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


@pytest.mark.parametrize("asked", [5, 50])
def test_a_board_that_is_at_work_for_ever_is_told_of(asked, monkeypatch):
    """One that has a result when it is asked for the fifth time is not."""
    times = count()
    clock = SimpleNamespace(monotonic=lambda: next(times) / 1000)
    monkeypatch.setattr("mubinn.hw.link.session.time", clock)
    line = Line()
    line.slow = asked
    session = Session(line, Host(STEP), patience_s=0.005)
    session.clear()
    told = [bytes([k] * STEP) for k in range(5)]
    if asked < ANSWERS:
        found = [e.data for e in session.run(told) if isinstance(e, Result)]
        assert found == told
        return
    with pytest.raises(MubinnError, match=r"has said for 0\.05 s that it is at work, and g"):
        list(session.run(told))


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_weights_are_loaded_first_and_again_after_a_reset(share):
    """No window is decided on without them, and none is lost but to the line and to a reset."""
    line, resets = Line(np.random.default_rng(2), share, loads=True), 3
    session = Session(line, Host(STEP), contents=WEIGHTS, patience_s=0.002)
    session.clear()
    windows, given, ended, loads, missed = [], {}, {}, 0, 0

    def coming():
        for k in range(100):
            if k % 25 == 20 and k // 25 < resets:
                line.reset()
            windows.append(bytes([k] * STEP * (1 + k % 2)))
            yield windows[-1]

    for event in session.run(coming()):
        if isinstance(event, Loading):
            assert event.packets == 4
        elif isinstance(event, Loaded):
            assert line.weights == WEIGHTS
            loads += 1
        elif isinstance(event, Sent):
            assert loads
            given[event.window] = windows[-1]
        elif isinstance(event, Result | Dropped):
            ended[event.window] = event
        elif isinstance(event, Lost):
            missed += event.packets
    # A counter that a reset has begin anew is no loss of thousands.
    assert missed == 0 if not share else 0 < missed < 100
    assert loads >= 1 + resets
    assert given.keys() == ended.keys()
    found = {n: e.data for n, e in ended.items() if isinstance(e, Result)}
    assert found == {n: given[n] for n in found}
    # Of those before a reset, and up to it, four at most are under way.
    assert len(found) >= (50 if share else 100 - 5 * resets)


def test_a_load_goes_on_at_the_packet_that_is_lost():
    """Of 20 kB hardly a load would come whole if one packet gave it up: one is enough."""
    random = np.random.default_rng(3)
    weights = random.bytes(20_000)
    line = Line(random, 0.1, loads=True, own=weights)
    line.receiver = Receiver(Rules(TO_LOADED, 255, STEP))
    session = Session(line, Host(STEP, room=255), contents=weights, patience_s=0.002)
    session.clear()
    events = list(session.run([bytes(STEP)]))
    assert line.weights == weights
    assert [type(e) for e in events if isinstance(e, Loaded | Unloaded)] == [Loaded]
    assert [e.sent for e in events if isinstance(e, Loading)] == list(range(1, 80))
    # Some were sent again, and those alone.
    assert 1.05 < len(line.written) / len(weights) < 1.5


def test_weights_that_a_board_does_not_take_are_told_of():
    for line, contents, words in [
        (Line(), WEIGHTS, "takes no weights, its bitstream has its own"),
        (Line(loads=True), b"?" + WEIGHTS[1:], "refuses the weights"),
        (Line(loads=True), b"", "waits for weights"),
        (Line(loads=True), WEIGHTS[:-1], f"not stayed in the board in {LOADS} tries"),
    ]:
        session = Session(line, Host(STEP), contents=contents, patience_s=0.002)

        def played_to(session=session):
            session.clear()
            list(session.run([bytes(STEP)]))

        with pytest.raises(MubinnError, match=words):
            played_to()
