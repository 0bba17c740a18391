"""Bench of the LSTM cell: the issues of all cells of some steps, with pauses on both sides.

Run by `mubinn.sim.cells.cell_check.check_cell`, which packs issues and golden results.
"""

import json
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from mubinn.sim.testbench.bench import load_stimulus, start_clock
from mubinn.sim.testbench.compare import SimulationMismatch
from mubinn.sim.testbench.payload import (
    Field,
    bits_to_ints,
    fields_from_json,
    ints_to_bits,
    unpack_bits,
)
from mubinn.sim.testbench.streams import Driver, Monitor


@dataclass(frozen=True)
class Job:
    """Packed issues, packed golden results, and the cell's contract."""

    latency: int
    issues_per_cell: int
    pause: float
    seed: int
    layouts: dict[str, tuple[list[Field], int]]
    inputs: list[int]
    outputs: list[int]
    sums: list[int]
    probes: list[int]

    @classmethod
    def load(cls) -> "Job":
        arrays = load_stimulus()
        values = json.loads(str(arrays["job"]))
        values["layouts"] = {
            name: (fields_from_json(layout["fields"]), layout["width"])
            for name, layout in values["layouts"].items()
        }
        names = ("inputs", "outputs", "sums", "probes")
        packed: dict[str, Any] = {name: bits_to_ints(arrays[name]) for name in names}
        return cls(**values, **packed)

    def check(self, name: str, got: list[int], want: list[int]) -> None:
        per_cell = 4 if name == "sums" else 1
        for index, (one, other) in enumerate(zip(got, want, strict=True)):
            if one != other:
                where = self.first_difference(name, one, other) if name in self.layouts else ""
                raise SimulationMismatch(
                    f"cell {index // per_cell}, signal {name}{where}: expected {other:#x}, "
                    f"got {one:#x}."
                )

    def first_difference(self, name: str, got: int, want: int) -> str:
        layout, width = self.layouts[name]
        fields = unpack_bits(layout, ints_to_bits([got, want], width))
        wrong = [name for name, (one, other) in fields.items() if (one != other).any()]
        return f", fields {', '.join(wrong)}"


async def probe(dut: Any, sums: list[int], cells: list[int]) -> None:
    """Sample the sums when they are made, and the probe at each output transfer."""
    while True:
        await ReadOnly()
        if str(dut.summed.value) == "1":
            sums.append(int(str(dut.sums.value), 2))
        if str(dut.o__valid.value) == "1" and str(dut.o__ready.value) == "1":
            cells.append(int(str(dut.probe.value), 2))
        await RisingEdge(dut.clk)


async def run(dut: Any, pause: float) -> tuple[Job, Driver, Monitor]:
    job = Job.load()
    driver = Driver(dut, pause=pause, seed=job.seed)
    monitor = Monitor(dut, pause=pause, seed=job.seed + 1)
    await start_clock(dut)
    sums: list[int] = []
    cells: list[int] = []
    cocotb.start_soon(probe(dut, sums, cells))
    cocotb.start_soon(driver.send(job.inputs))
    taken = await monitor.receive(len(job.outputs))
    job.check("sums", sums, job.sums)
    job.check("o", taken, job.outputs)
    job.check("probe", cells[: len(job.probes)], job.probes)
    return job, driver, monitor


@cocotb.test
async def full_speed(dut: Any) -> None:
    """No pause: values, latency from a cell's last issue, one issue a cycle."""
    job, driver, monitor = await run(dut, 0.0)
    last_issues = driver.cycles[job.issues_per_cell - 1 :: job.issues_per_cell]
    for cell, (given, taken) in enumerate(zip(last_issues, monitor.cycles, strict=True)):
        if taken - given != job.latency:
            raise SimulationMismatch(
                f"cell {cell}: latency expected {job.latency} cycles, got {taken - given}."
            )
    if driver.cycles[-1] - driver.cycles[0] != len(job.inputs) - 1:
        raise SimulationMismatch("the cell paused although its output was taken at once.")


@cocotb.test
async def stalled(dut: Any) -> None:
    """Both sides pause at random: values and protocol."""
    job = Job.load()
    await run(dut, job.pause)
