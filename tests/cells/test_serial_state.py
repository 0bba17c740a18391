"""State stages of the threshold datapath, by Amaranth's simulator, against the bit-true cell."""

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.sim import Simulator

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.step import cell_step
from mubinn.golden.folding.cell_design import CellDesign
from mubinn.hw.cells.serial_state import SerialState
from mubinn.hw.cells.state_stage import PipelinedState
from mubinn.hw.cells.state_stages import state_stage_class
from mubinn.sim.testbench.payload import fields_of, ints_to_bits, unpack_bits

MIXED = Levels(x=1, w=1, h=2, c=3, gate=2, b=1)
MODELS = {
    "one level": {"levels": (1, 1), "offsets": False},
    "one level, own offsets": {"levels": (1, 1)},
    "three levels": {"levels": (3, 3), "offsets": False},
    "mixed": {"levels": MIXED},
}
STAGES = {
    "pipeline": (PipelinedState, "asic"),
    "serial": (SerialState, "asic"),
    "serial on an FPGA": (SerialState, "xc7"),
}


def transfers(layer, steps):
    """Inputs of every gate and the golden trace of every cell, from random codes."""
    rng = np.random.default_rng(1)
    sizes = (
        (layer.x, layer.features),
        (layer.h, layer.hidden),
        (layer.quantizers["c"], layer.hidden),
    )
    codes = [rng.integers(0, 1 << q.levels, (steps, n)) for q, n in sizes]
    trace = cell_step(layer, *codes)
    offset = (
        np.broadcast_to(layer.h.offset, layer.hidden) << layer.fraction_of("h") - layer.h.fraction
    )
    gates, cells = [], []
    for step, cell in np.ndindex(steps, layer.hidden):
        rows = [gate * layer.hidden + cell for gate in range(4)]
        for gate, row in enumerate(rows):
            side = {"c": int(codes[2][step, cell]), "h_offset": int(offset[cell])}
            gates.append({"z": int(trace["z"][step, row]), "gate": gate, **side})
        own = {name: int(trace[name][step, cell]) for name in ("c_raw", "c", "h")}
        own["gates.gate"] = [int(trace["gate"][step, row]) for row in rows]
        if "h_raw" in trace:
            own["h_raw"] = int(trace["h_raw"][step, cell])
        cells.append(own)
    return gates, cells


def play(stage, gates, count, pause):
    """Pass `gates` through `stage`; return cells, probes, and the cycles of both transfers."""
    rng = np.random.default_rng(2)
    given, taken, outputs, probes = [], [], [], []
    clock = [0]

    async def count_cycles(ctx):
        while True:
            await ctx.tick()
            clock[0] += 1

    async def send(ctx):
        for fields in gates:
            while rng.random() < pause:
                await ctx.tick()
            ctx.set(stage.i.payload, fields)
            ctx.set(stage.i.valid, 1)
            await ctx.tick().until(stage.i.ready)
            ctx.set(stage.i.valid, 0)
            given.append(clock[0])

    async def receive(ctx):
        while len(outputs) < count:
            ctx.set(stage.o.ready, rng.random() >= pause)
            _, _, valid, ready, out, probe = await ctx.tick().sample(
                stage.o.valid, stage.o.ready, stage.o.payload, stage.probe.as_value()
            )
            if valid and ready:
                outputs.append((out.c, out.h))
                probes.append(probe)
                taken.append(clock[0])

    simulator = Simulator(stage)
    simulator.add_clock(1e-6)
    simulator.add_process(count_cycles)
    simulator.add_testbench(send)
    simulator.add_testbench(receive)
    simulator.run_until(1e-6 * 100 * (len(gates) + 10))
    width = len(stage.probe.as_value())
    return (
        outputs,
        unpack_bits(fields_of(stage.probe.shape()), ints_to_bits(probes, width)),
        given,
        taken,
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("pause", [0.0, 0.4])
def test_a_tail_equals_the_bit_true_cell(random_model, name, model, pause):
    layer = (
        random_model(4, **MODELS[model], features=3, hidden=3).with_datapath("threshold").layers[0]
    )
    kind, network = STAGES[name]
    design = CellDesign(layer, network=network)
    gates, cells = transfers(layer, 8)
    stage = kind(design, trace=True)
    outputs, probes, given, taken = play(stage, gates, len(cells), pause)
    assert outputs == [(cell["c"], cell["h"]) for cell in cells]
    for field, values in probes.items():
        assert values.tolist() == [cell[field] for cell in cells], field
    assert {"gates.gate", "c", "h"} <= set(probes)
    assert ("h_raw" in probes) == ("h_raw" in layer.lowered)
    if not pause:
        # The search of one gate after the other, from the offer of o to the new state.
        cycles = 1 if name == "pipeline" else layer.levels.gate
        assert set(np.diff(given)) == {cycles}
        latency = stage.latency(design) - (cycles - 1)
        assert np.subtract(taken, given[3::4]).tolist() == [latency] * len(cells)


def test_the_table_of_eq_5_is_a_memory_on_an_fpga(random_model):
    layer = random_model(4, (3, 3), hidden=3).with_datapath("threshold").layers[0]
    design = [CellDesign(layer, network=network) for network in ("asic", "lut4")]
    texts = [verilog.convert(SerialState(own)) for own in design]
    assert ["c_table" in text for text in texts] == [False, True]


@pytest.mark.parametrize(
    ("levels", "interval", "network", "kind"),
    [
        ((3, 3), 9, "asic", PipelinedState),
        ((3, 3), 2, "xc7", PipelinedState),
        ((3, 3), 3, "xc7", SerialState),
        ((2, 2), 1, "asic", PipelinedState),
        ((2, 2), 2, "asic", SerialState),
        ((1, 1), 1, "asic", SerialState),
    ],
)
def test_the_smaller_tail_that_is_fast_enough(random_model, levels, interval, network, kind):
    layer = random_model(4, levels, features=3, hidden=2).with_datapath("threshold").layers[0]
    design = CellDesign(layer, interval, network)
    assert state_stage_class(design) is kind
