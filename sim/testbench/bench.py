"""What every bench needs inside the simulator: its stimulus, its outputs, clock and reset.

This module and those that benches import run in the simulator's process: no Amaranth here.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLOCK_NS = 10
STIMULUS_VARIABLE = "MUBINN_SIM_STIMULUS"
OUTPUTS_VARIABLE = "MUBINN_SIM_OUTPUTS"

FAULTS = (
    "o.valid fell before the payload was taken",
    "o.payload changed before it was taken",
    "o offered a payload for which no input had been taken",
)
"""Bits of the harness's `fault`, lowest first."""


def read_arrays(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file by name, none where there is no file."""
    if not os.path.exists(path):
        return {}
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def load_stimulus() -> dict[str, NDArray[Any]]:
    """Return the arrays that were given to `mubinn.sim.runner.simulate.simulate`."""
    return read_arrays(os.environ[STIMULUS_VARIABLE])


def save_outputs(**arrays: Any) -> None:
    """Hand arrays back; each call adds to, or replaces, what earlier calls saved."""
    path = os.environ[OUTPUTS_VARIABLE]
    np.savez(path, allow_pickle=False, **read_arrays(path) | arrays)


def offer(dut: Any, frame: int | None) -> None:
    """Offer an input at the stream ``i``, or none."""
    dut.i__valid.value = frame is not None
    dut.i__payload.value = frame or 0


async def start_clock(dut: Any, clk: str = "clk", rst: str = "rst") -> None:
    """Start the clock outside Python, and hold reset for two cycles if the design has one.

    Returns just after a rising edge, the first at which the reset is low.
    """
    # cocotb's modules import only where a simulator runs or cocotb is installed.
    from cocotb.clock import Clock
    from cocotb.triggers import RisingEdge, Timer

    clock = getattr(dut, clk)
    # Inputs are driven from time 0 on: Icarus would start them as x.
    if hasattr(dut, rst):
        getattr(dut, rst).value = 1
    Clock(clock, CLOCK_NS, unit="ns", impl="gpi").start()
    if hasattr(dut, rst):
        await Timer(2 * CLOCK_NS, unit="ns")
        await RisingEdge(clock)
        getattr(dut, rst).value = 0
    await RisingEdge(clock)
