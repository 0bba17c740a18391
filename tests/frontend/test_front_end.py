"""The front end in integers: the design's numbers, whole recordings, hardware."""

from dataclasses import replace
from math import floor, log2

import numpy as np
import pytest
from amaranth.sim import Simulator

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.front_end import FrontEnd
from mubinn.hw.frontend.front_end import StreamFrontEnd


def by_hand(samples, front_end):
    """Return the steps of one stream in plain Python, number by number, with the wide integers."""
    d, k, g, clamp = (
        getattr(front_end, name) for name in ("decimation", "high_pass", "gain", "clamp")
    )
    least = 2**front_end.mean_shift
    slow, size, steps = None, 0, []
    for t in range(len(samples) // d):
        p = [sum(int(s[c]) for s in samples[d * t : d * t + d]) for c in range(front_end.channels)]
        slow = [value * 2**k for value in p] if t == 0 else slow
        y = [own - floor(low / 2**k) for own, low in zip(p, slow, strict=True)]
        j = min(k, t.bit_length())
        slow = [low + own * 2 ** (k - j) for low, own in zip(slow, y, strict=True)]
        if t == 1:
            size = max(sum(map(abs, y)), least) * 2**g
        e = floor(log2(max(size // 2**g, least))) - front_end.mean_shift
        y = [min(max(own, -(2 ** (e + clamp))), 2 ** (e + clamp) - 1) for own in y]
        if t:
            j = min(g, t.bit_length() - 1)
            size += (sum(map(abs, y)) - size // 2**g) * 2 ** (g - j)
        steps.append([floor(own * 2 ** (4 - e) + 0.5) * 128 for own in y])
    return steps, slow, size


def signal(front_end, steps, seed=0, size=40.0):
    """Return samples [T, C]: a walk, an offset and noise, with a few that reach the ADC's ends."""
    rng = np.random.default_rng(seed)
    shape = (steps * front_end.decimation, front_end.channels)
    most = 2 ** (front_end.width - 1)
    wave = rng.normal(0, size, shape) + np.cumsum(rng.normal(0, 2, shape), axis=0)
    wave += rng.uniform(-most / 4, most / 4, front_end.channels)
    wave[rng.random(shape) < 0.01] *= 1000
    return np.clip(np.rint(wave), -most, most - 1).astype(np.int64)


WAYS = [
    FrontEnd(3),
    FrontEnd(1, decimation=1, width=8, high_pass=1, gain=3, clamp=0),
    FrontEnd(5, decimation=4, width=24, high_pass=4, gain=6, clamp=3),
    FrontEnd(32, high_pass=3, gain=2),
]


@pytest.mark.parametrize("front_end", WAYS)
@pytest.mark.parametrize("size", [0.0, 2.0, 300.0])
def test_the_integers_are_the_arithmetic(front_end, size):
    samples = signal(front_end, 90, size=size)
    steps, slow, total = by_hand(samples, front_end)
    x, state = front_end.run(samples)
    assert x.tolist() == steps
    assert (state.step, state.slow.tolist(), int(state.size)) == (90, slow, total)
    bits = [(state.slow, front_end.slow_width - 1), (state.size, front_end.size_width)]
    assert all(int(np.abs(own).max()).bit_length() <= width for own, width in bits)
    assert int(np.abs(x).max()).bit_length() < front_end.sample_width


def test_streams_go_on_where_they_stopped():
    front_end = FrontEnd(4, gain=5)
    samples = np.stack([signal(front_end, 60, seed) for seed in range(3)])
    whole, end = front_end.run(samples)
    parts, state = [], None
    for begin in range(0, 120, 8):
        x, state = front_end.run(samples[:, begin : begin + 8], state)
        parts.append(x)
    assert (np.concatenate(parts, axis=1) == whole).all()
    assert all(np.array_equal(one, other) for one, other in zip(state, end, strict=True))
    alone, _ = front_end.run(samples[1])
    assert (alone == whole[1]).all()


def test_the_gain_follows_the_amplitude():
    """A signal of four times the amplitude has the same steps, once the first ones are past."""
    front_end = FrontEnd(8, width=20, gain=4)
    samples = signal(replace(front_end, width=18), 400, size=900.0)
    one, other = (front_end.run(own)[0][300:] for own in (samples, 4 * samples))
    assert (one == other).mean() > 0.95
    assert 2048 < np.abs(one).mean() < 5000


def driven(front_end, windows, carried, pauses, seed=0):
    """Return what the hardware makes of windows [T, C] of samples, and the cycles between steps."""
    unit, found, times = StreamFrontEnd(front_end), [], []
    rng = np.random.default_rng(seed)
    count = sum(len(own) for own in windows) // front_end.decimation * front_end.channels

    async def produce(ctx):
        ctx.set(unit.carried, carried)
        for window in windows:
            for k, values in enumerate(window):
                for value in values.tolist():
                    if pauses:
                        await ctx.tick().repeat(int(rng.geometric(0.5)))
                    ctx.set(unit.i.payload, {"value": value, "last": k == len(window) - 1})
                    ctx.set(unit.i.valid, 1)
                    await ctx.tick().until(unit.i.ready)
                    ctx.set(unit.i.valid, 0)

    async def consume(ctx):
        cycle = 0
        while len(found) < count:
            ctx.set(unit.o.ready, not pauses or int(rng.random() < 0.4))
            *_, valid, ready, payload = await ctx.tick().sample(
                unit.o.valid, unit.o.ready, unit.o.payload
            )
            cycle += 1
            if valid and ready:
                found.append((payload.value, payload.last))
                times.append(cycle)

    sim = Simulator(unit)
    sim.add_clock(1e-6)
    sim.add_testbench(produce)
    sim.add_testbench(consume)
    sim.run()
    return found, np.diff(times[front_end.channels - 1 :: front_end.channels])


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize("front_end", WAYS)
def test_the_hardware_is_the_integers(front_end, pauses, carried):
    windows = [signal(front_end, steps, seed) for seed, steps in enumerate((20, 1, 2, 12))]
    quiet = np.zeros((6 * front_end.decimation, front_end.channels), np.int64)
    quiet[3 * front_end.decimation] = 1
    windows.append(quiet)
    state, want = None, []
    for window in windows:
        x, state = front_end.run(window, state if carried else None)
        ends = np.arange(len(x)) == len(x) - 1
        want += [
            (value, int(end)) for step, end in zip(x.tolist(), ends, strict=True) for value in step
        ]
    found, intervals = driven(front_end, windows, carried, pauses)
    assert found == want
    if not pauses:
        assert set(intervals.tolist()) == {StreamFrontEnd.interval(front_end)}


def test_faults():
    with pytest.raises(ValueError, match=r"FrontEnd.width is 7: give 8 to 24"):
        FrontEnd(2, width=7)
    with pytest.raises(
        MubinnError, match="a step of 3 samples there is not: give a decimation of 1, 2, 4"
    ):
        FrontEnd(2, decimation=3)
    front_end = FrontEnd(2)
    for samples, message in (
        (np.zeros((4, 2)), "samples are float64"),
        (np.zeros((4, 3), int), "give integers"),
        (np.zeros((3, 2), int), "3 samples end within a step of 2"),
        (np.full((2, 2), 32768), "samples reach from 32768 to 32768, beyond 16 bits"),
    ):
        with pytest.raises(MubinnError, match=message):
            front_end.run(samples)
    assert front_end.run(np.zeros((0, 2), int))[0].shape == (0, 2)
    assert replace(front_end, channels=6).mean_shift == 3
