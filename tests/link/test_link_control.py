"""What becomes of each packet, against a model of a board that is told packet by packet."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from mubinn.hw.link.link_control import LinkControl
from mubinn.hw.link.packets import COUNTS, LOADING, WRAP, Flags, Kind


class Board:
    """The rules of `LinkControl`, written as a person would say them."""

    def __init__(self, loads, carries):
        self.loads, self.carries = loads, carries
        self.counts = dict.fromkeys(COUNTS | LOADING if loads else COUNTS, 0)
        self.known = self.open = self.passed = self.running = self.held = False
        self.due = self.lost = self.starts = self.loading = False
        self.full, self.broken = not loads, True

    def begin(self, counter):
        """Let out the first payload of a window or load; return whether the state is forgotten."""
        if not (self.held and self.starts and not self.running):
            return False
        self.starts = False
        if self.loading:
            self.full, self.counts["weights"] = False, counter
        return self.loading or (self.carries and self.anew)

    def packet(self, kind, counter, flags):
        """Return whether the payload is taken, and whether windows under way are forgotten."""
        begins = self.begin(self.latest) if self.held else False
        gap = (counter - self.counts["expected"]) % WRAP if self.known else 0
        first, last = Flags.FIRST in flags, Flags.LAST in flags
        weights = kind is Kind.WEIGHTS
        if weights and not first and not (self.open and self.loading and not gap):
            # As if it had not come, but that it is answered; a window that is open is not there.
            drop = self.open and not self.loading
            if drop:
                self.open, self.passed, self.held = False, True, False
                self.counts["dropped"] += 1
            self.broken = self.due = True
            return False, drop, (drop and not self.running) or begins
        self.known = True
        self.counts["expected"] = (counter + 1) % WRAP
        if kind is Kind.CLEAR:
            self.counts |= {"received": 1, "refused": 0, "lost": 0, "dropped": 0}
            self.open = self.passed = self.running = self.held = self.lost = False
            self.due = self.broken = True
            return False, True, True
        self.counts["received"] += 1
        if not weights:
            self.counts["lost"] += gap
            self.lost |= gap > 0
        samples = weights or kind is Kind.SAMPLES
        gone = gap > 0 and not weights
        drop = self.open and (gone or (samples and (first or weights != self.loading)))
        # What waits or goes on behind a window that is worked on leaves that one alone.
        clear = (drop and not self.running) or begins
        self.broken |= gap > 0
        counted, passed = drop and not self.loading, self.passed
        if drop:
            self.open, self.passed, self.held = False, True, False
        take = False
        if samples:
            goes_on = self.carries and Flags.CARRIED in flags and not weights
            may = weights or (self.full and not (goes_on and self.broken))
            take = may if first else self.open
            counted |= not take and not passed
            self.open, self.passed = take and not last, not take and not last
            self.broken = weights or not take
            if take:
                self.loading, self.starts = weights, first
            if take and first:
                self.anew, self.latest = not goes_on, counter
        self.broken |= drop and not take
        self.held |= take
        self.counts["dropped"] += counted
        self.due |= counted or not samples
        return take, drop, clear


async def pulse(ctx, design, name):
    ctx.set(getattr(design, name), 1)
    await ctx.tick()
    ctx.set(getattr(design, name), 0)


async def judge(ctx, design, board, random):
    """Send a packet, and check what is said of it; return which way it went."""
    kinds = [Kind.ASK, Kind.ASK, Kind.ASK, Kind.CLEAR]
    payload = [Kind.SAMPLES] * 12 + [Kind.WEIGHTS] * (4 if board.loads else 0)
    kind = random.choice(kinds if board.held else payload + kinds)
    gap = int(random.choice([0] * 8 + [1, 300]))
    counter = (board.counts["expected"] + gap) % WRAP
    flags = Flags(int(random.choice([0, 0, 0, 1, 1, 2, 2, 3, 5, 5, 7, 4])))
    running = board.running
    expected = board.packet(Kind(kind), counter, flags)
    fields = {"kind": int(kind), "flags": int(flags), "counter": counter}
    ctx.set(design.packet, {"valid": 1, **fields})
    assert (ctx.get(design.take), ctx.get(design.drop), ctx.get(design.clear)) == expected
    await ctx.tick()
    ctx.set(design.packet, {"valid": 0, **fields})
    ctx.set(design.held, board.held)
    begins = board.begin(counter) if expected[0] else False
    assert ctx.get(design.clear) == begins
    await ctx.tick()
    if expected[0]:
        board.last = Flags.LAST in flags
        if Flags.FIRST in flags and not board.loading:
            board.window = counter
    return (int(kind), *expected, running)


async def deliver(ctx, design, board, random):
    """Let the payload that is held go where it belongs."""
    await ctx.tick()
    if board.loads:
        assert ctx.get(design.loading) == board.loading
    if not board.loading:
        assert ctx.get(design.window) == board.window
    await pulse(ctx, design, "fed")
    board.held, board.running = False, board.last and not board.loading
    ctx.set(design.held, 0)
    if board.loading:
        assert ctx.get(design.working)
        ctx.set(design.loaded, whole := int(random.random() < 0.8))
        await ctx.tick()
        ctx.set(design.loaded, 0)
        board.full, board.due = bool(whole and board.last), True


@pytest.mark.parametrize(
    ("loads", "carries"), [(False, False), (False, True), (True, False), (True, True)]
)
def test_windows_are_begun_gone_on_with_and_given_up(loads, carries):
    design, board = LinkControl(loads=loads, carries=carries), Board(loads, carries)
    random = np.random.default_rng(2 * loads + carries)
    seen = set()

    async def bench(ctx):
        ctx.set(design.packet.counter, 0)
        for _ in range(1500):
            seen.add(await judge(ctx, design, board, random))
            if random.random() < 0.1:
                await pulse(ctx, design, "refused")
                board.counts["refused"] += 1
                board.due |= board.open and board.loading
            assert ctx.get(design.due) == board.due
            assert ctx.get(design.lost) == board.lost
            assert {name: ctx.get(design.counts[name]) for name in board.counts} == board.counts
            if loads:
                assert ctx.get(design.empty) == (not board.full)
            assert ctx.get(design.working) == (board.running or board.held)
            if random.random() < 0.3:
                name = str(random.choice(["reported", "stamped"]))
                await pulse(ctx, design, name)
                board.due &= name != "reported"
                board.lost = False
            assert ctx.get(design.go) == (not board.running)
            if board.held and not board.running:
                await deliver(ctx, design, board, random)
            elif board.running and random.random() < 0.3:
                await pulse(ctx, design, "ended")
                board.running = False

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    # Each way was gone: taken, passed over, given up alone, and behind a window worked on.
    samples = {case[1:] for case in seen if case[0] == Kind.SAMPLES}
    assert {(1, 0, 0, False), (0, 0, 0, False), (0, 1, 1, False), (1, 1, 1, False)} <= samples
    assert (Kind.ASK, False, True, False, True) in seen
