"""One LSTM layer: the cell of Figure 3 with its memories and a sequencer."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from mubinn.golden.lstm_cell import LstmCellParams
from mubinn.hw.cell_layout import CellLayouts
from mubinn.hw.layer_memory import LayerMemories
from mubinn.hw.lstm_cell import LstmCell
from mubinn.hw.sequencer import Sequencer


class LstmLayer(wiring.Component):  # type: ignore[type-arg]
    """`mubinn.golden.bit_true.run_layer` in hardware: a step's input in, the step's new h out.

    Every cell takes ``4 passes`` cycles. A step's output is offered `cycles_per_step` - 1 cycles
    after its input was taken, and the next input is taken in the cycle after the output's transfer.

    Parameters
    ----------
    params : LstmCellParams
    trace : bool
        Add a port that shows every intermediate of each cell.

    Members
    -------
    i : In(stream of {x: A planes of I bits, last: 1})
        Level bits of one time step; `last` marks the last step of a window, after which the state
        starts again from the code of 0.
    o : Out(stream of {h: W_h planes of H bits, last: 1})
    probe : Out(LstmCell.trace_layout(params)), with `trace`
    probed : Out(1), with `trace`
        Changes level whenever `probe` shows a further cell; cells follow in order.
    """

    i: Any
    o: Any
    probe: Any
    probed: Any

    def __init__(self, params: LstmCellParams, *, trace: bool = False) -> None:
        self.params = params
        self.layouts = CellLayouts(params)
        self._trace = trace
        layer, levels = params.layer, params.layer.levels
        planes = data.ArrayLayout
        self.frame = data.StructLayout(
            {"x": planes(unsigned(layer.features), levels.count("x")), "last": unsigned(1)}
        )
        self.state = data.StructLayout(
            {"h": planes(unsigned(layer.hidden), levels.count("h")), "last": unsigned(1)}
        )
        members: dict[str, Any] = {
            "i": In(stream.Signature(self.frame)),
            "o": Out(stream.Signature(self.state)),
        }
        if trace:
            members |= {"probe": Out(LstmCell.trace_layout(params)), "probed": Out(1)}
        super().__init__(members)

    @property
    def cycles_per_step(self) -> int:
        """Clock cycles from one step's input to the next, when neither side pauses.

        ``4 H passes + latency + 3``: 4 passes for each cell; then one cycle to read the memories,
        the cell's latency, one cycle to store the last h and one to hand it over.
        """
        layer = self.params.layer
        return 4 * layer.hidden * layer.levels.passes + LstmCell.latency(self.params) + 3

    def elaborate(self, platform: Any) -> Module:
        """Return the layer: sequencer, memories, cell, state."""
        m = Module()
        m.submodules.cell = cell = LstmCell(self.params, trace=self._trace)
        m.submodules.memories = memories = LayerMemories(self.layouts)
        m.submodules.sequencer = sequencer = Sequencer(self.params.layer)
        frame = Signal(self.frame)
        m.d.comb += self.i.ready.eq(~sequencer.busy & ~self.o.valid)
        m.d.comb += sequencer.start.eq(self.i.valid & self.i.ready)
        with m.If(sequencer.start):
            m.d.sync += frame.eq(self.i.payload)
        first_step, h = self._store(m, cell, memories, sequencer, frame)
        self._feed(m, cell, memories, sequencer, frame, first_step, h)
        return m

    def _feed(
        self, m: Module, cell: Any, memories: Any, sequencer: Any, frame: Any, first: Any, h: Any
    ) -> None:
        """Read the memories for each pass and hand the words to the cell one cycle later."""
        passes, word = sequencer.o, cell.i.payload
        pause = cell.i.valid & ~cell.i.ready
        m.d.comb += [passes.ready.eq(~pause), memories.enable.eq(~pause)]
        m.d.comb += memories.address.eq(passes.payload)
        now = Signal.like(passes.payload)
        with m.If(~pause):
            m.d.sync += [cell.i.valid.eq(passes.valid), now.eq(passes.payload)]
        layer = self.params.layer
        m.d.comb += [
            word.x.eq(Array(frame.x)[now.plane] if len(frame.x) > 1 else frame.x[0]),
            word.h.eq(Array(h)[now.plane] if len(h) > 1 else h[0]),
            word.c.eq(Mux(first, int(layer.c.zero_code(1)[0]), memories.words.c)),
            *(getattr(word, name).eq(getattr(now, name)) for name in ("first", "last", "gate")),
        ]
        for name in ("wx", "wh", "gamma_x", "gamma_h", "bias", "bias_scales", "h_offset"):
            m.d.comb += getattr(word, name).eq(getattr(memories.words, name))

    def _store(
        self, m: Module, cell: Any, memories: Any, sequencer: Any, frame: Any
    ) -> tuple[Any, Any]:
        """Collect the new state cell by cell; return the first-step flag and the current h."""
        layer = self.params.layer
        zero = [self._zero_plane(k) for k in range(layer.h.levels)]
        planes: Any = data.ArrayLayout(unsigned(layer.hidden), layer.h.levels)
        h = Signal(planes, init=planes.const(zero))
        first_step = Signal(init=1)
        index = Signal(range(layer.hidden))
        m.d.comb += [cell.o.ready.eq(1), memories.write.en.eq(cell.o.valid)]
        m.d.comb += [memories.write.addr.eq(index), memories.write.data.eq(cell.o.payload.c)]
        done = cell.o.valid & (index == layer.hidden - 1)
        m.d.comb += sequencer.done.eq(done)
        fresh = self.o.payload.h
        with m.If(cell.o.valid):
            m.d.sync += index.eq(Mux(done, 0, index + 1))
            # Cells come in order, so that shifting in from the top puts cell 0 into bit 0.
            for k in range(layer.h.levels):
                m.d.sync += fresh[k].eq(Cat(fresh[k], cell.o.payload.h[k])[1:])
        with m.If(done):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.last.eq(frame.last)]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [self.o.valid.eq(0), first_step.eq(frame.last)]
            for k in range(layer.h.levels):
                m.d.sync += h[k].eq(Mux(frame.last, zero[k], fresh[k]))
        if self._trace:
            with m.If(cell.o.valid):
                m.d.sync += [self.probe.eq(cell.probe), self.probed.eq(~self.probed)]
        return first_step, h

    def _zero_plane(self, level: int) -> int:
        """Return plane `level` of the code of 0 of all cells, cell 0 in bit 0."""
        codes = self.params.layer.h.zero_code(self.params.layer.hidden)
        return sum((int(code) >> level & 1) << cell for cell, code in enumerate(codes))
