"""The threshold state stage: gates as searches of z, Eq. (5) and (6) as tables over codes."""

from amaranth.hdl import Cat, Const, Module, ShapeLike, Signal, Value, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.constants import GATES
from mubinn.golden.cells.lstm_cell import LstmCellParams
from mubinn.hw.arith.prefix_adder import prefix_add
from mubinn.hw.cells.state_stage import PipelinedState, code_layout
from mubinn.hw.stream.component import View
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.code_table import CodeTable
from mubinn.hw.units.threshold_search import ThresholdSearch

GATE_O = 3


class ThresholdState(PipelinedState[LstmCellParams]):
    """`mubinn.golden.cells.lstm_cell.threshold_state` in hardware, in three stages or four.

    No multiplier and no activation is left: the code of each gate is a search of z among constants;
    Eq. (5) is two tables, one addition and a search; Eq. (6) is one table. Where the offset of h
    differs between cells, a search follows that table in a fourth stage.

    Parameters and members are those of `mubinn.hw.cells.state_stage.StateStage`.
    """

    @classmethod
    def latency(cls, params: LstmCellParams) -> int:
        """Return 3, or 4 where the offset of h differs between cells."""
        return 3 if params.layer.thresholds.h_raw is None else 4

    @classmethod
    def trace_layout(cls, params: LstmCellParams) -> data.StructLayout:
        """Return the layout of every intermediate, named as in `mubinn.golden.cells.lstm_cell`."""
        tables, levels = params.layer.thresholds, params.layer.levels
        fields: dict[str, ShapeLike] = {
            "gates": data.ArrayLayout(code_layout(params), len(GATES)),
            "c_raw": signed(tables.c.width),
            "c": unsigned(levels.count("c")),
        }
        if tables.h_raw is not None:
            fields["h_raw"] = signed(tables.h_raw.width)
        return data.StructLayout(fields | {"h": unsigned(levels.count("h"))})

    def _build(self, m: Module, pipe: Pipe) -> None:
        """Add gates, c, h."""
        self.tables = self.params.layer.thresholds
        s = self._addends(m, pipe, self.i.payload)
        self._state(m, pipe, s)

    def _addends(self, m: Module, pipe: Pipe, s: View) -> View:
        """Search z; while that of o is searched, look the addends of c_raw up. One stage."""
        search = ThresholdSearch(self.tables.gate)
        code = apply(m, "search_gate", search, value=s.z, tree=s.gate).code
        bits = self.layouts.gate_bits
        held = Signal(GATE_O * bits)
        with m.If(pipe.transfer):
            # Codes come in order: shifted in from the top, f, i and g are in place when o comes.
            m.d.sync += held.eq(Cat(held, code)[bits:])
        pipe.keep(s.gate == GATE_O)
        f, i, g = (held.word_select(index, bits) for index in range(GATE_O))
        fc = apply(m, "fc", CodeTable(self.tables.fc), index=Cat(f, s.c)).word
        ig = apply(m, "ig", CodeTable(self.tables.ig), index=Cat(i, g)).word
        traced = {"gates": Cat(held, code)} if self._trace else {}
        return pipe.cut("addends", fc=fc, ig=ig, o=code, h_offset=s.h_offset, **traced)

    def _state(self, m: Module, pipe: Pipe, s: View) -> None:
        """Eq. (5), Eq. (6) and their encoders. Two stages or three."""
        kept = self._kept(s, "gates")
        c_raw = sum_of(m, self.params, s.fc, s.ig)
        s = pipe.cut("after_add", c_raw=c_raw, o=s.o, h_offset=s.h_offset, **kept)
        c = apply(m, "search_c", ThresholdSearch(self.tables.c), value=s.c_raw).code
        h = apply(m, "h", CodeTable(self.tables.h), index=Cat(s.o, c)).word
        kept = self._kept(s, "gates", "c_raw")
        if self.tables.h_raw is not None:
            s = pipe.cut("after_table", h_raw=h, c=c, h_offset=s.h_offset, **kept)
            h, c = code_of_h(m, self.params, s.h_raw, s.h_offset), s.c
            kept = self._kept(s, "gates", "c_raw", "h_raw")
        s = pipe.cut("output", c=c, h=h, **kept)
        self._finish(m, pipe, s.c, s.h, **self._kept(s, *kept, "c", "h"))


def code_of_h(m: Module, params: LstmCellParams, h_raw: Value, h_offset: Value) -> Value:
    """Return the code of h where its offset differs between cells: a search of the difference.

    The offset arrives in the fraction of figure 3's h_raw.
    """
    search, layer = params.layer.thresholds.h_raw, params.layer
    assert search is not None
    value = Signal(signed(search.width), name="h_difference")
    minus = Signal.like(value)
    m.d.comb += minus.eq(~(h_offset >> layer.h_raw_fraction - layer.h.fraction))
    m.d.comb += value.eq(prefix_add(m, _wide(h_raw, value), minus, 1, name="h_minus"))
    found: Value = apply(m, "search_h", ThresholdSearch(search), value=value).code
    return found


def sum_of(m: Module, params: LstmCellParams, fc: Value, ig: Value) -> Signal:
    """Return c_raw, the sum of two words, signed."""
    c_raw = Signal(signed(params.layer.thresholds.c.width), name="c_raw")
    m.d.comb += c_raw.eq(prefix_add(m, _wide(fc, c_raw), _wide(ig, c_raw), name="c_raw"))
    return c_raw


def _wide(value: Value, like: Signal) -> Value:
    """Return `value` with its sign, or zeros, up to the width of `like`."""
    return Cat(value, (value[-1] if value.shape().signed else Const(0, 1)).replicate(len(like)))[
        : len(like)
    ]
