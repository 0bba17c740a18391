"""The threshold tail of a GRU: gates as searches of sums, Eq. 13 as tables over codes."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.constants import GRU_GATES
from mubinn.golden.cells.gru_cell import GruCellParams
from mubinn.golden.cells.gru_layer import GRU_ROWS
from mubinn.hw.cells.cell_layout import scale_array
from mubinn.hw.cells.state_stage import Tail
from mubinn.hw.stream.fields import drive
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.code_table import CodeTable
from mubinn.hw.units.mac import Mac
from mubinn.hw.units.threshold_search import ThresholdSearch

ROW_Z, ROW_R, ROW_NH, ROW_NX = range(len(GRU_ROWS))


class GruThresholdTail(Tail):
    """`mubinn.golden.cells.gru_cell.gru_threshold_tail` in hardware, in four stages.

    The rows arrive as `GRU_ROWS`. No activation is left: the codes of z, r and n are searches among
    constants, Eq. 13 is two tables, one addition and a search. The product r nh remains, of a code
    of constants and a sum. A cell's state ``c`` is its h.

    Parameters and members are those of :class:`mubinn.hw.cells.state_stage.Tail`.
    """

    params: GruCellParams

    @classmethod
    def latency(cls, params: GruCellParams) -> int:
        """Return 4."""
        return 4

    @classmethod
    def trace_layout(cls, params: GruCellParams) -> data.StructLayout:
        """Return the layout of every intermediate, named as in `mubinn.golden.cells.gru_cell`."""
        tables, levels = params.layer.thresholds, params.layer.levels
        gate = data.StructLayout({"gate": unsigned(levels.count("gate"))})
        return data.StructLayout(
            {
                "gates": data.ArrayLayout(gate, len(GRU_GATES)),
                "rnh": signed(params.mac.sum_width),
                "n_raw": signed(params.n_width),
                "h_raw": signed(tables.h.width),
                "h": unsigned(levels.count("h")),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the pipeline: gates, candidate, state."""
        m = Module()
        self.tables = self.params.layer.thresholds
        pipe = Pipe(m, self.i)
        s = self._gates(m, pipe, self.i.payload)
        self._state(m, pipe, s)
        assert pipe.stages == self.latency(self.params)
        return m

    def _gates(self, m: Module, pipe: Pipe, s: Any) -> Any:
        """Search z and r, form r nh, and add nx to it. One stage."""
        p, layer = self.params, self.params.layer
        bits, reset = layer.levels.count("gate"), layer.gates["r"]
        search = ThresholdSearch(self.tables.gate)
        code = apply(m, "search_gate", search, value=s.z, tree=s.gate[:1]).code
        z, r = Signal(bits, name="held_z"), Signal(bits, name="held_r")
        rnh = Signal(signed(p.mac.sum_width), name="held_rnh")
        scales: Any = scale_array(p.mac.scale_width, p.mac.levels).const(reset.scales.tolist())
        offset = int(reset.offset)
        unit = Mac(p.mac)
        product = apply(m, "mac", unit, o=r, tanh_c=s.z, offset=offset, scales=scales).h_raw
        with m.If(pipe.transfer), m.Switch(s.gate):
            with m.Case(ROW_Z):
                m.d.sync += z.eq(code)
            with m.Case(ROW_R):
                m.d.sync += r.eq(code)
            with m.Case(ROW_NH):
                m.d.sync += rnh.eq(product)
        n_raw = Signal(signed(p.n_width))
        m.d.comb += n_raw.eq(rnh + (s.z << reset.fraction))
        pipe.keep(s.gate == ROW_NX)
        kept = self._kept(s, r=r, rnh=rnh)
        return pipe.cut("sums", n_raw=n_raw, z=z, c=s.c, **kept)

    def _state(self, m: Module, pipe: Pipe, s: Any) -> None:
        """Search n, and Eq. 13 with its encoder. Three stages."""
        n = apply(m, "search_n", ThresholdSearch(self.tables.n), value=s.n_raw).code
        zh = apply(m, "zh", CodeTable(self.tables.zh), index=Cat(s.z, s.c)).word
        zn = apply(m, "zn", CodeTable(self.tables.zn), index=Cat(s.z, n)).word
        kept = self._kept(s, "r", "rnh", "n_raw", "z", n=n)
        s = pipe.cut("addends", zh=zh, zn=zn, **kept)
        h_raw = Signal(signed(self.tables.h.width), name="h_raw")
        m.d.comb += h_raw.eq(s.zh + s.zn)
        names = ("r", "rnh", "n_raw", "z", "n")
        s = pipe.cut("after_add", h_raw=h_raw, **self._kept(s, *names))
        code = apply(m, "search_h", ThresholdSearch(self.tables.h), value=s.h_raw).code
        s = pipe.cut("output", h=code, **self._kept(s, *names, "h_raw"))
        pipe.end(self.o)
        drive(m, self.o.payload, c=s.h, h=s.h)
        if self._trace:
            shown = {name: getattr(s, name) for name in ("rnh", "n_raw", "h_raw", "h")}
            drive(m, self.probe, gates=[{"gate": code} for code in (s.z, s.r, s.n)], **shown)
