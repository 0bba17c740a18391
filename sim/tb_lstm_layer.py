"""Bench of the LSTM layer: whole windows, every intermediate of every cell against the golden.

The golden trace is computed here, window by window, so that only the input travels. Python wakes
once a cell; run by :func:`mubinn.sim.layer_check.check_layer`.
"""

import json
from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge, SimTimeoutError, ValueChange, with_timeout
from cocotb.utils import get_sim_time

from mubinn.golden.bit_true import run_layer
from mubinn.golden.lstm_cell import Trace
from mubinn.golden.lstm_model import QuantizedLstm
from mubinn.golden.model_file import load_model
from mubinn.sim.bench import CLOCK_NS, load_stimulus, save_outputs, start_clock
from mubinn.sim.compare import SimulationMismatch, compare_signal
from mubinn.sim.payload import Bits, Field, bits_to_ints, fields_from_json, pack_bits, unpack_bits
from mubinn.sim.streams import Driver, Monitor

AXES = ("step", "cell", "gate", "pass")


@dataclass(frozen=True, eq=False)
class Job:
    """One layer, the windows to run through it, and the layouts of its ports."""

    layer: QuantizedLstm
    windows: Any
    cycles_per_step: int
    pause: float
    seed: int
    i_fields: list[Field]
    o_fields: list[Field]
    trace_fields: list[Field]
    widths: dict[str, int]

    @classmethod
    def load(cls) -> "Job":
        """Return the job that the caller wrote."""
        arrays = load_stimulus()
        values = json.loads(str(arrays["job"]))
        for name in ("i_fields", "o_fields", "trace_fields"):
            values[name] = fields_from_json(values[name])
        layer = load_model(values.pop("model")).layers[values.pop("layer")]
        return cls(layer=layer, windows=arrays["windows"], **values)

    def frames(self, window: Any) -> list[int]:
        """Return the packed inputs of one window, int64 codes [T, I]."""
        planes = level_planes(window, self.layer.x.levels)
        fields = {"x": planes, "last": np.arange(len(window)) == len(window) - 1}
        return bits_to_ints(pack_bits(self.i_fields, self.widths["i"], fields))

    def outputs(self, golden: Trace) -> list[int]:
        """Return the packed outputs that the golden trace of one window asks for."""
        h = golden["h"]
        fields = {
            "h": level_planes(h, self.layer.h.levels),
            "last": np.arange(len(h)) == len(h) - 1,
        }
        return bits_to_ints(pack_bits(self.o_fields, self.widths["o"], fields))

    def compare(self, number: int, golden: Trace, samples: list[str]) -> None:
        """Demand every intermediate of one window: `samples` are trace ports, highest bit first."""
        text = np.frombuffer("".join(samples).encode(), np.uint8)
        bits: Bits = text.reshape(len(samples), -1)[:, ::-1] - ord("0")
        if (bits > 1).any():
            raise SimulationMismatch(f"window {number}: the trace has undefined bits.")
        trace = unpack_bits(self.trace_fields, bits)
        hidden = self.layer.hidden
        for place, got in trace.items():
            name = place.rpartition(".")[2]
            got = got.reshape(-1, hidden, *got.shape[1:])
            want = golden[name]
            if got.ndim > 2:
                want = np.swapaxes(want.reshape(len(want), 4, hidden, *want.shape[2:]), 1, 2)
            if got.ndim > 3:
                # A product with fewer level pairs than passes adds zero in the rest of them.
                rest = got[..., want.shape[3] :]
                if name.startswith("prod"):
                    compare_signal(name, rest, np.zeros_like(rest), AXES, f"window {number}")
                got = got[..., : want.shape[3]]
            compare_signal(name, got, want, AXES, f"window {number}")


def level_planes(codes: Any, levels: int) -> Bits:
    """Return the level bits of codes [T, n] as uint8 [T, levels, n]."""
    return np.asarray(codes[:, None, :] >> np.arange(levels)[:, None] & 1, np.uint8)


class Tracer:
    """Samples the trace port once a cell."""

    def __init__(self, dut: Any, job: Job) -> None:
        self.dut = dut
        self.change = ValueChange(dut.probed)
        self.settled = FallingEdge(dut.clk)
        self.patience = 100 * 4 * job.layer.levels.passes + 10_000

    async def cells(self, count: int) -> list[str]:
        """Return the trace of the next `count` cells."""
        samples = []
        for done in range(count):
            try:
                await with_timeout(self.change, self.patience * CLOCK_NS, "ns")
            except SimTimeoutError:
                raise SimulationMismatch(
                    f"no further cell after {done} of {count} within {self.patience} cycles."
                ) from None
            # Both ports change at one edge, in an order that is the simulator's own.
            await self.settled
            samples.append(str(self.dut.probe.value))
        return samples


@cocotb.test
async def full_speed(dut: Any) -> None:
    """Every window without a pause: every intermediate, outputs, cycles per step."""
    job = Job.load()
    dut.i__valid.value = 0
    dut.i__payload.value = 0
    dut.o__ready.value = 1
    await start_clock(dut)
    tracer, hidden = Tracer(dut, job), job.layer.hidden
    dut.i__valid.value = 1
    last_end: float | None = None
    frames = [job.frames(window) for window in job.windows]
    following = iter([frame for window in frames for frame in window])
    dut.i__payload.value = next(following)
    for number, window in enumerate(job.windows):
        golden = run_layer(job.layer, window)
        samples: list[str] = []
        taken: list[str] = []
        for step in range(len(window)):
            samples += await tracer.cells(1)
            # The layer holds this step's input by now; offer the next.
            frame = next(following, None)
            dut.i__valid.value = frame is not None
            dut.i__payload.value = frame or 0
            samples += await tracer.cells(hidden - 1)
            end = get_sim_time("ns")
            cycles = None if last_end is None else round((end - last_end) / CLOCK_NS)
            if cycles not in (None, job.cycles_per_step):
                raise SimulationMismatch(
                    f"window {number}, step {step}: took {cycles} cycles, "
                    f"expected {job.cycles_per_step}."
                )
            last_end = end
            await ClockCycles(dut.clk, 1)
            valid, payload = str(dut.o__valid.value), str(dut.o__payload.value)
            taken.append(payload if valid == "1" else "")
        job.compare(number, golden, samples)
        check_outputs(number, taken, job.outputs(golden))
    save_outputs(cycles_per_step=job.cycles_per_step, windows=len(job.windows))


def check_outputs(window: int, taken: list[str], want: list[int]) -> None:
    """Demand the output transfer of every step: binary payloads, empty where none was valid."""
    for step, (got, expected) in enumerate(zip(taken, want, strict=True)):
        if not got or int(got, 2) != expected:
            raise SimulationMismatch(
                f"window {window}, step {step}, signal o: expected {expected:#x}, "
                f"got {hex(int(got, 2)) if got else 'no transfer'}."
            )


@cocotb.test
async def stalled(dut: Any) -> None:
    """The first window with both sides pausing at random: intermediates, outputs, protocol."""
    job = Job.load()
    if not job.pause:
        return
    driver = Driver(dut, pause=job.pause, seed=job.seed)
    monitor = Monitor(dut, pause=job.pause, seed=job.seed + 1)
    await start_clock(dut)
    window = job.windows[0]
    golden = run_layer(job.layer, window)
    tracing = cocotb.start_soon(Tracer(dut, job).cells(len(window) * job.layer.hidden))
    cocotb.start_soon(driver.send(job.frames(window)))
    taken = await monitor.receive(len(window))
    job.compare(0, golden, await tracing)
    check_outputs(0, [f"{payload:b}" for payload in taken], job.outputs(golden))
