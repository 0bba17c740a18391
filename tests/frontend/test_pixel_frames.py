"""Pixels and what each one reads of its frame."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from sweeps import swept

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.library import dense
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.model.bit_true import frames_after
from mubinn.golden.quantize import quantize
from mubinn.hw.frontend.pixel_frames import PixelFrames


def planes(codes, levels):
    return [int(((codes >> k & 1) << np.arange(len(codes))).sum()) for k in range(levels)]


@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize(
    "sweep", [Sweep(4, 5), Sweep(1, 1), Sweep(2, 3, 1, 3), Sweep(3, 2, 5, 1), Sweep(2, 1, 3, 5)]
)
def test_pixels_around_are_gathered_at_the_stated_pace(sweep, pauses):
    random = np.random.default_rng(1)
    x = random.normal(0, 1, (4, 2 * sweep.pixels, 2))
    layer = quantize(swept([(dense, 1, sweep)], 2), Levels.of(2, 1), x).layers[0]
    codes = random.integers(0, 4, (3, 2 * sweep.pixels, 2))
    want = [
        (planes(step, 2), int(k == len(window) - 1))
        for window in frames_after(layer, codes[:, :0], codes)[0]
        for k, step in enumerate(window)
    ]
    unit, found, times = PixelFrames(layer), [], []

    async def produce(ctx):
        for window in codes:
            for k, code in enumerate(window):
                if pauses:
                    await ctx.tick().repeat(int(random.geometric(0.2)))
                ctx.set(unit.i.payload, {"x": planes(code, 2), "last": k == len(window) - 1})
                ctx.set(unit.i.valid, 1)
                await ctx.tick().until(unit.i.ready)
                ctx.set(unit.i.valid, 0)

    async def consume(ctx):
        cycle = 0
        while len(found) < len(want):
            ctx.set(unit.o.ready, not pauses or int(random.random() < 0.2))
            _, _, valid, ready, payload = await ctx.tick().sample(
                unit.o.valid, unit.o.ready, unit.o.payload
            )
            cycle += 1
            if valid and ready:
                found.append(([int(plane) for plane in payload.x], payload.last))
                times.append(cycle)

    sim = Simulator(unit)
    sim.add_clock(1e-6)
    sim.add_testbench(produce)
    sim.add_testbench(consume)
    sim.run()
    assert found == want
    if not pauses:
        assert set(np.diff(times).tolist()) == {PixelFrames.interval(sweep)}
