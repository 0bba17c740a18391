"""The cocotb tests that every unit with one input and one output stream has to pass.

They run on a unit within `mubinn.sim.runner.harness.Harness`, with stimulus and golden
results from `mubinn.sim.runner.unit_check.check_unit`, and name the first wrong field of the
first wrong transfer, with the inputs of that transfer.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, SimTimeoutError, ValueChange, with_timeout

from mubinn.sim.testbench.bench import CLOCK_NS, FAULTS, load_stimulus, save_outputs, start_clock
from mubinn.sim.testbench.compare import SimulationMismatch
from mubinn.sim.testbench.payload import (
    Bits,
    Field,
    Fields,
    bits_to_int,
    bits_to_ints,
    fields_from_json,
    int_to_bits,
    ints_to_bits,
    unpack_bits,
)
from mubinn.sim.testbench.streams import Driver, Monitor


@dataclass(frozen=True)
class Job:
    """What the harness is to play: packed payloads, golden results and the unit's contract."""

    unit: str
    batch: int
    latency: int
    pause_i: float
    pause_o: float
    pins: int
    seed: int
    i_fields: list[Field]
    o_fields: list[Field]
    inputs: Bits
    expected: Bits

    @classmethod
    def load(cls) -> "Job":
        """Return the job that the caller wrote."""
        arrays = load_stimulus()
        values = json.loads(str(arrays["job"]))
        for side in ("i_fields", "o_fields"):
            values[side] = fields_from_json(values[side])
        widths = {"inputs": values.pop("i_width"), "expected": values.pop("o_width")}
        for name, width in widths.items():
            values[name] = np.unpackbits(arrays[name], axis=-1, count=width, bitorder="little")
        return cls(**values)

    def check(self, first: int, results: Bits) -> None:
        """Demand the golden results from transfer `first` on."""
        expected = self.expected[first : first + len(results)]
        wrong = np.flatnonzero((results != expected).any(axis=1))
        if not wrong.size:
            return
        row = int(wrong[0])
        inputs = values_of(self.i_fields, self.inputs[first + row])
        given = ", ".join(f"{name} = {show(value)}" for name, value in inputs.items())
        got = values_of(self.o_fields, results[row])
        for name, value in values_of(self.o_fields, expected[row]).items():
            different = np.argwhere(np.atleast_1d(value != got[name]))
            if different.size:
                index = tuple(int(i) for i in different[0]) if value.ndim else ()
                place = "".join(f"[{i}]" for i in index)
                raise SimulationMismatch(
                    f"unit {self.unit}, transfer {first + row}, field {name}{place}: expected "
                    f"{show(value[index])}, got {show(got[name][index])}; inputs {given}."
                )
        raise SimulationMismatch(
            f"unit {self.unit}, transfer {first + row}: bits outside the named fields differ; "
            f"inputs {given}."
        )


def values_of(fields: list[Field], payload: Bits) -> Fields:
    """Return the fields of one payload, wide ones as arrays of Python integers."""
    values = {name: value[0] for name, value in unpack_bits(fields, payload[None]).items()}
    for field in fields:
        if field.is_wide:
            rows = values[field.name].reshape(-1, field.width)
            numbers = np.empty(len(rows), object)
            numbers[:] = [
                number - (1 << field.width if field.signed and row[-1] else 0)
                for number, row in zip(bits_to_ints(rows), rows, strict=True)
            ]
            values[field.name] = numbers.reshape(field.lengths)
    return values


def show(value: Any) -> str:
    """Return a field's value on one line: wide values in hexadecimal, long arrays shortened."""
    array = np.asarray(value)
    if array.ndim:
        form: Any = {"all": show}
        return np.array2string(
            array, threshold=300, max_line_width=10**6, separator=",", formatter=form
        )
    number = int(array)
    return hex(number) if number.bit_length() > 63 else str(number)


async def start(dut: Any) -> None:
    """Drive every input, start the clock and reset."""
    for name in ("batched", "feed", "count", "go", "seed", "stall_i", "stall_o"):
        getattr(dut, name).value = 0
    dut.i__valid.value = 0
    dut.i__payload.value = 0
    dut.o__ready.value = 0
    await start_clock(dut)


async def finish(dut: Any, job: Job) -> None:
    """Demand that the unit is empty, and that no fault of the protocol was seen."""
    await ClockCycles(dut.clk, job.latency + 8)
    check_protocol(dut, job)


def check_protocol(dut: Any, job: Job) -> None:
    """Demand that no fault of the protocol was seen since reset."""
    faults = int(dut.fault.value)
    for bit, text in enumerate(FAULTS):
        if faults >> bit & 1:
            raise SimulationMismatch(f"unit {job.unit}: {text}.")


async def play(dut: Any, job: Job, pause_i: float, pause_o: float) -> dict[str, Any]:
    """Play all transfers in batches; return the figures of the run and the results."""
    random = np.random.default_rng(job.seed)
    total, o_width = len(job.inputs), job.expected.shape[1]
    results, go, wakeups = np.empty_like(job.expected), 0, 0
    dut.stall_i.value = round(pause_i * 256)
    dut.stall_o.value = round(pause_o * 256)
    dut.batched.value = 1
    patience = (job.batch + job.latency + 64) * 64 * CLOCK_NS
    done = ValueChange(dut.done)
    full_speed = pause_i == 0 and pause_o == 0
    started = time.perf_counter()
    for first in range(0, total, job.batch):
        count = min(job.batch, total - first)
        dut.feed.value = bits_to_int(job.inputs[first : first + count])
        dut.count.value = count
        dut.seed.value = int(random.integers(1, 1 << 32))
        go ^= 1
        dut.go.value = go
        try:
            await with_timeout(done, patience, "ns")
        except SimTimeoutError:
            # A payload that was dropped shows as a hang; its cause says more.
            check_protocol(dut, job)
            raise SimulationMismatch(
                f"unit {job.unit}: transfers {first} to {first + count - 1} were not finished "
                f"after {patience // CLOCK_NS} cycles."
            ) from None
        wakeups += 1
        raw = str(dut.results.value)[: count * o_width]
        if "X" in raw or "Z" in raw:
            raise SimulationMismatch(
                f"unit {job.unit}: undefined bits in the results of transfers {first} to "
                f"{first + count - 1}."
            )
        block = int_to_bits(int(raw, 2), count * o_width).reshape(count, o_width)
        results[first : first + count] = block
        job.check(first, block)
        if full_speed:
            check_speed(dut, job, first, count)
    seconds = time.perf_counter() - started
    await finish(dut, job)
    return {"results": results, "seconds": seconds, "wakeups": wakeups}


def check_speed(dut: Any, job: Job, first: int, count: int) -> None:
    """Demand the unit's latency, and one transfer a cycle."""
    latency, span = int(dut.latency.value), int(dut.span.value)
    if latency != job.latency:
        raise SimulationMismatch(
            f"unit {job.unit}, transfer {first}: latency expected {job.latency} cycles, "
            f"got {latency}."
        )
    if span != count - 1:
        raise SimulationMismatch(
            f"unit {job.unit}, transfers {first} to {first + count - 1}: expected one a cycle, "
            f"{count - 1} cycles from the first to the last result, got {span}."
        )


@cocotb.test
async def full_speed(dut: Any) -> None:
    """Every transfer, without a pause: values, latency, throughput."""
    job = Job.load()
    await start(dut)
    figures = await play(dut, job, 0.0, 0.0)
    packed = np.packbits(figures["results"], axis=-1, bitorder="little")
    save_outputs(results=packed, seconds=figures["seconds"], wakeups=figures["wakeups"])


@cocotb.test
async def stalled(dut: Any) -> None:
    """Every transfer again, both sides pausing at random: values and protocol."""
    job = Job.load()
    await start(dut)
    await play(dut, job, job.pause_i, job.pause_o)


@cocotb.test
async def pins(dut: Any) -> None:
    """The first transfers through the pins, both sides pausing at random."""
    job = Job.load()
    await start(dut)
    count = min(job.pins, len(job.inputs))
    driver = Driver(dut, pause=job.pause_i, seed=job.seed)
    monitor = Monitor(dut, pause=job.pause_o, seed=job.seed + 1)
    sending = cocotb.start_soon(driver.send(bits_to_ints(job.inputs[:count])))
    taken = await monitor.receive(count)
    await sending
    job.check(0, ints_to_bits(taken, job.expected.shape[1]))
    await finish(dut, job)
