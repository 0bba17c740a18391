"""Models of all kinds behind accelerators whose windows go on from each other."""

from dataclasses import replace

import numpy as np
from amaranth.sim import Simulator
from directions import DIRECTIONS, directed
from stacks import stacked
from sweeps import SWEEPS, movies, swept

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import dense, gru, lstm
from mubinn.golden.cells.place import Place
from mubinn.golden.model.bit_true import run, run_from
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.stamp import Stamp
from mubinn.golden.quantize import quantize
from mubinn.hw.accelerator.state_parts import WholeState
from mubinn.hw.export.golden_vectors import drawn_windows

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
    return [row for found, _ in followed(model, design, windows, kept) for row in found]


def followed(model, design, windows, kept):
    """Yield the results of each window, and the whole state that it leaves."""
    state, before, steps = None, None, 0
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
        found = np.column_stack([own, *said]).tolist()
        state, steps = (left, steps + model.steps(len(codes))) if keeps else (None, 0)
        yield found, left and WholeState(left, before, steps)


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
