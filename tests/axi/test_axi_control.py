"""What an abort does to the beats around it, cycle by cycle."""

import pytest
from amaranth.sim import Simulator

from mubinn.hw.axi.axi_control import AxiControl

BEGIN, END, NONE = (1, 0), (1, 1), (0, 0)


@pytest.mark.parametrize(
    ("before", "now", "discarded"),
    [
        # Nothing is open: the next beat begins a window.
        ([], NONE, False),
        ([END], NONE, False),
        # A window is open, or opens with the beat of this very cycle: its rest is discarded.
        ([BEGIN], NONE, True),
        ([], BEGIN, True),
        ([BEGIN], BEGIN, True),
        ([END], BEGIN, True),
        # This cycle's beat is the window's last.
        ([BEGIN], END, False),
        ([], END, False),
    ],
)
def test_an_abort_discards_the_rest_of_an_open_window(before, now, discarded):
    design = AxiControl()
    ended = []

    async def bench(ctx):
        async def cycle(beat, **command):
            ctx.set(design.beat, {"valid": beat[0], "last": beat[1]})
            ctx.set(design.command, command)
            found = ctx.get(design.take), ctx.get(design.discard), ctx.get(design.clear)
            await ctx.tick()
            return found

        await cycle(NONE, start=1)
        for beat in before:
            assert await cycle(beat) == (1, 0, 0)
        assert await cycle(now, abort=1) == (1, 0, 1)
        for _ in range(2):
            assert await cycle(BEGIN if discarded else NONE) == (not discarded, discarded, 0)
        assert await cycle(END) == (not discarded, discarded, 0)
        assert await cycle(BEGIN) == (1, 0, 0)
        ended.append(True)

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert ended


def test_the_beat_right_after_an_idle_abort_is_taken():
    design = AxiControl()

    async def bench(ctx):
        for command in ({"start": 1}, {"abort": 1}):
            ctx.set(design.command, command)
            await ctx.tick()
        ctx.set(design.beat, {"valid": 1, "last": 0})
        assert ctx.get(design.take)
        assert not ctx.get(design.discard)

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_reset_forgets_what_an_abort_would_still_discard():
    design = AxiControl()

    async def bench(ctx):
        ctx.set(design.command, {"start": 1})
        await ctx.tick()
        ctx.set(design.beat, {"valid": 1, "last": 0})
        for name in ("start", "abort", "reset"):
            ctx.set(design.command, {name: 1})
            await ctx.tick()
        ctx.set(design.beat, {"valid": 0, "last": 0})
        assert not ctx.get(design.discard)
        # No window is open any more that the next abort could cut.
        for name in ("start", "abort"):
            ctx.set(design.command, {name: 1})
            await ctx.tick()
        assert not ctx.get(design.discard)
        assert ctx.get(design.take)

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
