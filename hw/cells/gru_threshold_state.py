"""The threshold state stage of a GRU: gates as searches of sums, Eq. 13 as tables over codes."""

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.constants import GRU_GATES
from mubinn.golden.cells.gru_cell import GruCellParams
from mubinn.hw.cells.reset_sum import ROW_NX, reset_sum
from mubinn.hw.cells.state_stage import PipelinedState, code_layout
from mubinn.hw.stream.component import FieldValue, View
from mubinn.hw.stream.fields import fields_of
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.code_table import CodeTable
from mubinn.hw.units.threshold_search import ThresholdSearch


class GruThresholdState(PipelinedState[GruCellParams]):
    """`mubinn.golden.cells.gru_cell.gru_state` in hardware, in four stages.

    The rows arrive as `GRU_ROWS`. No activation is left: the codes of z, r and n are searches among
    constants, Eq. 13 is two tables, one addition and a search. The product r nh remains, of a code
    of constants and a sum. A cell's state ``c`` is its h.

    Parameters and members are those of `mubinn.hw.cells.state_stage.StateStage`.
    """

    @classmethod
    def latency(cls, params: GruCellParams) -> int:
        """Return 4."""
        return 4

    @classmethod
    def trace_layout(cls, params: GruCellParams) -> data.StructLayout:
        """Return the layout of every intermediate, named as in `mubinn.golden.cells.gru_cell`."""
        tables, levels = params.layer.thresholds, params.layer.levels
        return data.StructLayout(
            {
                "gates": data.ArrayLayout(code_layout(params), len(GRU_GATES)),
                "rnh": signed(params.mac.sum_width),
                "n_raw": signed(params.n_width),
                "h_raw": signed(tables.h.width),
                "h": unsigned(levels.count("h")),
            }
        )

    def _build(self, m: Module, pipe: Pipe) -> None:
        """Add gates, candidate, state."""
        self.tables = self.params.layer.thresholds
        s = self._gates(m, pipe, self.i.payload)
        self._state(m, pipe, s)

    def _gates(self, m: Module, pipe: Pipe, s: View) -> View:
        """Search z and r, form r nh, and add nx to it. One stage."""
        search = ThresholdSearch(self.tables.gate)
        code = apply(m, "search_gate", search, value=s.z, tree=s.gate[:1]).code
        held = reset_sum(m, pipe, self.params, s, code)
        pipe.keep(s.gate == ROW_NX)
        kept = self._kept(s, r=held.r, rnh=held.rnh)
        return pipe.cut("sums", n_raw=held.n_raw, z=held.z, c=s.c, **kept)

    def _state(self, m: Module, pipe: Pipe, s: View) -> None:
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
        shown: dict[str, FieldValue] = {}
        if self._trace:
            shown = {**fields_of(s, "rnh", "n_raw", "h_raw", "h")}
            shown["gates"] = [{"gate": code} for code in (s.z, s.r, s.n)]
        self._finish(m, pipe, s.h, s.h, **shown)
