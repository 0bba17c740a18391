"""The LSTM cell of Figure 3: the sums of its gates, and the tail that makes the state of them."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from mubinn.golden.float_model import GATES
from mubinn.golden.lstm_cell import LstmCellParams
from mubinn.hw.cell_layout import CellLayouts
from mubinn.hw.gate_sums import GateSums
from mubinn.hw.tail import make_tail, tail_class


class LstmCell(wiring.Component):  # type: ignore[type-arg]
    """`mubinn.golden.lstm_cell.lstm_cell` in hardware, one hidden unit at a time.

    The four gates f, i, g, o of a cell arrive in this order, each as `passes` transfers of one
    level-pair product over x and one over h. One transfer a cycle; the new state of a cell leaves
    `latency` cycles after its last pass was taken, and the next cell's passes need not wait for it.

    Parameters
    ----------
    params : LstmCellParams
    trace : bool
        Add a port that shows every intermediate of the cell at the output.

    Members
    -------
    i : In(stream.Signature(CellLayouts.a_pass))
    o : Out(stream.Signature(CellLayouts.output))
    probe : Out(trace_layout(params)), with `trace`
        Belongs to ``o.payload``.
    """

    i: Any
    o: Any
    probe: Any

    def __init__(self, params: LstmCellParams, *, trace: bool = False) -> None:
        self.params = params
        self.layouts = CellLayouts(params)
        self._trace = trace
        members: dict[str, Any] = {
            "i": In(stream.Signature(self.layouts.a_pass)),
            "o": Out(stream.Signature(self.layouts.output)),
        }
        if trace:
            members["probe"] = Out(self.trace_layout(params))
        super().__init__(members)

    @staticmethod
    def latency(params: LstmCellParams) -> int:
        """Return the cycles from a cell's last pass to its state: of the sums and of the tail."""
        return GateSums.LATENCY + tail_class(params).latency(params)

    @staticmethod
    def trace_layout(params: LstmCellParams) -> data.StructLayout:
        """Return every intermediate of a cell: the sums of its gates, and what the tail makes."""
        sums = data.ArrayLayout(CellLayouts(params).sum_trace, len(GATES))
        tail = tail_class(params).trace_layout(params)
        return data.StructLayout({"sums": sums, "tail": tail})

    def elaborate(self, platform: Any) -> Module:
        """Return the two halves, one after the other."""
        m = Module()
        m.submodules.sums = sums = GateSums(self.params, trace=self._trace)
        m.submodules.tail = tail = make_tail(self.params, trace=self._trace)
        wiring.connect(m, wiring.flipped(self.i), sums.i)
        wiring.connect(m, sums.o, tail.i)
        wiring.connect(m, tail.o, wiring.flipped(self.o))
        if self._trace:
            self._probe(m, sums, tail)
        return m

    def _probe(self, m: Module, sums: Any, tail: Any) -> None:
        """Show the sums' trace beside the tail's: it waits in a queue while the tail works."""
        seen: Any = Signal(self.trace_layout(self.params)["sums"].shape)
        now = Cat(seen.as_value(), Value.cast(sums.probe))[len(Value.cast(sums.probe)) :]
        # The tail holds fewer cells than it has stages, as each takes four transfers.
        m.submodules.waiting = waiting = SyncFIFO(width=len(now), depth=tail.latency(self.params))
        transfer = sums.o.valid & sums.o.ready
        with m.If(transfer):
            m.d.sync += seen.as_value().eq(now)
        m.d.comb += [
            waiting.w_en.eq(transfer & (sums.o.payload.gate == len(GATES) - 1)),
            waiting.w_data.eq(now),
            waiting.r_en.eq(tail.o.valid & tail.o.ready),
            self.probe.sums.as_value().eq(waiting.r_data),
            self.probe.tail.eq(tail.probe),
        ]
