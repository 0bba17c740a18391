"""Bench of the LSTM layer: whole windows, every intermediate of every cell against the golden.

The golden trace is computed here, window by window, so that only the input travels. Python wakes
once a step and reads the layer's trace memories; run by
`mubinn.sim.layer.layer_check.check_layer`.
"""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge, SimTimeoutError, ValueChange, with_timeout
from cocotb.utils import get_sim_time

from mubinn.golden.cells.step import Trace, dots, logits
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.bit_true import run_layer_from
from mubinn.golden.model.head import Head, head_of
from mubinn.golden.model.layer_state import zero_codes
from mubinn.golden.model.model_file import load_model
from mubinn.hw.layer.layer_trace import trace_depths
from mubinn.sim.layer.layer_record import bits_of, compare_cells, compare_sums, sums_by_cell
from mubinn.sim.testbench.bench import CLOCK_NS, load_stimulus, offer, save_outputs, start_clock
from mubinn.sim.testbench.compare import SimulationMismatch, compare_signal
from mubinn.sim.testbench.payload import (
    Field,
    bits_to_ints,
    fields_from_json,
    pack_bits,
    unpack_bits,
)
from mubinn.sim.testbench.streams import Driver, Monitor


@dataclass(frozen=True, eq=False)
class Job:
    """One layer, the windows to run through it, and the layouts of its ports."""

    plan: LayerPlan
    windows: Any
    kept: list[bool] | None
    cycles_per_step: int
    pause: float
    seed: int
    fields: dict[str, list[Field]]
    widths: dict[str, int]

    @classmethod
    def load(cls) -> "Job":
        """Return the job that the caller wrote."""
        arrays = load_stimulus()
        values = json.loads(str(arrays["job"]))
        model = load_model(values.pop("model"))
        index = values.pop("layer")
        dense = model.dense_of(index)[0] if values.pop("classify") else None
        plan = LayerPlan(model.layers[index], dense, **values.pop("plan"))
        values["fields"] = {n: fields_from_json(values["fields"][n]) for n in values["fields"]}
        return cls(plan=plan, windows=arrays["windows"], **values)

    def frames(self, window: Any) -> list[int]:
        """Return the packed inputs of one window, int64 codes [T, I]."""
        return self._packed("i", "x", window, self.plan.layer.x.levels)

    def goldens(self) -> Iterator[Trace]:
        """Yield the trace of each window, from the state that it begins with."""
        layer = self.plan.layer
        zeros = states = zero_codes(layer)
        for window, keeps in zip(self.windows, self.kept or repeat(False), strict=False):
            golden, left = run_layer_from(layer, window, states)
            states = left if keeps else zeros
            yield golden

    def outputs(self, golden: Trace) -> list[int]:
        """Return the packed outputs that the golden trace of one window asks for."""
        return self._packed("o", "h", golden["h"], self.plan.layer.h.levels)

    def _packed(self, port: str, name: str, codes: Any, levels: int) -> list[int]:
        """Return the packed payloads of a window's codes [T, n], their level bits by level."""
        planes = np.asarray(codes[:, None, :] >> np.arange(levels)[:, None] & 1, np.uint8)
        fields = {name: planes, "last": np.arange(len(codes)) == len(codes) - 1}
        return bits_to_ints(pack_bits(self.fields[port], self.widths[port], fields))

    @property
    def head(self) -> Head:
        """What the scores are."""
        assert self.plan.dense
        return head_of(self.plan.dense.head)

    @property
    def results(self) -> int:
        """Results of a window."""
        return self.windows.shape[1] if self.plan.reading.each else 1

    def scores(self, h: Ints, before: Ints | None) -> tuple[Ints, Ints | None]:
        """Return the scores [results, C] of a window's states [T, H], and S of a leaky mean after.

        S was `before`; None is that of a cleared state.
        """
        dense, quantizer = self.plan.dense, self.plan.layer.h
        assert dense
        planes = dots(h, quantizer, dense.w.bits)
        values = logits(planes, dense.gamma(quantizer), dense.b.values)
        reading = self.plan.reading
        left = reading.leaky(values, before)[-1] if reading.leak else None
        return reading.total(values, before).reshape(self.results, -1), left

    def compare(self, number: int, golden: Trace, record: "Record") -> None:
        """Demand every intermediate of one window."""
        where = f"window {number}"
        sums = bits_of(record.sums, where)
        found = sums_by_cell(self.plan, self.fields["sums"], sums)
        compare_sums(self.plan, found, golden, where)
        cells = bits_of(record.cells, where)
        compare_cells(self.plan, self.fields["cells"], cells, golden, where)

    def check_results(self, payloads: list[str], goldens: list[Trace]) -> None:
        """Demand all results of windows, in binary."""
        if len(payloads) != self.results * len(goldens):
            raise SimulationMismatch(f"{len(payloads)} results of {len(goldens)} windows.")
        before = None
        for number, golden in enumerate(goldens):
            where = f"window {number}"
            own = payloads[number * self.results :][: self.results]
            found = unpack_bits(self.fields["result"], bits_of(own, where))
            want, left = self.scores(golden["h"], before)
            before = left if self.kept and self.kept[number] else None
            axes = ("result", "class")
            compare_signal(self.head.field, found[self.head.field], want, axes, where)
            if self.head.decision:
                compare_signal("label", found["label"], self.head.decide(want), axes, where)
            if self.plan.reading.each:
                ends = np.arange(self.results) == self.results - 1
                compare_signal("end", found["end"], ends.astype(int), axes, where)


@dataclass
class Record:
    """What the trace memories held after the steps of a window, words as binary numbers."""

    sums: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)


class Tracer:
    """Reads the trace memories once a step."""

    def __init__(self, dut: Any, job: Job, patience: int) -> None:
        plan = job.plan
        self.dut = dut
        self.change = ValueChange(dut.stepped)
        self.settled = FallingEdge(dut.clk)
        self.patience = patience
        memories = dut.trace.trace_sums, dut.trace.trace_cells
        depths = trace_depths(plan)
        self.words = [[m[k] for k in range(n)] for m, n in zip(memories, depths, strict=True)]

    async def steps(self, count: int, record: Record) -> AsyncIterator[None]:
        """Add each of the next `count` steps to `record`; yield just after the step."""
        for done in range(count):
            try:
                await with_timeout(self.change, self.patience * CLOCK_NS, "ns")
            except SimTimeoutError:
                raise SimulationMismatch(
                    f"no further step after {done} of {count} within {self.patience} cycles."
                ) from None
            # Trace and outputs change at one edge, in an order that is the simulator's own.
            await self.settled
            for held, words in zip((record.sums, record.cells), self.words, strict=True):
                held += [str(word.value) for word in words]
            yield


async def tell(dut: Any, kept: Sequence[bool], steps: int) -> None:
    """Drive `carried` as windows of so many steps are taken; only the last step's counts."""
    edge, taken = RisingEdge(dut.clk), 0
    while True:
        window, step = divmod(taken, steps)
        keeps = kept[min(window, len(kept) - 1)]
        dut.carried.value = keeps if step == steps - 1 else not keeps
        await edge
        pins = dut.i__valid, dut.i__ready, dut.rst
        taken += [str(pin.value) for pin in pins] == ["1", "1", "0"]


async def results(dut: Any, taken: list[str]) -> None:
    """Collect the results that are taken at once, in binary."""
    while True:
        await RisingEdge(dut.result__valid)
        await FallingEdge(dut.clk)
        taken.append(str(dut.result__payload.value))


async def begin(dut: Any, job: Job) -> None:
    """Start the clock, and what tells of states that are kept."""
    if job.kept is not None:
        cocotb.start_soon(tell(dut, job.kept, job.windows.shape[1]))
    await start_clock(dut)


@cocotb.test
async def full_speed(dut: Any) -> None:
    """Every window without a pause: every intermediate, outputs, results, cycles per step."""
    job = Job.load()
    following = iter([frame for window in job.windows for frame in job.frames(window)])
    offer(dut, next(following))
    dut.o__ready.value = 1
    decided: list[str] = []
    if job.plan.dense:
        dut.result__ready.value = 1
        cocotb.start_soon(results(dut, decided))
    await begin(dut, job)
    await FallingEdge(dut.clk)
    # The first input is held by now; the next one is taken as soon as the gates are done.
    offer(dut, next(following, None))
    tracer = Tracer(dut, job, 2 * job.cycles_per_step + 100)
    ends: list[float] = []
    goldens: list[Trace] = []
    for number, golden in enumerate(job.goldens()):
        record, taken = Record(), []
        async for _ in tracer.steps(job.windows.shape[1], record):
            offer(dut, next(following, None))
            ends.append(get_sim_time("ns") / CLOCK_NS)
            valid = str(dut.o__valid.value) == "1"
            taken.append(str(dut.o__payload.value) if valid else "")
        job.compare(number, golden, record)
        check_outputs(number, taken, job.outputs(golden))
        goldens.append(golden)
    if job.plan.dense:
        for _ in range(job.plan.class_issues + 6):
            await FallingEdge(dut.clk)
        job.check_results(decided, goldens)
    check_cycles(job, np.diff(ends))
    save_outputs(cycles_per_step=job.cycles_per_step, windows=len(job.windows))


def check_cycles(job: Job, found: Any) -> None:
    """Demand the formula's count of cycles between the ends of steps."""
    steps = job.windows.shape[1]
    for index, cycles in enumerate(np.rint(found).astype(int).tolist()):
        # The classes of a window's last step come before the next window's first.
        late = not job.plan.reading.every_step and (index + 1) % steps == 0
        want = job.cycles_per_step + (job.plan.class_issues if late else 0)
        if cycles != want:
            raise SimulationMismatch(
                f"window {(index + 1) // steps}, step {(index + 1) % steps}: took {cycles} "
                f"cycles, expected {want}."
            )


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
    """Two windows, or all that may be kept, every side pausing at random: all of `full_speed`."""
    job = Job.load()
    if not job.pause:
        return
    windows = job.windows[: 2 if job.kept is None else None]
    frames = [frame for window in windows for frame in job.frames(window)]
    # Consumers that pause for whole steps: the layer has to wait for them, and so has who waits.
    slow, patience = 1 - 1 / (job.cycles_per_step * 1.5), 100 * job.cycles_per_step + 10_000
    driver = Driver(dut, pause=job.pause, seed=job.seed, watchdog=patience)
    monitor = Monitor(dut, pause=slow, seed=job.seed + 1, watchdog=patience)
    decisions = None
    if job.plan.dense:
        results = Monitor(dut, "result", pause=slow, seed=job.seed + 2, watchdog=patience)
    await begin(dut, job)
    tracer = Tracer(dut, job, patience)
    cocotb.start_soon(driver.send(frames))
    if job.plan.dense:
        decisions = cocotb.start_soon(results.receive(len(windows) * job.results))
    outputs = cocotb.start_soon(monitor.receive(len(frames)))
    goldens = list(islice(job.goldens(), len(windows)))
    for number, golden in enumerate(goldens):
        record = Record()
        async for _ in tracer.steps(len(golden["h"]), record):
            pass
        job.compare(number, golden, record)
    taken = await outputs
    count = job.windows.shape[1]
    for number, golden in enumerate(goldens):
        mine = taken[number * count : (number + 1) * count]
        check_outputs(number, [f"{payload:b}" for payload in mine], job.outputs(golden))
    if decisions is not None:
        width = job.widths["result"]
        job.check_results([f"{payload:0{width}b}" for payload in await decisions], goldens)
