"""Every intermediate of a step in memories that a bench reads once a step."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.cells.issue_layout import sum_trace
from mubinn.hw.cells.state_stages import state_stage_class
from mubinn.hw.stream.component import Component, Memory, View


def sums_layout(plan: LayerPlan) -> data.ArrayLayout:
    """Return a word of ``trace_sums``: the sums of one row of every engine."""
    return data.ArrayLayout(sum_trace(plan), plan.engines)


def probes_layout(plan: LayerPlan) -> data.ArrayLayout:
    """Return a word of ``trace_cells``: what the state stages make of one cell of every engine."""
    return data.ArrayLayout(state_stage_class(plan.cell).trace_layout(plan.cell), plan.engines)


def trace_depths(plan: LayerPlan) -> tuple[int, int]:
    """Return the words of a step in ``trace_sums`` and in ``trace_cells``."""
    return len(plan.rows), sum(plan.phase_rounds)


class LayerTrace(Component):
    """The memories ``trace_sums``, a word a row, and ``trace_cells``, a word a cell and phase.

    Both are written in order and start again with each step.

    Parameters
    ----------
    plan : LayerPlan

    Members
    -------
    summed : In(1), sums : In(sums_layout(plan))
    made : In(1), probes : In(probes_layout(plan))
    """

    summed: Signal
    sums: View
    made: Signal
    probes: View

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        super().__init__(
            {
                "summed": In(1),
                "sums": In(sums_layout(plan)),
                "made": In(1),
                "probes": In(probes_layout(plan)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return the memories and their counters."""
        m = Module()
        sums, cells = trace_depths(self.plan)
        self._write(m, "trace_sums", self.summed, self.sums, sums)
        self._write(m, "trace_cells", self.made, self.probes, cells)
        return m

    def _write(self, m: Module, name: str, enable: Signal, value: View, depth: int) -> None:
        word = value.as_value()
        memory = Memory(shape=unsigned(len(word)), depth=depth, init=[])
        m.submodules[name] = memory
        port, index = memory.write_port(), Signal(range(depth), name=f"{name}_index")
        # A memory without a reader would be left out; no logic uses what it reads.
        memory.read_port()
        m.d.comb += [port.en.eq(enable), port.addr.eq(index), port.data.eq(word)]
        with m.If(enable):
            m.d.sync += index.eq(index + 1)
            with m.If(index == depth - 1):
                m.d.sync += index.eq(0)
