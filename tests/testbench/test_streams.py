"""Driver and monitor: order, pauses, protocol and watchdog, on both simulators."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from simulators import BOTH, QUICK, needs_icarus

from mubinn.hw.stream.unit import Register
from mubinn.sim.runner.simulate import SimResult, simulate
from mubinn.sim.testbench.compare import SimulationMismatch

WIDTH = 40  # beyond the 32 bits that simulators pass as an integer
BENCH = """
import cocotb
from mubinn.sim.testbench.bench import load_stimulus, save_outputs, start_clock
from mubinn.sim.testbench.streams import Driver, Monitor

@cocotb.test
async def transfer(dut):
    job = load_stimulus()
    sent = [int(value) for value in job["sent"]]
    pause_i, pause_o = job["pauses"]
    driver = Driver(dut, pause=pause_i, seed=5, watchdog=40)
    monitor = Monitor(dut, pause=pause_o, seed=6, watchdog=40)
    await start_clock(dut)
    sending = cocotb.start_soon(driver.send(sent))
    taken = await monitor.receive(len(sent))
    await sending
    save_outputs(taken=taken, i_cycles=driver.cycles, o_cycles=monitor.cycles)
"""


FAULTS = {
    "none": "",
    "valid falls": r"stream o: transfer \d+: valid fell while [01]{40} waited to be taken",
    "payload changes": r"stream o: transfer \d+: the payload changed to [01]{40} while",
    "never valid": r"stream o: valid is low for 40 cycles after 0 of 300 transfers",
    "never ready": r"stream i: ready is low for 40 cycles after 0 of 300 transfers",
}
PLACE = WIDTH - 3
"""Where a payload names its fault."""


class Faulty(wiring.Component):
    """A register with the fault of the protocol that its payloads name: one build for all."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self) -> None:
        shape = unsigned(WIDTH)
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.register = register = Register(unsigned(WIDTH))
        waited, now, last = Signal(), Signal(3), Signal(3)
        m.d.comb += now.eq(Mux(self.i.valid, self.i.payload[PLACE:], last))
        m.d.sync += [last.eq(now), waited.eq(self.o.valid & ~self.o.ready)]
        fault = {name: now == index for index, name in enumerate(FAULTS)}
        m.d.comb += [
            register.i.payload.eq(self.i.payload),
            register.i.valid.eq(self.i.valid),
            self.i.ready.eq(register.i.ready & ~fault["never ready"]),
            register.o.ready.eq(self.o.ready),
            self.o.payload.eq(register.o.payload ^ (fault["payload changes"] & waited)),
            self.o.valid.eq(
                register.o.valid & ~(fault["valid falls"] & waited) & ~fault["never valid"]
            ),
        ]
        return m


def run(
    unit: Any,
    folder: Path,
    simulator: str,
    pauses: tuple[float, float],
    count: int = 300,
    fault: str = "none",
) -> tuple[np.ndarray, SimResult]:
    (folder / "transfer_bench.py").write_text(BENCH)
    sent = np.random.default_rng(2).integers(0, 1 << WIDTH, count)
    if isinstance(unit, Faulty):
        sent = sent % (1 << PLACE) | list(FAULTS).index(fault) << PLACE
    result = simulate(
        unit,
        top="streams",
        bench="transfer_bench",
        stimulus={"sent": sent, "pauses": np.array(pauses)},
        simulator=simulator,
        python_path=[folder],
    )
    return sent, result


@pytest.mark.parametrize("simulator", BOTH)
@pytest.mark.parametrize("pauses", [(0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (0.4, 0.3)], ids=str)
def test_register_passes_everything_in_order(
    simulator: str, pauses: tuple[float, float], tmp_path: Path
) -> None:
    sent, result = run(Register(unsigned(WIDTH)), tmp_path, simulator, pauses)
    np.testing.assert_array_equal(result.outputs["taken"], sent)
    i_cycles, o_cycles = result.outputs["i_cycles"], result.outputs["o_cycles"]
    assert (o_cycles > i_cycles).all()
    span = int(o_cycles[-1] - o_cycles[0]) + 1
    if pauses == (0.0, 0.0):
        # Latency 1, one transfer a cycle.
        assert (o_cycles - i_cycles == 1).all()
        assert span == len(sent)
    else:
        # The slower side sets the pace: 1 / (1 - pause) cycles a transfer.
        assert span > 0.85 * len(sent) / (1 - max(pauses))
    if pauses[1]:
        assert (o_cycles - i_cycles > 1).any()


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "none"])
def test_faults_of_the_protocol_are_named(fault: str, tmp_path: Path) -> None:
    with pytest.raises(SimulationMismatch, match=FAULTS[fault]):
        run(Faulty(), tmp_path, QUICK, (0.3, 0.4), fault=fault)


def test_the_faulty_register_without_fault_passes(tmp_path: Path) -> None:
    sent, result = run(Faulty(), tmp_path, QUICK, (0.3, 0.4))
    np.testing.assert_array_equal(result.outputs["taken"], sent)


def test_pauses_of_ready_that_never_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SimulationMismatch, match="pause is a probability below 1, not 1"):
        run(Register(unsigned(WIDTH)), tmp_path, QUICK, (0.0, 1.0))


@needs_icarus  # Verilator knows no undefined bits
def test_undefined_payloads_are_found(tmp_path: Path) -> None:
    bench = BENCH.replace("driver.send(sent)", "driver.send(sent[:-1])")
    bench = bench.replace(
        "await start_clock(dut)",
        'dut.i__payload.value = "X" * 40\n    dut.i__valid.value = 1\n    await start_clock(dut)',
    )
    (tmp_path / "transfer_bench.py").write_text(bench)
    job = {"sent": np.arange(9), "pauses": np.zeros(2)}
    with pytest.raises(SimulationMismatch, match=r"transfer 0: the payload X+ has undefined bits"):
        simulate(
            Register(unsigned(WIDTH)),
            top="streams",
            bench="transfer_bench",
            stimulus=job,
            simulator="icarus",
            python_path=[tmp_path],
        )
