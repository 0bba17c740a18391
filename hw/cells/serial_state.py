"""The threshold state stage with one comparator: a level of a gate's code a cycle."""

from amaranth.hdl import Cat, Module, ShapeLike, Signal, Value, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.constants import GATES
from mubinn.golden.cells.lstm_cell import LstmCellParams
from mubinn.hw.arith.comparator import at_least
from mubinn.hw.arith.decision_diagram import decision_diagram
from mubinn.hw.cells.state_stage import StateStage, code_layout
from mubinn.hw.cells.threshold_state import code_of_h, sum_of
from mubinn.hw.stream.component import Memory
from mubinn.hw.stream.pipe import apply
from mubinn.hw.units.code_table import CodeTable
from mubinn.hw.units.threshold_search import ThresholdSearch

GATE_O = 3

MOST_LOGIC = 8
"""Index bits up to which the new c is a table in logic."""

MOST_MEMORY = 14
"""Index bits up to which it may be a memory."""


class SerialState(StateStage[LstmCellParams]):
    """`mubinn.hw.cells.threshold_state.ThresholdState` in less logic, at a gate every W cycles.

    The sum waits at the input while its code is searched, one of W levels a cycle, each against the
    node that the bits before it have looked up. The new state leaves one cycle after the sum of o
    was taken. Eq. (5) and its encoder are one table over f, c, i and g where that is small. On an
    FPGA the comparison is a carry chain, and a memory holds that table up to `MOST_MEMORY` index
    bits.

    Parameters and members are those of `mubinn.hw.cells.state_stage.StateStage`; the probe
    has no c_raw.
    """

    @classmethod
    def suits(cls, params: LstmCellParams) -> bool:
        """Return whether gates come seldom enough, and it is the smaller of the two."""
        levels = params.layer.levels
        index = 3 * levels.count("gate") + levels.count("c")
        seldom = params.interval >= levels.count("gate")
        return seldom and (params.network != "asic" or index <= MOST_LOGIC)

    @classmethod
    def latency(cls, params: LstmCellParams) -> int:
        """Return the cycles from when the sum of o is offered: of its search, and one."""
        return params.layer.levels.count("gate")

    @classmethod
    def trace_layout(cls, params: LstmCellParams) -> data.StructLayout:
        """Return the layout of the intermediates, named as in `mubinn.golden.cells.lstm_cell`."""
        tables, levels = params.layer.thresholds, params.layer.levels
        fields: dict[str, ShapeLike] = {
            "gates": data.ArrayLayout(code_layout(params), len(GATES)),
            "c": unsigned(levels.count("c")),
        }
        if tables.h_raw is not None:
            fields["h_raw"] = signed(tables.h_raw.width)
        return data.StructLayout(fields | {"h": unsigned(levels.count("h"))})

    def elaborate(self, platform: object) -> Module:
        """Return the search, the table of c, the table of h."""
        m = Module()
        self.tables, self.fpga = self.params.layer.thresholds, self.params.network != "asic"
        bits, i = self.layouts.gate_bits, self.i.payload
        code, done = self._search(m)
        free = Signal()
        m.d.comb += [free.eq(~self.o.valid | self.o.ready), self.i.ready.eq(done & free)]
        taken, last = self.i.valid & self.i.ready, i.gate == GATE_O
        held = Signal(len(GATES) * bits)
        with m.If(taken):
            # Codes come in order: shifted in from the top, f, i and g are in place when o comes.
            m.d.sync += held.eq(Cat(held, code)[bits:])
        with m.If(free):
            m.d.sync += self.o.valid.eq(taken & last)
        f, i_code, g = (held.word_select(k + 1, bits) for k in range(GATE_O))
        new_c = self._cell(m, f, i_code, g, taken & last)
        offset = Signal.like(i.h_offset)
        with m.If(taken & last):
            m.d.sync += offset.eq(i.h_offset)
        m.d.comb += self.o.payload.c.eq(new_c)
        word = apply(m, "h", CodeTable(self.tables.h), index=Cat(held.word_select(3, bits), new_c))
        own = self.tables.h_raw is not None
        h = code_of_h(m, self.params, word.word, offset) if own else word.word
        m.d.comb += self.o.payload.h.eq(h)
        if self._trace:
            m.d.comb += [self.probe.gates.as_value().eq(held)]
            m.d.comb += [self.probe.c.eq(new_c), self.probe.h.eq(self.o.payload.h)]
            if own:
                m.d.comb += self.probe.h_raw.eq(word.word)
        return m

    def _search(self, m: Module) -> tuple[Value, Value]:
        """Compare z with a node a cycle; return the code, and whether its last bit is there."""
        gate, z = self.tables.gate, self.i.payload.z
        levels, width = gate.levels, max(gate.width, gate.node_width)
        # A one, and below it the bits found so far, the first of them the highest.
        path = Signal(levels, init=1)
        nodes = [
            tree[_node(place)] if place else 0
            for place in range(1 << levels)
            for tree in gate.trees
        ]
        node = decision_diagram(
            m, nodes, Cat(self.i.payload.gate, path), width, name="node"
        ).as_signed()
        value = Signal(signed(width))
        m.d.comb += value.eq(z)
        reached = Signal()
        # A difference maps to one carry chain with the look-up of the node in its own cells.
        compare = ~(value - node)[-1] if self.fpga else at_least(m, value, node, name="reached")
        m.d.comb += reached.eq(compare)
        if levels > 1:
            with m.If(self.i.valid):
                with m.If(~path[-1]):
                    m.d.sync += path.eq(Cat(reached, path))
                with m.Elif(self.i.ready):
                    m.d.sync += path.eq(1)
        return Cat(reached, path[:-1])[::-1], path[-1]

    def _cell(self, m: Module, f: Value, i: Value, g: Value, enable: Value) -> Value:
        """Eq. (5) and its encoder, in the cycle after `enable`."""
        index, words = Cat(f, self.i.payload.c, i, g), self.tables.cell_words
        bits = self.layouts.c_bits
        if len(index) > MOST_LOGIC and self.fpga and len(index) <= MOST_MEMORY:
            memory = Memory(shape=unsigned(bits), depth=len(words), init=words)
            m.submodules.cell_table = memory
            port = memory.read_port()
            m.d.comb += [port.en.eq(enable), port.addr.eq(index)]
            found: Value = port.data
            return found
        if len(index) <= MOST_LOGIC:
            found = decision_diagram(m, words, index, bits, name="cell")
        else:
            half = self.tables.fc.index_width
            fc = apply(m, "fc", CodeTable(self.tables.fc), index=index[:half]).word
            ig = apply(m, "ig", CodeTable(self.tables.ig), index=index[half:]).word
            c_raw = sum_of(m, self.params, fc, ig)
            found = apply(m, "search_c", ThresholdSearch(self.tables.c), value=c_raw).code
        new_c = Signal(bits)
        with m.If(enable):
            m.d.sync += new_c.eq(found)
        return new_c


def _node(place: int) -> int:
    """Return the index in a tree of the node at heap position `place`, its first bit the highest.

    A tree counts the first bit of a prefix lowest.
    """
    depth = place.bit_length() - 1
    prefix = sum((place >> k & 1) << depth - 1 - k for k in range(depth))
    return (1 << depth) - 1 + prefix
