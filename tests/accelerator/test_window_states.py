"""Accelerators whose windows go on from what the one before has left."""

from types import SimpleNamespace

import numpy as np
import pytest
from amaranth.hdl import EnableInserter
from amaranth.sim import Simulator
from directions import DIRECTIONS, directed
from stacks import STACKS, stacked
from window_cases import CASES, NOISE, expected, model_of, send, simulate, take, windows_of

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.stamp import Stamp
from mubinn.golden.quantize import quantize
from mubinn.hw.accelerator.accelerator import Accelerator
from mubinn.hw.accelerator.plans import check_sleeps
from mubinn.hw.stream.clock_request import ClockRequest


@pytest.mark.parametrize(
    ("name", "pauses"), [*((name, True) for name in CASES), ("stack, readout last", False)]
)
def test_a_register_tells_window_by_window(random_of, name, pauses):
    about, how = CASES[name]
    model = model_of(random_of, about)
    design = Accelerator(model, state="register", **how)
    windows = windows_of(design, [2, 1, 1, 1, 3, 1, 1, 2, 1])
    kept = [True, True, False, True, True, False, False, True, True]
    wanted, found = expected(model, design, windows, kept), []
    assert wanted != expected(model, design, windows, [False] * 9)
    random = np.random.default_rng(5) if pauses else None

    async def produce(ctx):
        await send(ctx, model, design, windows, kept, random)

    async def consume(ctx):
        found.extend(await take(ctx, model, design, len(wanted), random))
        await ctx.tick()
        assert not ctx.get(design.busy)

    simulate(design, produce, consume)
    assert found == wanted


SLEEPING = [name for name in CASES if name != "frames of pixels"]


@pytest.mark.parametrize("name", SLEEPING)
def test_a_clock_that_stops_loses_nothing(random_of, name):
    about, how = CASES[name]
    model = model_of(random_of, about)
    design = Accelerator(model, state="register", sleeps=True, **how)
    windows = windows_of(design, [2, 1, 2])
    kept = [True, False, True]
    wanted, found = expected(model, design, windows, kept), []
    random, asleep = np.random.default_rng(5), []

    async def produce(ctx):
        for window, keeps in zip(windows, kept, strict=True):
            await send(ctx, model, design, [window], [keeps], random)
            await ctx.tick().repeat(int(random.integers(120)))

    async def consume(ctx):
        found.extend(await take(ctx, model, design, len(wanted), random))
        await ctx.tick().repeat(100)
        asleep.append(not ctx.get(design.awake))

    async def watch(ctx):
        async for _, _, awake in ctx.tick().sample(design.awake):
            asleep.append(not awake)

    clocked = EnableInserter(design.awake)(design)
    sim = Simulator(clocked)
    sim.add_clock(1e-6)
    sim.add_testbench(produce)
    sim.add_testbench(consume)
    sim.add_testbench(watch, background=True)
    # A result that is lost would be waited for.
    assert not all(sim.advance() for _ in range(60_000))
    assert found == wanted
    # At its end, and for a part of the time between.
    assert asleep[-1]
    assert 50 < sum(asleep) < len(asleep)


def test_the_clock_lingers():
    design, awake = ClockRequest(3), []

    async def bench(ctx):
        for busy in (0, 0, 0, 0, 1, 0, 0, 0, 0, 0):
            ctx.set(design.busy, busy)
            awake.append(ctx.get(design.awake))
            await ctx.tick()

    simulate(design, bench)
    assert awake == [1, 1, 1, 0, 1, 1, 1, 1, 0, 0]


def test_clocks_that_may_not_stop_are_refused(random_of):
    backward = quantize(directed(DIRECTIONS["backward alone"], 3, "mean"), Levels.of(1, 1), NOISE)
    for model in (model_of(random_of, "pixel"), backward):
        with pytest.raises(MubinnError, match="leave out sleeps"):
            check_sleeps(model)


@pytest.mark.parametrize("name", ["convolution"])
def test_it_is_carried_without_a_register(random_of, name):
    about, how = CASES[name]
    model = model_of(random_of, about)
    design = Accelerator(model, state="carried", **how)
    assert "carried" not in design.signature.members
    windows = windows_of(design, [2, 1, 3])
    wanted, found = expected(model, design, windows, [True] * 3), []

    async def produce(ctx):
        await send(ctx, model, design, windows, [True] * 3, None)

    async def consume(ctx):
        found.extend(await take(ctx, model, design, len(wanted), None))

    simulate(design, produce, consume)
    assert found == wanted


@pytest.mark.parametrize("about", ["both leaky:2@2", "both mean"])
def test_results_say_their_step_where_all_windows_begin_anew(about):
    model = model_of(None, about)
    design = Accelerator(model, max_steps=5, stamp=Stamp(4, 3))
    windows = windows_of(design, [2, 5, 1, 4])
    wanted, found = expected(model, design, windows, [False] * 4), []
    random = np.random.default_rng(5)

    async def produce(ctx):
        await send(ctx, model, design, windows, [False] * 4, random)

    async def consume(ctx):
        found.extend(await take(ctx, model, design, len(wanted), random))

    simulate(design, produce, consume)
    assert found == wanted


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("stack, readout last", 7),
        ("leaky mean", 30),
        ("leaky mean beside each other", 30),
        ("samples of an ADC, every", 0),
        ("convolution", 0),
        ("frames of pixels", 40),
    ],
)
def test_what_is_aborted_leaves_nothing(random_of, name, after):
    about, how = CASES[name]
    model = model_of(random_of, about)
    design = Accelerator(model, state="register", **how)
    windows = windows_of(design, [2, 3, 1, 2, 1, 1, 1])
    # Whether the dropped window is kept must not be taken for what the next one is told.
    kept = [True, True, False, True, False, False, True]
    assert expected(model, design, windows[2:], kept[1:-1]) != expected(
        model, design, windows[2:], kept[2:]
    )
    before = expected(model, design, windows[:1], kept[:1])
    wanted = expected(model, design, windows[2:], kept[2:])

    async def both(ctx):
        ctx.set(design.o.ready, 1)
        await send(ctx, model, design, windows[:1], kept[:1], None)
        assert await take(ctx, model, design, len(before), None) == before
        # A window that is told to be kept, dropped while layers work on it.
        ctx.set(design.o.ready, 0)
        await send(ctx, model, design, windows[1:2], kept[:1], None)
        await ctx.tick().repeat(after + 1)
        stale = ctx.get(design.o.valid)
        ctx.set(design.abort, 1)
        await ctx.tick()
        ctx.set(design.abort, 0)
        if stale:
            await take(ctx, model, design, 1, None)
        started.append(True)
        assert await take(ctx, model, design, len(wanted), None) == wanted
        assert not ctx.get(design.busy)
        ended.append(True)

    async def produce(ctx):
        while not started:
            await ctx.tick()
        await send(ctx, model, design, windows[2:], kept[2:], None)

    started, ended = [], []
    simulate(design, both, produce)
    assert ended


def test_where_no_window_can_go_on(random_of):
    x = np.random.default_rng(7).normal(0, 1, (8, 6, 2))
    both = quantize(directed(DIRECTIONS["two directions"], 2, "mean"), Levels.of(1, 1), x)
    strides = quantize(stacked(STACKS["strides"], 2), Levels.of(1, 1), np.tile(x, (1, 2, 1)))
    for model, state, words in [
        (both, "carried", "a backward layer begins with the last step of a window"),
        (strides, "register", "frames 2 steps apart"),
        (strides, "kept", "unknown kind of state 'kept': give cleared, carried, register"),
    ]:
        with pytest.raises(MubinnError, match=words):
            # Not made: Amaranth warns of parts that are made and not used.
            Accelerator.__init__(SimpleNamespace(), model, state=state)
