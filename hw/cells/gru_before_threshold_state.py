"""The threshold state stage of a GRU in Cho's form: gates as searches of sums, all else tables."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.constants import GRU_GATES
from mubinn.golden.cells.gru_before_cell import GruBeforeCellParams
from mubinn.hw.cells.state_stage import PipelinedState, code_layout
from mubinn.hw.stream.component import FieldValue, View
from mubinn.hw.stream.fields import fields_of
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.code_table import CodeTable
from mubinn.hw.units.threshold_search import ThresholdSearch

GATE_Z, GATE_R, GATE_N = range(len(GRU_GATES))


class GruBeforeThresholdState(PipelinedState[GruBeforeCellParams]):
    """Hardware of `gru_before_reset` and `gru_before_state` of thresholds, in four stages.

    The phases, and a cell's state ``c``, are those of
    `mubinn.hw.cells.gru_before_figure3_state.GruBeforeFigure3State`. Nothing multiplies: s
    is a table over the codes of r and h, the new state two tables and a search.

    Parameters and members are those of `mubinn.hw.cells.state_stage.StateStage`.
    """

    FIRST_PHASE = ("s",)

    @classmethod
    def latency(cls, params: GruBeforeCellParams) -> int:
        """Return 4."""
        return 4

    @classmethod
    def trace_layout(cls, params: GruBeforeCellParams) -> data.StructLayout:
        """Return the layout of every intermediate, named as in `golden.cells.gru_before_cell`.

        With s gates z and r and ``s`` hold; with h gate n and ``h_raw, h``.
        """
        tables, levels = params.layer.thresholds, params.layer.levels
        return data.StructLayout(
            {
                "gates": data.ArrayLayout(code_layout(params), len(GRU_GATES)),
                "s": unsigned(levels.count("h")),
                "h_raw": signed(tables.h.width),
                "h": unsigned(levels.count("h")),
            }
        )

    def _build(self, m: Module, pipe: Pipe) -> None:
        """Add gates, then s or the new state."""
        self.tables = self.params.layer.thresholds
        s = self._gate(m, pipe, self.i.payload)
        self._state(m, pipe, s)

    def _gate(self, m: Module, pipe: Pipe, s: View) -> View:
        """Search one gate; the code of z waits for that of r. One stage."""
        search = ThresholdSearch(self.tables.gate)
        code = apply(m, "search_gate", search, value=s.z, tree=s.gate).code
        held = Signal.like(code, name="held_z")
        with m.If(pipe.transfer & (s.gate == GATE_Z)):
            m.d.sync += held.eq(code)
        pipe.keep(s.gate != GATE_Z)
        levels = self.params.layer.h.levels
        new = s.gate == GATE_N
        z = Mux(new, s.c[levels:], held)
        return pipe.cut("gates", z=z, code=code, h=s.c[:levels], new=new)

    def _state(self, m: Module, pipe: Pipe, s: View) -> None:
        """The code of s, or Eq. 13 with its encoder. Three stages."""
        product = apply(m, "s", CodeTable(self.tables.s), index=Cat(s.code, s.h)).word
        zh = apply(m, "zh", CodeTable(self.tables.zh), index=Cat(s.z, s.h)).word
        zn = apply(m, "zn", CodeTable(self.tables.zn), index=Cat(s.z, s.code)).word
        tags = {"s": product[: len(s.h)], **fields_of(s, "new", "z", "h")}
        s = pipe.cut("addends", zh=zh, zn=zn, **tags, **self._kept(s, "code"))
        h_raw = Signal(signed(self.tables.h.width), name="h_raw")
        m.d.comb += h_raw.eq(s.zh + s.zn)
        tags = fields_of(s, "s", "new", "z", "h")
        s = pipe.cut("after_add", h_raw=h_raw, **tags, **self._kept(s, "code"))
        found = apply(m, "search_h", ThresholdSearch(self.tables.h), value=s.h_raw).code
        code, c = Mux(s.new, found, s.s), Cat(Mux(s.new, found, s.h), s.z)
        s = pipe.cut("output", state=code, c=c, **self._kept(s, "z", "code", "h_raw"))
        shown: dict[str, FieldValue] = {}
        if self._trace:
            shown["gates"] = [{"gate": code} for code in (s.z, s.code, s.code)]
            shown |= {"s": s.state, "h_raw": s.h_raw, "h": s.state}
        self._finish(m, pipe, s.c, s.state, **shown)
