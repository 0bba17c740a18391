"""Bench of the LSTM layer without its trace: whole windows, the outputs of every step.

Python wakes once a step, so that the time is the simulator's; the outputs come with the stimulus.
Run by `mubinn.sim.layer.layer_speed.simulate_outputs`.
"""

from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from mubinn.sim.testbench.bench import load_stimulus, offer, save_outputs, start_clock
from mubinn.sim.testbench.compare import SimulationMismatch
from mubinn.sim.testbench.payload import bits_to_ints


@cocotb.test(timeout_time=1, timeout_unit="sec")
async def outputs(dut: Any) -> None:
    """Every step without a pause: the payload of its output."""
    arrays = load_stimulus()
    frames: list[int | None] = [*bits_to_ints(arrays["frames"])]
    wanted = bits_to_ints(arrays["outputs"])
    offer(dut, frames[0])
    dut.o__ready.value = 1
    await start_clock(dut)
    await FallingEdge(dut.clk)
    # The first input is held by now; each next one is taken before its step's output.
    frames = [*frames[1:], None]
    offer(dut, frames[0])
    for step, want in enumerate(wanted):
        await RisingEdge(dut.o__valid)
        await FallingEdge(dut.clk)
        got = str(dut.o__payload.value)
        if int(got, 2) != want:
            raise SimulationMismatch(f"step {step}, signal o: expected {want:#x}, got {got}.")
        offer(dut, frames[step + 1] if step + 1 < len(frames) else None)
    save_outputs(steps=len(wanted))
