"""Streams that share a board: the state goes over the line, and a damaged one decides nothing."""

from copy import deepcopy

import numpy as np
import pytest
from amaranth.sim import Simulator
from lines import damaged
from link_boards import STEPS, Board, session
from window_cases import followed

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.stamp import Stamp
from mubinn.hw.accelerator.state_parts import state_bytes
from mubinn.hw.export.golden_vectors import drawn_windows
from mubinn.hw.link.host import Dropped, Host, Restored, Result, Saved, Unrestored, Unsaved
from mubinn.hw.link.packets import FIELDS, FLAG, Flags, Kind, Packet, pattern
from mubinn.hw.link.state_packets import StateSender, StateTaker

CASES = {"uart, carried": ("carried", 6), "spi, by a register": ("register", None)}


class Streams:
    """Two streams whose windows take turns on a board, each with its own state."""

    def __init__(self, random_model, state, divisor):
        about = {"features": 2, "hidden": 2, "levels": (1, 1), "readout": "leaky:2"}
        options = {"units": 4, "stamp": Stamp(2, 12), "state": state, "state_port": True}
        self.board = board = Board(random_model(**about), options, divisor, 2)
        self.host, core = board.host, board.top.core
        self.says = {"carried": True} if state == "register" else {}
        self.windows = drawn_windows(core, 4, STEPS, 3)[0].tolist()
        own = [np.array(window) for window in self.windows]
        alone = [followed(board.model, core, own[k::2], [True] * 2) for k in range(2)]
        self.wanted = [next(alone[n % 2])[0] for n in range(4)]
        self.states = [state_bytes(core)] * 2
        self.heard, self.place = b"", 0

    def events(self):
        """What is heard of late, and the results among it as rows."""
        self.heard, self.place = bytes(self.board.heard[self.place :]), len(self.board.heard)
        events = [e for e in self.host.feed(self.heard) if not hasattr(e, "counts")]
        results = [self.board.driver.unpack(e.data) for e in events if isinstance(e, Result)]
        rows = [[*own["logits"], own["step"], own["unsettled"]] for own in results]
        return [e for e in events if not isinstance(e, Result)], rows

    def window(self, n):
        return self.host.window(self.board.driver.pack(self.windows[n]), **self.says)

    def turn(self, n):
        """Send a stream's state and its window, and have the state that is left."""
        restored, frames = self.host.set_state(self.states[n % 2])
        assert len(frames) > 1
        yield from (*frames, *self.window(n)[1], None, self.host.ask(), None, None)
        assert self.events() == ([Restored(restored)], self.wanted[n])
        saved, frame = self.host.state()
        over = deepcopy(self.host)
        yield from (frame, None, None)
        ((event,), _) = self.events()
        assert isinstance(event, Saved)
        assert event.state == saved
        assert event.data != self.states[n % 2]
        self.states[n % 2] = event.data
        # With damage on the way back there is none, or all of it; and the board still has it.
        line = bytes([FLAG, *damaged(np.random.default_rng(n), self.heard.strip(b"~")), FLAG])
        assert {e.data for e in over.feed(line) if isinstance(e, Saved)} <= {event.data}

    def broken(self, place, spoil):
        """Have a packet of a state spoiled: the window behind it is not decided on.

        There is no state to be had, until another one comes whole.
        """
        restored, frames = self.host.set_state(self.states[0])
        lost, more = self.window(2)
        frames[place] = spoil(frames[place])
        yield from (*frames, *more, None, self.host.ask(), None)
        events, rows = self.events()
        assert {Unrestored(restored), Dropped(lost)} <= set(events)
        assert not rows
        saved, frame = self.host.state()
        yield from (frame, None, None)
        assert self.events() == ([Unsaved(saved)], [])


@pytest.mark.parametrize("case", CASES)
def test_streams_share_a_board(random_model, case):
    streams = Streams(random_model, *CASES[case])
    random, ended = np.random.default_rng(5), []

    def script():
        yield b""
        yield from streams.turn(0)
        yield from streams.turn(1)
        yield from streams.broken(-1, lambda _: b"")
        yield from streams.broken(0, lambda frame: damaged(random, frame))
        yield from streams.turn(2)
        yield from streams.turn(3)
        ended.append(True)

    session(streams.board, script())
    assert ended


def test_a_state_is_whole_by_as_many_bytes_as_it_has():
    design, told, taken = StateTaker(3), [], []

    async def bench(ctx):
        ctx.set(design.o.ready, 1)
        for count in (2, 3, 4, 0, 3):
            ctx.set(design.restart, 1)
            await ctx.tick()
            ctx.set(design.restart, 0)
            taken.append([])
            for byte in range(count):
                ctx.set(design.i.payload, 7 + byte)
                ctx.set(design.i.valid, 1)
                assert ctx.get(design.i.ready)
                if ctx.get(design.o.valid):
                    taken[-1].append(ctx.get(design.o.payload))
                await ctx.tick()
            ctx.set(design.i.valid, 0)
            told.append(ctx.get(design.whole))

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert told == [0, 1, 0, 0, 1]
    assert taken == [[7, 8], [7, 8, 9], [7, 8, 9], [], [7, 8, 9]]


def test_what_a_host_is_refused():
    with pytest.raises(MubinnError, match="does not go out or in: build its accelerator with"):
        Host(2).state()
    host = Host(2, state_bytes=3)
    with pytest.raises(MubinnError, match="a state of 2 bytes is another board's: give the 3"):
        host.set_state(bytes(2))
    host.window(bytes(2))
    with pytest.raises(MubinnError, match="window 0 is under way, and changes the state"):
        host.state()


@pytest.mark.parametrize("clear", [None, 0, 100, 249, 250, 259])
def test_a_core_that_is_cleared_meanwhile_gives_no_state(clear):
    size, random = 260, np.random.default_rng(3)
    design, state = StateSender(size), bytes(random.integers(0, 256, size).tolist())
    host = Host(2, state_bytes=size)
    number, _ = host.state()
    packets, taken = [bytearray()], []

    async def core(ctx):
        while not ctx.get(design.saving):
            await ctx.tick()
        for k, byte in enumerate(state):
            ctx.set(design.clear, k == clear)
            ctx.set(design.i.valid, k != clear)
            ctx.set(design.i.payload, byte)
            if k == clear:
                await ctx.tick()
                ctx.set(design.clear, 0)
                return
            await ctx.tick().until(design.i.ready)
            taken.append(byte)
        ctx.set(design.i.valid, 0)

    async def line(ctx):
        ctx.set(design.start, 1)
        ctx.set(design.asked, number)
        ctx.set(design.may, 1)
        await ctx.tick()
        ctx.set(design.start, 0)
        while len(packets) < 3:
            ctx.set(design.o.ready, int(random.random() < 0.7))
            ctx.set(design.counter, len(packets) - 1)
            _, _, done, payload = await ctx.tick().sample(
                design.o.valid & design.o.ready, design.o.payload
            )
            if done:
                packets[-1].append(payload.data)
                packets.extend([bytearray()] * payload.last)
        assert not ctx.get(design.saving)

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(line)
    simulator.add_testbench(core, background=True)
    simulator.run()
    fields = pattern(FIELDS)
    events = []
    for sent in packets[:2]:
        kind, length, counter = fields.unpack_from(sent)
        assert length == len(sent) - fields.size
        whole = Packet(Kind(kind & 15), counter, bytes(sent[fields.size :]), Flags(kind >> 4))
        events += host.feed(whole.frame())
    assert events == [Saved(number, state) if clear is None else Unsaved(number)]
    assert len(taken) == (size if clear is None else clear)
