"""The whole model in hardware, on Amaranth's own simulator: windows in, classes and logits out."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.lib import data
from amaranth.sim import Simulator
from directions import DIRECTIONS, directed
from ordered import with_thresholds
from stacks import STACKS, stacked

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.constants import DATAPATHS
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.bit_true import run
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.sample_format import SampleFormat
from mubinn.golden.quantize import quantize
from mubinn.hw.accelerator.accelerator import Accelerator
from mubinn.hw.accelerator.plans import entry, plans
from mubinn.hw.export.golden_vectors import drawn_windows
from mubinn.hw.stream.turned import Turned

STEPS = 3


def codes_of(model, windows, steps=STEPS, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 1 << model.layers[0].x.levels, (windows, steps, model.features))


def frames(model, codes):
    """Return the frames of windows [n, T, I] as payloads."""
    levels = model.layers[0].x.levels
    places = np.arange(model.features)
    return [
        {
            "x": [int((((code >> k) & 1) << places).sum()) for k in range(levels)],
            "last": int(step == len(window) - 1),
        }
        for window in codes
        for step, code in enumerate(window)
    ]


def expected(model, codes):
    """Return the results of every window by the bit-true model, as their fields have them."""
    _, scores, classes = run(model, codes)
    found = []
    for place in np.ndindex(scores.shape[:-1]):
        label = () if classes is None else (int(classes[place]),)
        end = (int(place[1] == scores.shape[1] - 1),) if len(place) == 2 else ()
        found.append((*label, scores[place].tolist(), *end))
    return found


async def send(ctx, port, payloads, pauses=None):
    for payload in payloads:
        if pauses is not None:
            ctx.set(port.valid, 0)
            await ctx.tick().repeat(int(pauses.geometric(0.5)))
        ctx.set(port.payload, payload)
        ctx.set(port.valid, 1)
        await ctx.tick().until(port.ready)
    ctx.set(port.valid, 0)


async def take(ctx, port, count, taken, times=None, pauses=None):
    cycle = 0
    ctx.set(port.ready, pauses is None)
    while len(taken) < count:
        if pauses is not None:
            ctx.set(port.ready, int(pauses.random() < 0.02))
        _, _, valid, ready, payload = await ctx.tick().sample(port.valid, port.ready, port.payload)
        cycle += 1
        if valid and ready:
            fields = (getattr(payload, name) for name, _ in port.payload.shape())
            taken.append(tuple(f if isinstance(f, int) else [int(v) for v in f] for f in fields))
            if times is not None:
                times.append(cycle)
    ctx.set(port.ready, 0)


def simulate(design, *processes, limit=60_000):
    """Run testbenches until all have ended."""
    sim = Simulator(design)
    sim.add_clock(1e-6)
    ended = []

    def watched(process):
        async def run_to_end(ctx):
            await process(ctx)
            ended.append(process)

        return run_to_end

    for process in processes:
        sim.add_testbench(watched(process))
    for _ in range(limit):
        if len(ended) == len(processes):
            return
        sim.advance()
    raise TimeoutError(f"{len(ended)} of {len(processes)} testbenches ended")


CASES = {
    "mean": ({"levels": (2, 1), "features": 3, "hidden": 2}, {}),
    "last, two engines": (
        {"levels": (1, 1), "features": 2, "hidden": 3, "readout": "last"},
        {"units": 2},
    ),
    "two layers": ({"levels": (1, 1), "features": 3, "hidden": 2, "depth": 2}, {"units": 1}),
    "GRU, reset after": ({"cell": "gru", "levels": (1, 1), "features": 3, "hidden": 2}, {}),
    "GRU, reset before": (
        {"cell": "gru", "reset": "before", "levels": (1, 1), "features": 3, "hidden": 2},
        {},
    ),
    "two GRUs, reset before": (
        {"cell": "gru", "reset": "before", "levels": (1, 1), "features": 2, "hidden": 2}
        | {"depth": 2, "readout": "last"},
        {},
    ),
    "sigmoid": (
        {"levels": (1, 1), "features": 3, "hidden": 2, "head": "sigmoid", "classes": 1},
        {"units": 3},
    ),
    "regression, last, two engines": (
        {"levels": (1, 1), "features": 2, "hidden": 3, "readout": "last"}
        | {"head": "regression", "classes": 3},
        {"units": 2},
    ),
    "one value": (
        {"levels": (2, 1), "features": 2, "hidden": 2, "head": "regression", "classes": 1},
        {},
    ),
    "every": (
        {"levels": (1, 1), "features": 2, "hidden": 3, "readout": "every"},
        {"units": 2},
    ),
    "running": ({"levels": (2, 1), "features": 3, "hidden": 2, "readout": "running"}, {}),
    "two layers, a sigmoid at every step": (
        {"levels": (1, 1), "features": 3, "hidden": 2, "depth": 2, "readout": "every"}
        | {"head": "sigmoid", "classes": 1},
        {},
    ),
    "GRU, reset before, running values": (
        {"cell": "gru", "reset": "before", "levels": (1, 1), "features": 2, "hidden": 2}
        | {"readout": "running", "head": "regression", "classes": 2},
        {},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_windows_give_classes_and_logits_at_the_stated_pace(random_of, name):
    made, how = CASES[name]
    model = random_of(seed=4, **made)
    codes = codes_of(model, 4)
    design = Accelerator(model, **how)
    taken, times = [], []
    wanted = expected(model, codes)

    async def consume(ctx):
        await take(ctx, design.o, len(wanted), taken, times)

    async def produce(ctx):
        await send(ctx, design.i, frames(model, codes))

    simulate(design, consume, produce)
    assert taken == wanted
    # The first window fills the pipeline of layers.
    pace = design.cycles_per_window(STEPS)
    each = len(wanted) // 4
    assert set(np.diff(times[each::each]).tolist()) == {pace}
    if each > 1:
        assert set(np.diff(times[each:]).tolist()) == {design.cycles_per_step}


@pytest.mark.parametrize("name", CASES)
def test_pauses_on_both_sides_change_nothing(random_of, name):
    made, how = CASES[name]
    model = random_of(seed=4, **made)
    codes = codes_of(model, 4)
    design = Accelerator(model, **how)
    taken = []
    wanted = expected(model, codes)

    async def consume(ctx):
        await take(ctx, design.o, len(wanted), taken, pauses=np.random.default_rng(1))
        await ctx.tick()
        assert not ctx.get(design.busy)

    async def produce(ctx):
        await send(ctx, design.i, frames(model, codes), np.random.default_rng(2))

    simulate(design, consume, produce)
    assert taken == wanted


def of_directions(name, readout, levels=(2, 1), **head):
    x = np.random.default_rng(7).normal(0, 1, (8, 6, 2))
    floats = directed(DIRECTIONS[name], 2, readout, **head)
    return quantize(floats, Levels.of(*levels), x)


DIRECTED = [
    ("two directions", "mean"),
    ("two directions", "running"),
    ("two directions", "leaky:2@2"),
    ("backward alone", "leaky:1@end"),
    ("backward alone", "every"),
    ("two directions below", "mean"),
    ("three beside each other", "every"),
    ("two directions twice", "last"),
    ("onward above backward", "last"),
]


@pytest.mark.parametrize(("name", "readout"), DIRECTED)
def test_directions_equal_the_bit_true_model(name, readout):
    model = of_directions(name, readout, levels=(1, 1))
    design = Accelerator(model, max_steps=4)
    random = np.random.default_rng(3)
    windows = [codes_of(model, 1, steps=n, seed=n)[0] for n in (2, 4, 1, 1, 3)]
    wanted = [result for window in windows for result in expected(model, window[None])]
    taken = []

    async def consume(ctx):
        await take(ctx, design.o, len(wanted), taken, pauses=random)
        await ctx.tick()
        assert not ctx.get(design.busy)

    async def produce(ctx):
        for window in windows:
            await send(ctx, design.i, frames(model, window[None]), random)

    simulate(design, consume, produce)
    assert taken == wanted


@pytest.mark.parametrize(("name", "readout"), DIRECTED)
def test_directions_keep_the_stated_pace(name, readout):
    model = of_directions(name, readout, levels=(1, 1))
    codes = codes_of(model, 5, steps=3)
    design = Accelerator(model, max_steps=3)
    taken, times = [], []
    wanted = expected(model, codes)

    async def consume(ctx):
        await take(ctx, design.o, len(wanted), taken, times)

    async def produce(ctx):
        await send(ctx, design.i, frames(model, codes))

    simulate(design, consume, produce)
    assert taken == wanted
    each = len(wanted) // 5
    ends = times[each - 1 :: each]
    # The first windows fill the memories.
    assert set(np.diff(ends)[2:].tolist()) == {design.cycles_per_window(3)}


@pytest.mark.parametrize("pauses", [None, 0.5])
@pytest.mark.parametrize("depth", [1, 5, 8])
def test_windows_are_turned_round(depth, pauses):
    layout = data.StructLayout({"value": 12, "last": 1})
    design = Turned(layout, depth)
    random = np.random.default_rng(depth)
    lengths = random.integers(1, depth + 1, 40).tolist()
    windows = [random.integers(0, 1 << 12, n).tolist() for n in lengths]
    payloads, wanted, taken = [], [], []
    for window in windows:
        n = len(window)
        payloads += [{"value": v, "last": int(k == n - 1)} for k, v in enumerate(window)]
        wanted += [(v, int(k == n - 1)) for k, v in enumerate(window[::-1])]

    async def consume(ctx):
        await take(ctx, design.o, len(wanted), taken, pauses=pauses and random)

    async def produce(ctx):
        await send(ctx, design.i, payloads, pauses and random)

    simulate(design, consume, produce)
    assert taken == wanted


def test_what_is_turned_round_goes_on_at_a_payload_a_cycle():
    design = Turned(data.StructLayout({"value": 4, "last": 1}), 6)
    payloads = [{"value": k, "last": int(k == 5)} for _ in range(4) for k in range(6)]
    times, taken = [], []

    async def consume(ctx):
        await take(ctx, design.o, 24, taken, times)

    async def produce(ctx):
        await send(ctx, design.i, payloads)

    simulate(design, consume, produce)
    assert [value for value, _ in taken] == [5, 4, 3, 2, 1, 0] * 4
    gaps = np.diff(times)
    assert set(np.delete(gaps, [5, 11, 17]).tolist()) == {1}
    assert max(gaps) <= 3


@pytest.mark.parametrize("name", ["sigmoid", "every", "running"])
def test_windows_of_one_step(random_of, name):
    made, how = CASES[name]
    model = random_of(seed=4, **made)
    codes = codes_of(model, 5, steps=1)
    design = Accelerator(model, **how)
    taken = []

    async def consume(ctx):
        await take(ctx, design.o, 5, taken)
        await ctx.tick()
        assert not ctx.get(design.busy)

    async def produce(ctx):
        await send(ctx, design.i, frames(model, codes))

    simulate(design, consume, produce)
    assert taken == expected(model, codes)


SAMPLES = {"layer": {"sample_width": 18}, "adc": {"adc_width": 10}}


def samples_of(design, windows, steps=STEPS):
    """Return the codes that random samples stand for, and the payloads of these."""
    values, codes = drawn_windows(design, windows, steps, seed=3)
    payloads = [
        {"value": int(v), "last": int(sample >= len(window) - design.samples)}
        for window in values
        for sample, frame in enumerate(window)
        for v in frame
    ]
    return codes, payloads


def causal(model, decimate):
    return replace(model, preprocessing=Preprocessing("causal", decimate))


@pytest.mark.parametrize("offsets", [True, False])
def test_samples_are_encoded_on_chip(random_model, offsets):
    model = random_model(seed=8, levels=(3, 1), features=3, hidden=2, offsets=offsets)
    assert len(np.unique(classified(model, **SAMPLES["layer"]))) > 4


def test_thresholds_encode_samples_on_chip(random_model):
    model = with_thresholds(random_model(seed=8, levels=(2, 2), features=3, hidden=2))
    assert set(np.unique(classified(model, **SAMPLES["layer"]))) == {0, 1, 3}


@pytest.mark.parametrize("decimate", [1, 4])
def test_samples_of_an_adc_are_made_steps_on_chip(random_model, decimate):
    """The front end waits for the layer, or the layer for it; windows begin anew."""
    model = random_model(seed=8, levels=(2, 1), features=9, hidden=1, readout="every")
    classified(causal(model, decimate), steps=7, **SAMPLES["adc"])


def classified(model, windows=3, steps=STEPS, **how):
    """Send samples of windows, hold what comes to the bit-true model; return their codes."""
    design = Accelerator(model, **how)
    codes, payloads = samples_of(design, windows, steps)
    wanted, taken, times = expected(model, codes), [], []

    async def consume(ctx):
        await take(ctx, design.o, len(wanted), taken, times)
        await ctx.tick()
        assert not ctx.get(design.busy)

    async def produce(ctx):
        await send(ctx, design.i, payloads)

    simulate(design, consume, produce)
    assert taken == wanted
    each = len(wanted) // windows
    assert set(np.diff(times[each - 1 :: each]).tolist()) == {design.cycles_per_window(steps)}
    return codes


def test_samples_of_an_adc_need_a_model_that_reads_such(random_model):
    model = random_model(levels=(1, 1))
    with pytest.raises(MubinnError, match=r"normalised by 'window', .* train with --normalise"):
        entry(model, adc_width=12)
    with pytest.raises(MubinnError, match="give the bits of one of them"):
        entry(causal(model, 2), 18, 12)


def test_narrow_samples_are_refused(random_model):
    with pytest.raises(MubinnError, match=r"samples of 8 bits do not reach .*: give \d+"):
        SampleFormat.of(random_model(), 8)


@pytest.mark.parametrize(
    ("name", "by", "samples", "after"),
    [
        ("mean", "abort", None, 0),
        ("two layers", "abort", "layer", 9),
        ("two layers", "abort", None, 33),
        ("two layers", "reset", None, 57),
        ("mean", "reset", "layer", 70),
        ("GRU, reset before", "abort", None, 5),
        ("GRU, reset before", "abort", None, 16),
        ("GRU, reset before", "reset", "layer", 43),
        ("sigmoid", "abort", None, 11),
        ("every", "abort", None, 9),
        ("every", "reset", None, 30),
        ("running", "abort", "layer", 5),
        ("two layers", "abort", "adc", 9),
        ("every", "abort", "adc", 19),
        ("mean", "reset", "adc", 70),
    ],
)
def test_a_window_begins_clean_after(random_of, name, by, samples, after):
    made, how = CASES[name]
    model = causal(random_of(seed=4, **made), 2)
    reset = Signal()
    design = Accelerator(model, **SAMPLES.get(samples, {}), **how)
    if samples:
        codes, payloads = samples_of(design, 2)
    else:
        codes = codes_of(model, 2)
        payloads = frames(model, codes)
    taken = []
    stop = reset if by == "reset" else design.abort

    async def consume(ctx):
        ctx.set(design.i.payload, payloads[0])
        ctx.set(design.i.valid, 1)
        # Some of the first frames go in again and again, then the window is forgotten.
        await ctx.tick().repeat(after + 1)
        ctx.set(design.i.valid, 0)
        ctx.set(stop, 1)
        await ctx.tick()
        ctx.set(stop, 0)
        assert not ctx.get(design.busy)
        started.append(True)
        await take(ctx, design.o, len(wanted), taken)
        await ctx.tick()
        assert not ctx.get(design.busy)

    started = []
    wanted = expected(model, codes)

    async def produce(ctx):
        while not started:
            await ctx.tick()
        await send(ctx, design.i, payloads)

    simulate(ResetInserter(reset)(design), consume, produce)
    assert taken == expected(model, codes)


@pytest.mark.parametrize(("name", "readout"), [DIRECTED[1], DIRECTED[3]])
def test_directions_begin_clean_after_an_abort(name, readout):
    """Whole windows are under way, turned round and beside each other, when they are forgotten."""
    model = of_directions(name, readout, levels=(1, 1))
    design = Accelerator(model, max_steps=3)
    codes = codes_of(model, 2)
    wanted, taken, started = expected(model, codes), [], []

    async def begun(ctx, after):
        ctx.set(design.o.ready, 1)
        payloads = itertools.cycle(frames(model, codes))
        ctx.set(design.i.payload, next(payloads))
        ctx.set(design.i.valid, 1)
        for _ in range(after):
            _, _, ready = await ctx.tick().sample(design.i.ready)
            if ready:
                ctx.set(design.i.payload, next(payloads))
        ctx.set(design.i.valid, 0)
        ctx.set(design.abort, 1)
        await ctx.tick()
        ctx.set(design.abort, 0)
        assert not ctx.get(design.busy)

    async def consume(ctx):
        for after in (50, 77, 130, 161):
            await begun(ctx, after)
        started.append(True)
        await take(ctx, design.o, len(wanted), taken)
        await ctx.tick()
        assert not ctx.get(design.busy)

    async def produce(ctx):
        while not started:
            await ctx.tick()
        await send(ctx, design.i, frames(model, codes))

    simulate(design, consume, produce)
    assert taken == wanted


@pytest.mark.parametrize("at_once", [False, True])
def test_a_result_that_waits_outlives_an_abort(random_model, at_once):
    """Also one that is taken in the cycle of an abort."""
    model = random_model(seed=4, **CASES["mean"][0])
    codes = codes_of(model, 2)
    design = Accelerator(model)
    taken = []

    async def consume(ctx):
        await ctx.tick().until(design.o.valid)
        await ctx.tick().repeat(20)
        ctx.set(design.abort, 1)
        await ctx.tick()
        ctx.set(design.abort, 0)
        assert ctx.get(design.busy)
        if at_once:
            ctx.set(design.abort, 1)
        await take(ctx, design.o, 1, taken)
        ctx.set(design.abort, 0)
        assert not ctx.get(design.busy)

    async def produce(ctx):
        await send(ctx, design.i, frames(model, codes)[: STEPS + 1])

    simulate(design, consume, produce)
    assert taken == expected(model, codes)[:1]


@pytest.fixture(params=STACKS)
def stack(request):
    number = list(STACKS).index(request.param)
    model = stacked(STACKS[request.param], 2, ("mean", "last")[number % 2])
    x = np.random.default_rng(7).normal(0, 1, (8, 7, 2))
    return quantize(model, Levels.of(2, 1), x).with_datapath(DATAPATHS[number // 2])


def test_stacks_are_the_bit_true_model_at_the_stated_pace(stack):
    steps = 8
    codes = codes_of(stack, 5, steps)
    design = Accelerator(stack, units=3)
    taken, times = [], []

    async def consume(ctx):
        await take(ctx, design.o, 5, taken, times)

    async def produce(ctx):
        await send(ctx, design.i, frames(stack, codes))

    simulate(design, consume, produce)
    assert taken == expected(stack, codes)
    # The first windows fill the pipeline of layers.
    assert set(np.diff(times[2:]).tolist()) == {design.cycles_per_window(steps)}


@pytest.mark.parametrize("readout", ["every", "running"])
def test_a_stack_has_a_result_at_each_step_of_its_last_layer(readout):
    name = next(name for name, kinds in STACKS.items() if stacked(kinds, 2).steps(8) < 8)
    floats = stacked(STACKS[name], 2, readout)
    x = np.random.default_rng(7).normal(0, 1, (8, 7, 2))
    model = quantize(floats, Levels.of(1, 1), x).with_datapath("threshold")
    codes = codes_of(model, 3, 8)
    wanted = expected(model, codes)
    assert len(wanted) == 3 * model.steps(8)
    design = Accelerator(model, units=3)
    taken, busy = [], []

    async def consume(ctx):
        await take(ctx, design.o, len(wanted), taken, pauses=np.random.default_rng(2))
        busy.append(ctx.get(design.busy))

    async def produce(ctx):
        await send(ctx, design.i, frames(model, codes), np.random.default_rng(3))

    simulate(design, consume, produce)
    assert taken == wanted
    assert busy == [0]


def test_pauses_and_windows_of_other_lengths_change_nothing(stack):
    # Windows of other lengths after each other, the first ones shorter than all frames.
    random = np.random.default_rng(1)
    design = Accelerator(stack)
    sizes = (1, 9, 7, 1, 8)
    windows = [codes_of(stack, 1, steps, seed) for seed, steps in enumerate(sizes)]
    taken, inside = [], []

    async def consume(ctx):
        await take(ctx, design.o, len(sizes), taken, pauses=np.random.default_rng(2))
        inside.append(ctx.get(design.busy))

    async def produce(ctx):
        await send(ctx, design.i, [f for w in windows for f in frames(stack, w)], random)

    simulate(design, consume, produce)
    for result, codes, steps in zip(taken, windows, sizes, strict=True):
        if steps > 1:  # one step is too short for some models, whose result means nothing
            assert [result] == expected(stack, codes)
    assert inside == [0]


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("name", ["every", "running"])
def test_of_an_aborted_window_one_result_is_left(random_of, name, at_once):
    """Neither it nor what was forgotten counts as a window."""
    model = random_of(seed=4, **CASES[name][0])
    codes = codes_of(model, 2)
    design = Accelerator(model)
    taken, started, wanted = [], [], expected(model, codes)

    async def consume(ctx):
        await ctx.tick().until(design.o.valid)
        await ctx.tick().repeat(20)
        ctx.set(design.abort, 1)
        ctx.set(design.o.ready, at_once)
        await ctx.tick()
        ctx.set(design.abort, 0)
        assert ctx.get(design.busy) == (not at_once)
        if not at_once:
            await take(ctx, design.o, 1, taken)
            await ctx.tick()
            assert taken == wanted[:1]
        assert not ctx.get(design.busy)
        taken.clear()
        started.append(True)
        await take(ctx, design.o, len(wanted), taken)
        await ctx.tick()
        assert not ctx.get(design.busy)

    async def produce(ctx):
        await send(ctx, design.i, frames(model, codes)[:1])
        while not started:
            await ctx.tick()
        await send(ctx, design.i, frames(model, codes))

    simulate(design, consume, produce)
    assert taken == wanted


@pytest.mark.parametrize("name", ["mean", "every"])
def test_a_result_that_is_handed_over_in_the_cycle_of_an_abort_is_forgotten(random_of, name):
    model = random_of(seed=4, **CASES[name][0])
    frame = frames(model, codes_of(model, 1, steps=1))[0]
    design = Accelerator(model)
    ended = []

    async def bench(ctx):
        ctx.set(design.o.ready, 1)
        for last in (None, -1):
            ctx.set(design.i.payload, frame)
            ctx.set(design.i.valid, 1)
            await ctx.tick()
            ctx.set(design.i.valid, 0)
            if last is None:
                cycles = 0
                while not ctx.get(design.o.valid):
                    await ctx.tick()
                    cycles += 1
                await ctx.tick()
        await ctx.tick().repeat(cycles - 1)
        assert ctx.get(design.busy)
        ctx.set(design.abort, 1)
        await ctx.tick()
        ctx.set(design.abort, 0)
        assert not ctx.get(design.o.valid)
        assert not ctx.get(design.busy)
        ended.append(True)

    simulate(design, bench)
    assert ended


def test_an_accelerator_takes_windows_that_its_layers_can_read():
    x = np.random.default_rng(7).normal(0, 1, (8, 7, 2))
    model = quantize(stacked(STACKS["convolution"], 2), Levels.of(1, 1), x)
    assert [plan.max_steps for plan in plans(model, max_steps=3)] == [3] * len(model.layers)
    with pytest.raises(MubinnError, match="a window of 2 steps is shorter than the 3"):
        plans(model, max_steps=2)
