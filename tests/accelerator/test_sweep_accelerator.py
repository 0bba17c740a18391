"""Networks of layers that sweep frames, whole, against the bit-true model."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from sweeps import SWEEPS, movies, swept

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.model.bit_true import run
from mubinn.golden.quantize import quantize
from mubinn.hw.accelerator.accelerator import Accelerator

CASES = [
    ("ConvLSTM", "every", (2, 1), {"units": 2}),
    ("stack", "every", (1, 1), {"lanes": 7}),
    ("one pixel", "running", (1, 1), {}),
    ("tall", "mean", (1, 2), {"units": 12}),
]


@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize(("name", "readout", "levels", "how"), CASES)
def test_windows_of_frames_give_results_at_the_stated_pace(name, readout, levels, how, pauses):
    kinds = SWEEPS[name]
    model = quantize(swept(kinds, readout=readout), Levels.of(*levels), movies(kinds))
    steps = 2 * kinds[0][2].pixels
    random = np.random.default_rng(3)
    bits = model.layers[0].x.levels
    codes = random.integers(0, 1 << bits, (4, steps, model.features))
    design = Accelerator(model, max_steps=steps, **how)
    scores = run(model, codes)[1].reshape(-1).tolist()
    taken, times = [], []

    async def produce(ctx):
        for window in codes:
            for step, code in enumerate(window):
                if pauses:
                    await ctx.tick().repeat(int(random.geometric(0.1)))
                planes = [int(((code >> k & 1) << np.arange(len(code))).sum()) for k in range(bits)]
                ctx.set(design.i.payload, {"x": planes, "last": int(step == steps - 1)})
                ctx.set(design.i.valid, 1)
                await ctx.tick().until(design.i.ready)
                ctx.set(design.i.valid, 0)

    async def consume(ctx):
        cycle = 0
        while len(taken) < len(scores):
            ctx.set(design.o.ready, not pauses or int(random.random() < 0.05))
            _, _, done, payload = await ctx.tick().sample(
                design.o.valid & design.o.ready, design.o.payload
            )
            cycle += 1
            if done:
                taken.append(int(payload.logits[0]))
                times.append(cycle)
        ctx.set(design.o.ready, 0)
        await ctx.tick()
        assert not ctx.get(design.busy)

    sim = Simulator(design)
    sim.add_clock(1e-6)
    sim.add_testbench(produce)
    sim.add_testbench(consume)
    sim.run()
    assert taken == scores
    if not pauses:
        ends = times[len(scores) // 4 - 1 :: len(scores) // 4]
        assert set(np.diff(ends)[1:].tolist()) == {design.cycles_per_window(steps)}
