"""What becomes of each packet, against a model of a board that is told packet by packet."""

from itertools import product

import numpy as np
import pytest
from amaranth.sim import Simulator

from mubinn.hw.link.link_control import LinkControl
from mubinn.hw.link.packets import COUNTS, GIVING, LOADING, WRAP, Flags, Kind

saves = []


class Board:
    """The rules of `LinkControl`, written as a person would say them."""

    def __init__(self, loads, carries, states):
        self.loads, self.carries, self.states = loads, carries, states
        names = COUNTS | (LOADING if loads else {}) | (GIVING if states else {})
        self.counts = dict.fromkeys(names, 0)
        self.giving = self.saving = False
        self.known = self.open = self.passed = self.running = self.held = False
        self.due = self.lost = self.starts = self.loading = False
        self.full, self.broken = not loads, carries or not states

    def begin(self, counter):
        """Let out the first payload of a window or load; return whether the state is forgotten."""
        if not (self.held and self.starts and not self.running and not self.saving):
            return False
        self.starts = False
        if self.loading:
            self.full, self.counts["weights"] = False, counter
        if self.giving:
            self.begun = counter
        return self.loading or self.giving or (self.carries and self.anew)

    def packet(self, kind, counter, flags):
        """Return whether the payload is taken, and whether windows under way are forgotten."""
        begins = self.begin(self.latest) if self.held else False
        gap = (counter - self.counts["expected"]) % WRAP if self.known else 0
        first, last = Flags.FIRST in flags, Flags.LAST in flags
        weights = kind is Kind.WEIGHTS
        if weights and not first and not (self.open and self.loading and not gap):
            return self.pass_over(begins)
        self.known = True
        self.counts["expected"] = (counter + 1) % WRAP
        if kind is Kind.CLEAR:
            return self.forget()
        self.counts["received"] += 1
        if not weights:
            self.counts["lost"] += gap
            self.lost |= gap > 0
        state = kind is Kind.GIVE
        stored = weights or state
        samples = stored or kind is Kind.SAMPLES
        gone = gap > 0 and not weights
        other = weights != self.loading or state != self.giving
        inside = self.open
        busy = self.running or self.held or self.open or self.saving or self.broken or gap > 0
        self.saves = kind is Kind.SAVE and not busy
        drop = self.open and (gone or (samples and (first or other)))
        # What waits or goes on behind a window that is worked on leaves that one alone.
        clear = (drop and not self.running) or begins
        self.broken |= gap > 0
        counted, passed = drop and not self.loading, self.passed
        if drop:
            self.open, self.passed, self.held = False, True, False
        take = False
        if samples:
            says = Flags.CARRIED in flags if self.carries else self.states
            goes_on = says and not stored
            may = weights or (self.full and not (goes_on and (self.broken or inside)))
            take = may if first else self.open
            counted |= not take and not passed
            self.open, self.passed = take and not last, not take and not last
            self.broken = weights or not take
            if take:
                self.loading, self.giving, self.starts = weights, state, first
            if take and first:
                self.anew, self.latest = not goes_on, counter
        self.broken |= drop and not take
        self.held |= take
        self.counts["dropped"] += counted
        self.due |= counted or not (samples or self.saves)
        return take, drop, clear

    def pass_over(self, begins):
        """Weights: as if they had not come, but for an answer; a window that is open is lost."""
        drop = self.open and not self.loading
        if drop:
            self.open, self.passed, self.held = False, True, False
            self.counts["dropped"] += 1
        self.broken = self.due = True
        return False, drop, (drop and not self.running) or begins

    def forget(self):
        """Clear all."""
        self.counts |= {"received": 1, "refused": 0, "lost": 0, "dropped": 0}
        self.open = self.passed = self.running = self.held = self.lost = False
        self.due, self.broken = True, self.carries or not self.states
        return False, True, True


async def pulse(ctx, design, name):
    ctx.set(getattr(design, name), 1)
    await ctx.tick()
    ctx.set(getattr(design, name), 0)


async def judge(ctx, design, board, random):
    """Send a packet, and check what is said of it; return which way it went."""
    kinds = [Kind.ASK, Kind.ASK, Kind.ASK, Kind.CLEAR] + [Kind.SAVE] * (6 * board.states)
    payload = [Kind.SAMPLES] * 12 + [Kind.WEIGHTS] * (4 * board.loads)
    payload += [Kind.GIVE] * (6 * board.states)
    kind = random.choice(kinds if board.held else payload + kinds)
    gap = int(random.choice([0] * (40 if board.states else 8) + [1, 300]))
    counter = (board.counts["expected"] + gap) % WRAP
    flags = Flags(int(random.choice([0, 0, 0, 1, 1, 2, 2, 3, 5, 5, 7, 4])))
    running, board.saves = board.running, False
    expected = board.packet(Kind(kind), counter, flags)
    fields = {"kind": int(kind), "flags": int(flags), "counter": counter}
    ctx.set(design.packet, {"valid": 1, **fields})
    assert (ctx.get(design.take), ctx.get(design.drop), ctx.get(design.clear)) == expected
    if board.states:
        assert ctx.get(design.saves) == board.saves
        saves.append(board.saves)
    await ctx.tick()
    if board.saves:
        board.saving = True
        ctx.set(design.saving, 1)
    ctx.set(design.packet, {"valid": 0, **fields})
    ctx.set(design.held, board.held)
    begins = board.begin(counter) if expected[0] else False
    assert ctx.get(design.clear) == begins
    await ctx.tick()
    if expected[0]:
        board.last = Flags.LAST in flags
        if Flags.FIRST in flags and not board.loading and not board.giving:
            board.window = counter
    return (int(kind), *expected, running)


async def deliver(ctx, design, board, random):
    """Let the payload that is held go where it belongs."""
    await ctx.tick()
    if board.loads:
        assert ctx.get(design.loading) == board.loading
    if board.states:
        assert ctx.get(design.giving) == board.giving
    stored = board.loading or board.giving
    if not stored:
        assert ctx.get(design.window) == board.window
    await pulse(ctx, design, "fed")
    board.held, board.running = False, board.last and not stored
    ctx.set(design.held, 0)
    if board.loading:
        assert ctx.get(design.working)
        ctx.set(design.loaded, whole := int(random.random() < 0.8))
        await ctx.tick()
        ctx.set(design.loaded, 0)
        board.full, board.due = bool(whole and board.last), True
    if board.last and board.giving:
        assert ctx.get(design.working)
        ctx.set(design.given, whole := int(random.random() < 0.8))
        await ctx.tick()
        ctx.set(design.given, 0)
        board.broken, board.due = board.broken or not whole, True
        if whole:
            board.counts["state"] = board.begun


@pytest.mark.parametrize(("loads", "carries", "states"), list(product((False, True), repeat=3)))
def test_windows_are_begun_gone_on_with_and_given_up(loads, carries, states):
    design = LinkControl(loads=loads, carries=carries, states=states)
    board = Board(loads, carries, states)
    random = np.random.default_rng(2 * loads + carries)
    seen = set()
    saves.clear()

    async def bench(ctx):
        ctx.set(design.packet.counter, 0)
        for _ in range(1500):
            seen.add(await judge(ctx, design, board, random))
            if random.random() < 0.1:
                await pulse(ctx, design, "refused")
                board.counts["refused"] += 1
                board.due |= board.open and board.loading
            assert (ctx.get(design.due), ctx.get(design.lost)) == (board.due, board.lost)
            if states:
                board.counts["broken"] = int(board.broken)
            assert {name: ctx.get(design.counts[name]) for name in board.counts} == board.counts
            if loads:
                assert ctx.get(design.empty) == (not board.full)
            assert ctx.get(design.working) == (board.running or board.held or board.saving)
            if random.random() < 0.3:
                name = str(random.choice(["reported", "stamped"]))
                await pulse(ctx, design, name)
                board.due &= name != "reported"
                board.lost = False
            assert ctx.get(design.go) == (not board.running and not board.saving)
            if board.saving:
                if random.random() < 0.5:
                    board.saving = False
                    ctx.set(design.saving, 0)
            elif board.held and not board.running:
                await deliver(ctx, design, board, random)
            elif board.running and random.random() < 0.3:
                await pulse(ctx, design, "ended")
                board.running = False

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    # Each way was gone: taken, passed over, given up alone, and behind a window worked on.
    samples = {case[1:] for case in seen if case[0] in (Kind.SAMPLES, Kind.GIVE)}
    assert {(1, 0, 0, False), (0, 0, 0, False), (0, 1, 1, False), (1, 1, 1, False)} <= samples
    if states:
        assert 1 < sum(saves) < len(saves)
        assert (Kind.GIVE, 1, 0, 0, False) in seen
    else:
        assert (Kind.ASK, False, True, False, True) in seen
