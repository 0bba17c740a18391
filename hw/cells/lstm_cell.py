"""The LSTM cell of Figure 3: the sums of its gates, and the stage that makes the state of them."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Member, Out

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.cells.cell_layout import CellLayouts
from mubinn.hw.cells.gate_sums import GateSums
from mubinn.hw.cells.issue_layout import issue_layout, sum_trace, tags
from mubinn.hw.cells.state_stages import state_stage_class
from mubinn.hw.stream.component import Component, View
from mubinn.hw.stream.fields import drive, fields_of


class LstmCell(Component):
    """`mubinn.golden.cells.step.cell_step` in hardware, one hidden unit at a time.

    The four gates f, i, g, o of a cell arrive in this order, each as ``plan.issues`` transfers, or
    fewer where rows share some. One transfer a cycle; the new state of a cell leaves `latency`
    cycles after its last issue was taken, and the next cell's issues need not wait for it. Rows of
    the classifier pass through the same multipliers; their sums leave `GateSums.latency` cycles
    after their last issue.

    Parameters
    ----------
    plan : LayerPlan
    trace : bool
        Add ports that show every intermediate of the cell.

    Members
    -------
    i : In(stream.Signature(issue_layout(plan)))
    o : Out(stream.Signature(CellLayouts.output))
    score : Out(stream.Signature(signed(plan.z_width))), with a classifier
        The sums of its rows.
    probe : Out(state_stage_class(plan.cell).trace_layout(plan.cell)), with `trace`
        Belongs to ``o.payload``.
    summed : Out(1), sums : Out(sum_trace(plan)), with `trace`
        What the sum of a gate is made of, in the cycles in which `summed` is 1.
    """

    i: stream.Interface
    o: stream.Interface
    score: stream.Interface
    probe: View
    summed: Signal
    sums: View

    def __init__(self, plan: LayerPlan, *, trace: bool = False) -> None:
        self.plan = plan
        self._trace = trace
        members: dict[str, Member] = {
            "i": In(stream.Signature(issue_layout(plan))),
            "o": Out(stream.Signature(CellLayouts(plan.layer).output)),
        }
        if plan.dense:
            members["score"] = Out(stream.Signature(signed(plan.z_width)))
        if trace:
            members["probe"] = Out(state_stage_class(plan.cell).trace_layout(plan.cell))
            members |= {"summed": Out(1), "sums": Out(sum_trace(plan))}
        super().__init__(members)

    @staticmethod
    def latency(plan: LayerPlan) -> int:
        """Return the cycles from a cell's last issue to its state: of the sums and of the state."""
        return GateSums.latency(plan) + state_stage_class(plan.cell).latency(plan.cell)

    def elaborate(self, platform: object) -> Module:
        """Return the two halves, one after the other."""
        m = Module()
        m.submodules.front = front = GateSums(self.plan, trace=self._trace)
        m.submodules.state = state = state_stage_class(self.plan.cell)(
            self.plan.cell, trace=self._trace
        )
        wiring.connect(m, wiring.flipped(self.i), front.i)
        wiring.connect(m, state.o, wiring.flipped(self.o))
        row = front.o.payload
        m.d.comb += [
            state.i.valid.eq(front.o.valid & ~row.dense),
            front.o.ready.eq(state.i.ready),
        ]
        own = [name for name in tags(self.plan) if name != "dense"]
        drive(m, state.i.payload, z=row.z, **fields_of(row, *own))
        if self.plan.dense:
            m.d.comb += [
                self.score.valid.eq(front.o.valid & row.dense),
                self.score.payload.eq(row.z),
                front.o.ready.eq(Mux(row.dense, self.score.ready, state.i.ready)),
            ]
        if self._trace:
            m.d.comb += [
                self.summed.eq(state.i.valid & state.i.ready),
                self.sums.eq(front.probe),
                self.probe.eq(state.probe),
            ]
        return m
