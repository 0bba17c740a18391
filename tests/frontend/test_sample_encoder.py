"""Raw samples to level bits on Amaranth's own simulator, from the very first cycle on."""

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator
from ordered import ordered

from mubinn.golden.binarize.ordered import Ordered
from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.sample_format import SampleFormat
from mubinn.hw.frontend.sample_encoder import SampleEncoder

FEATURES, WIDTH = 4, 18
OFFSETS = [200, -200, 90, -300]
"""Far apart, so that a sample against another channel's offset has another code."""


def format_of(offset, kind=None):
    quantizer = Quantizer(np.array([64, 32]), 6, np.array(offset))
    return SampleFormat(ordered(quantizer, kind) if kind else quantizer, FEATURES, WIDTH)


def planes_of(codes):
    """Return the level planes of one frame's codes, channel 0 in bit 0."""
    return [sum((int(code) >> k & 1) << n for n, code in enumerate(codes)) for k in range(2)]


@pytest.mark.parametrize("kind", [None, "tc", "qc"])
@pytest.mark.parametrize("offset", [OFFSETS, 70])
@pytest.mark.parametrize("before", [0, 1, 2, 4, 7])
def test_frames_are_right_from_the_cycle_after_a_reset_on(offset, before, kind):
    """Without a pause: `before` samples, a reset of one cycle, and whole frames."""
    params = format_of(offset, kind)
    # Between the offsets: each channel's sign is that of its own offset, turned round.
    samples = np.zeros((3, FEATURES), int)
    samples[1] = np.array(OFFSETS)[::-1] << INPUT_FRACTION - 6
    reset, taken = Signal(), []
    encoder = SampleEncoder(params)

    async def offer(ctx, value, last):
        ctx.set(encoder.i.payload, {"value": int(value), "last": last})
        ctx.set(encoder.i.valid, 1)

    async def produce(ctx):
        for k in range(before):
            await offer(ctx, samples.flat[k], 0)
            await ctx.tick().until(encoder.i.ready)
        if before:
            await offer(ctx, samples.flat[before], 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            taken.clear()
        for k, value in enumerate(samples.flat):
            await offer(ctx, value, int(k == samples.size - 1))
            await ctx.tick().until(encoder.i.ready)
        ctx.set(encoder.i.valid, 0)

    async def consume(ctx):
        ctx.set(encoder.o.ready, 1)
        while len(taken) < len(samples):
            async for _, _, valid, x, last in ctx.tick().sample(
                encoder.o.valid, encoder.o.payload.x, encoder.o.payload.last
            ):
                if valid:
                    taken.append((list(x), last))
                    break

    simulator = Simulator(ResetInserter(reset)(encoder))
    simulator.add_clock(1e-6)
    simulator.add_testbench(consume)
    simulator.add_testbench(produce)
    simulator.run_until(100e-6)
    codes = params.quantizer.encode(samples, INPUT_FRACTION)
    assert taken == [(planes_of(row), int(k == 2)) for k, row in enumerate(codes)]


def test_samples_reach_beyond_every_threshold():
    far = Ordered([-5000, 4000], [0, 1, 3])
    quantizer = Quantizer(np.array([64, 32]), 6, np.array([100, -100]), far)
    assert SampleFormat(quantizer, 2, 20).width == 20
    with pytest.raises(MubinnError, match="do not reach the input's largest value: give 20 or"):
        SampleFormat(quantizer, 2, 19)
