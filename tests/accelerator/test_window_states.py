"""Accelerators whose windows go on from what the one before has left."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from amaranth.hdl import EnableInserter
from amaranth.sim import Simulator
from directions import DIRECTIONS, directed
from stacks import STACKS, stacked
from sweeps import SWEEPS, movies, swept

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import dense, gru, lstm
from mubinn.golden.cells.place import Place
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.bit_true import run, run_from
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.layer_state import LayerState
from mubinn.golden.model.stamp import Stamp
from mubinn.golden.quantize import quantize
from mubinn.hw.accelerator.accelerator import Accelerator
from mubinn.hw.accelerator.axi_accelerator import accelerator_top
from mubinn.hw.accelerator.plans import check_sleeps
from mubinn.hw.accelerator.state_ring import check_port, pack, unpack
from mubinn.hw.export.golden_vectors import drawn_windows
from mubinn.hw.layer.layer_states import layer_state, state_words
from mubinn.hw.stream.clock_request import ClockRequest

NOISE = np.random.default_rng(0).normal(0, 1, (8, 12, 3))
CAUSAL = [(dense, 2, Frames(3, 1, 2)), (lstm, 1, Frames())]
BESIDE = [(lstm, 2, Place()), (gru, 2, Place(beside=True))]
CASES = {
    "stack, readout last": (
        {"seed": 9, "levels": (1, 2), "hidden": 2, "depth": 2, "readout": "last"},
        {"units": 2, "stamp": Stamp(5, 3)},
    ),
    "samples, mean": (
        {"seed": 9, "levels": (2, 1), "hidden": 2},
        {"sample_width": 18, "stamp": Stamp(settle=4)},
    ),
    "two GRUs, running": (
        {"seed": 5, "cell": "gru", "reset": "before", "levels": (1, 2), "hidden": 2, "depth": 2}
        | {"readout": "running"},
        {},
    ),
    "samples of an ADC, every": (
        {"seed": 9, "levels": (2, 1), "hidden": 2, "readout": "every"},
        {"adc_width": 10},
    ),
    "leaky mean": (
        {"seed": 9, "levels": (1, 2), "hidden": 2, "readout": "leaky:2"},
        {"stamp": Stamp(3, 2)},
    ),
    "leaky mean of a stack of two GRUs, its end": (
        {"seed": 5, "cell": "gru", "reset": "before", "levels": (1, 2), "hidden": 2, "depth": 2}
        | {"readout": "leaky:3@end"},
        {},
    ),
    "leaky mean beside each other": ("beside leaky:2@2", {"stamp": Stamp(3, 2)}),
    "mean beside each other": ("beside mean", {"stamp": Stamp(3, 2)}),
    "convolution": ("causal", {}),
    "frames of pixels": ("pixel", {"stamp": Stamp(4, 4)}),
}


def model_of(random_of, about):
    if about == "causal":
        x = np.random.default_rng(0).normal(0, 1, (8, 12, 3))
        return quantize(stacked(CAUSAL, 3), Levels.of(1, 2), x)
    if "beside " in about or "both " in about:
        x = np.random.default_rng(0).normal(0, 1, (8, 12, 3))
        kinds = BESIDE if about.startswith("beside") else DIRECTIONS["two directions"]
        return quantize(directed(kinds, 3, about.split()[-1]), Levels.of(1, 2), x)
    if about == "pixel":
        kinds = SWEEPS["one pixel"]
        return quantize(swept(kinds, readout="running"), Levels.of(1, 2), movies(kinds))
    return replace(random_of(features=3, **about), preprocessing=Preprocessing("causal", 2))


def windows_of(design, lengths):
    """Return the numbers of windows of so many steps, as they are sent."""
    return [drawn_windows(design, 1, n, seed)[0][0] for seed, n in enumerate(lengths)]


def payloads(model, design, numbers):
    """Yield the payloads of a window, and whether each is of its last step."""
    for row_number, row in enumerate(numbers):
        last = int(row_number >= len(numbers) - design.samples)
        if design.encoder is not None:
            yield from (({"value": int(v), "last": last}, last) for v in row)
            continue
        places = np.arange(model.features)
        levels = range(model.layers[0].x.levels)
        yield {"x": [int(((row >> k & 1) << places).sum()) for k in levels], "last": last}, last


def expected(model, design, windows, kept):
    """Return all results, window after window, from the states that are kept.

    Scores, and the fields of the stamp.
    """
    state, before, found, steps = None, None, [], 0
    for numbers, keeps in zip(windows, kept, strict=True):
        codes = numbers
        if design.front_end is not None:
            numbers, before = design.front_end.front_end.run(numbers, before if state else None)
        if design.encoder is not None:
            codes = model.encode_input(numbers / (1 << INPUT_FRACTION))
        if design.state == "cleared":
            scores, left = run(model, codes)[1], None
        else:
            _, scores, _, left = run_from(model, codes, state)
        own, stamp = scores.reshape(-1, model.outputs), design.stamp or Stamp()
        said = stamp.of(steps, model.steps(len(codes)), model.reading).values()
        found += np.column_stack([own, *said]).tolist()
        state, steps = (left, steps + model.steps(len(codes))) if keeps else (None, 0)
    return found


async def send(ctx, model, design, windows, kept, random):
    for numbers, keeps in zip(windows, kept, strict=True):
        for payload, last in payloads(model, design, numbers):
            ctx.set(design.i.valid, 0)
            if random is not None:
                await ctx.tick().repeat(int(random.geometric(0.3)))
            ctx.set(design.i.payload, payload)
            ctx.set(design.i.valid, 1)
            if design.state == "register":
                # At other steps it does not count, and of the window before it is known already.
                ctx.set(design.carried, keeps if last else not keeps)
            await ctx.tick().until(design.i.ready)
    ctx.set(design.i.valid, 0)


async def take(ctx, model, design, count, random):
    found, name = [], "values" if model.head == "regression" else "logits"
    while len(found) < count:
        ctx.set(design.o.ready, random is None or int(random.random() < 0.05))
        _, _, done, payload = await ctx.tick().sample(
            design.o.valid & design.o.ready, design.o.payload
        )
        if done:
            said = [payload[own] for own in (design.stamp or Stamp()).fields]
            found.append([int(v) for v in (*getattr(payload, name), *said)])
    ctx.set(design.o.ready, 0)
    return found


def simulate(design, *processes):
    sim = Simulator(design)
    sim.add_clock(1e-6)
    for process in processes:
        sim.add_testbench(process)
    sim.run()


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


async def save(ctx, design):
    """Return the bytes of the state, which stays."""
    found = bytearray()
    ctx.set(design.save, 1)
    await ctx.tick()
    ctx.set(design.save, 0)
    ctx.set(design.state_o.ready, 1)
    while len(found) < design.ring.bytes:
        _, _, valid, byte = await ctx.tick().sample(design.state_o.valid, design.state_o.payload)
        if valid:
            found.append(byte)
    ctx.set(design.state_o.ready, 0)
    await ctx.tick().repeat(4)
    return bytes(found)


async def restore(ctx, design, state):
    ctx.set(design.restore, 1)
    await ctx.tick()
    ctx.set(design.restore, 0)
    ctx.set(design.state_i.valid, 1)
    for byte in state:
        ctx.set(design.state_i.payload, byte)
        await ctx.tick().until(design.state_i.ready)
    ctx.set(design.state_i.valid, 0)


def states_of(design, saved):
    """Return the codes of all layers in the bytes of a state."""
    words = unpack(design.ring.shapes, saved)[design.front_end is not None :]
    own = zip(design.plans, words, strict=True)
    return [[codes.tolist() for codes in layer_state(*pair).codes] for pair in own]


def drawn_state(design, random):
    """Return the bytes of a state of any codes."""
    found = []
    if design.front_end is not None:
        own = design.front_end.front_end
        slow = random.integers(0, 1 << own.slow_width, own.channels)
        found.append([*slow.tolist(), 5 << own.size_width | 1234])
    for plan in design.plans:
        layer = plan.layer
        codes = [
            random.integers(0, 1 << layer.quantizers[n.name].levels, layer.sizes.count(n))
            for n in layer.cell.states
        ]
        found.append(state_words(plan, LayerState(tuple(codes), np.zeros((0, 0), np.int64))))
    return pack(design.ring.shapes, found)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("stack, readout last", {}),
        ("two GRUs, running", {}),
        ("samples of an ADC, every", {"seed": 1, "hidden": 3}),
    ],
)
def test_streams_share_an_accelerator(random_of, name, other):
    about, how = CASES[name]
    about, how = about | other, {n: value for n, value in how.items() if n != "stamp"}
    model = model_of(random_of, about)
    design = Accelerator(model, state="carried", state_port=True, **how)
    windows = windows_of(design, [2, 1, 1, 3, 2, 1])
    alone = [expected(model, design, windows[k::2], [True] * 3) for k in range(2)]
    assert alone[0] != expected(model, design, windows[::2], [False] * 3)
    found, states, checked = [[], []], {}, []

    async def produce(ctx):
        states[0] = states[1] = first = await save(ctx, design)
        drawn = drawn_state(design, np.random.default_rng(2))
        await restore(ctx, design, drawn)
        assert await save(ctx, design) == drawn != first
        for number, numbers in enumerate(windows):
            stream = number % 2
            if number == 3:
                # As after a reset: what is restored is all that is left.
                ctx.set(design.abort, 1)
                await ctx.tick()
                ctx.set(design.abort, 0)
            await restore(ctx, design, states[stream])
            checked.append(stream)
            await send(ctx, model, design, [numbers], [True], None)
            while ctx.get(design.busy):
                await ctx.tick()
            states[stream] = await save(ctx, design)
            # To have it read changes nothing.
            assert await save(ctx, design) == states[stream] != first
        checked.append(None)

    async def consume(ctx):
        while None not in checked:
            ctx.set(design.o.ready, 1)
            _, _, done, payload = await ctx.tick().sample(
                design.o.valid & design.o.ready, design.o.payload
            )
            if done:
                found[checked[-1]].append([int(v) for v in payload.logits])

    simulate(design, produce, consume)
    assert found == alone
    if design.encoder is None:
        for stream, saved in states.items():
            left = None
            for numbers in windows[stream::2]:
                left = run_from(model, numbers, left)[-1]
            assert states_of(design, saved) == [[c.tolist() for c in own.codes] for own in left]
            # What is made of codes is read as these again.
            words = [state_words(*own) for own in zip(design.plans, left, strict=True)]
            made = pack(design.ring.shapes, words)
            assert states_of(design, made) == states_of(design, saved)


def test_where_no_state_goes_out(random_of):
    with pytest.raises(MubinnError, match="AXI4-Lite has no registers by which a state"):
        accelerator_top(model_of(random_of, CASES["samples, mean"][0]), state_port=True)
    with pytest.raises(
        MubinnError, match="a state of 2 bytes is another accelerator's: give the 3"
    ):
        unpack([(9, 1), (3, 1)], bytes(2))
    for name, state, words in [
        ("convolution", "carried", "of convolutions and of projected cells does not go in or out"),
        ("frames of pixels", "register", "layers that sweep frames"),
        ("stack, readout last", "cleared", "a state that each window clears is worth no port"),
    ]:
        about, how = CASES[name]
        how = {option: value for option, value in how.items() if option != "stamp"}
        with pytest.raises(MubinnError, match=words):
            Accelerator.__init__(
                SimpleNamespace(), model_of(random_of, about), state=state, state_port=True, **how
            )
    model = model_of(random_of, CASES["stack, readout last"][0])
    for readout, stamp, sleeps, words in [
        ("leaky", None, False, "S of a leaky mean has no way out"),
        ("last", Stamp(bits=3), False, "the count of steps has no way out"),
        ("last", None, True, "a clock that runs"),
    ]:
        with pytest.raises(MubinnError, match=words):
            check_port(replace(model, readout=readout), "carried", stamp, sleeps=sleeps)
    check_port(model, "register", Stamp(), sleeps=False)
