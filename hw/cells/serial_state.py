"""The threshold state stage with one comparator: a level of a gate's code a cycle."""

from amaranth.hdl import Cat, Module, Signal, Value, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.operations import Code, Search, Unit
from mubinn.golden.cells.tabulate import tabulated
from mubinn.golden.folding.cell_design import CellDesign
from mubinn.hw.arith.comparator import at_least
from mubinn.hw.arith.decision_diagram import decision_diagram
from mubinn.hw.cells.operations import operate, shape_of
from mubinn.hw.cells.state_stage import StateStage, gates_layout, own_offset, shown
from mubinn.hw.stream.component import Memory

MOST_LOGIC = 8
"""Index bits up to which a code is a table in logic."""

MOST_MEMORY = 14
"""Index bits up to which it may be a memory."""


class SerialState(StateStage):
    """`mubinn.hw.cells.state_stage.PipelinedState` in less logic, at a gate every W cycles.

    For cells of which all rows are gates, and all else follows from codes: those that read gates
    and what is kept, in the cycle after the last sum was taken, and from their registers those that
    read them. The sum waits at the input while its code is searched, one of W levels a cycle, each
    against the node that the bits before it have looked up. The new state leaves one cycle after
    the sum of the last row was taken. A code of the first kind is one table over all that it reads
    where that is small. On an FPGA the comparison is a carry chain, and a memory holds that table
    up to `MOST_MEMORY` index bits.

    Parameters and members are those of `StateStage`; the probe has the codes alone, and what their
    tables are rounded of.
    """

    @classmethod
    def suits(cls, design: CellDesign) -> bool:
        """Return whether a cell has this form, gates come seldom enough, and it is the smaller."""
        layer = design.layer
        if not _has_form(design):
            return False
        seldom = design.interval >= layer.levels.count("gate")
        index = max(_index_bits(design, name) for name in _first(design))
        return seldom and (design.network != "asic" or index <= MOST_LOGIC)

    @classmethod
    def latency(cls, design: CellDesign) -> int:
        """Return the cycles from when the last sum is offered: of its search, and one."""
        return design.layer.levels.count("gate")

    @classmethod
    def trace_layout(cls, design: CellDesign) -> data.StructLayout:
        """Return the layout of the intermediates that there are."""
        own = {unit.name: shape_of(unit.operation) for unit in _shown(design)}
        return data.StructLayout({**gates_layout(design), **own})

    def elaborate(self, platform: object) -> Module:
        """Return the search, the tables of new codes, and those of what follows from them."""
        m = Module()
        self.fpga, i = self.design.network != "asic", self.i.payload
        names, bits = self.layer.cell.gate_names, self.layer.levels.count("gate")
        code, done = self._search(m)
        free = Signal()
        m.d.comb += [free.eq(~self.o.valid | self.o.ready), self.i.ready.eq(done & free)]
        taken, last = self.i.valid & self.i.ready, i.gate == len(names) - 1
        held = Signal(len(names) * bits)
        with m.If(taken):
            # Codes come in order: shifted in from the top, all are in place when the last comes.
            m.d.sync += held.eq(Cat(held, code)[bits:])
        with m.If(free):
            m.d.sync += self.o.valid.eq(taken & last)
        after = {name: held.word_select(k, bits) for k, name in enumerate(names)}
        # The cycle in which the memory of a table is read: the last gate is just in place.
        values = self._new_codes(m, after, taken & last)
        kept = [values[name] for name in self.layouts.kept]
        m.d.comb += self.o.payload.c.eq(Cat(*kept))
        m.d.comb += self.o.payload.h.eq(values[self.layer.cell.states[0].name])
        if self._trace:
            m.d.comb += self.probe.gates.as_value().eq(held)
            for unit in _shown(self.design):
                m.d.comb += getattr(self.probe, unit.name).eq(values[unit.name])
        return m

    def _new_codes(self, m: Module, after: dict[str, Value], enable: Value) -> dict[str, Value]:
        """Return gates and all codes that follow, valid in the cycle after `enable`."""
        bits, names = self.layer.levels.count("gate"), list(after)
        held = Cat(*after.values())
        # One place further up before the last code is shifted in.
        now = {name: held.word_select(k + 1, bits) for k, name in enumerate(names[:-1])}
        word = Value.cast(self.i.payload.c)
        now |= {f"old.{n}": self.layouts.kept_part(word, n) for n in self.layouts.kept}
        values = dict(after)
        offset = Signal.like(self.i.payload.h_offset)
        with m.If(enable):
            m.d.sync += offset.eq(self.i.payload.h_offset)
        first = _first(self.design)
        for name in first:
            values[name] = self._table(m, name, now, enable)
        made = set(first) | {n for name in first for n in _beneath(self.design, name)}
        for unit in self.lowered.units:
            if unit.name in values or unit.name in made:
                continue
            own = None
            if isinstance(unit.operation, Search) and unit.operation.offset is not None:
                own = own_offset(self.layer, unit, offset)
            operands = [values[name] for name in unit.operands]
            values[unit.name] = operate(m, unit.role, unit.operation, operands, own)
        return values

    def _search(self, m: Module) -> tuple[Value, Value]:
        """Compare z with a node a cycle; return the code, and whether its last bit is there."""
        operation = self.lowered[self.layer.cell.gate_names[0]].operation
        assert isinstance(operation, Search)
        gate, z = operation.params, self.i.payload.z
        levels, width = gate.levels, max(gate.width, gate.node_width)
        # A one, and below it the bits found so far, the first of them the highest.
        path = Signal(levels, init=1)
        spare = [gate.trees[0]] * ((1 << gate.select_width) - len(gate.trees))
        trees = [*gate.trees, *spare]
        nodes = [
            tree[_node(place)] if place else 0 for place in range(1 << levels) for tree in trees
        ]
        tree = self.i.payload.gate[: gate.select_width]
        node = decision_diagram(m, nodes, Cat(tree, path), width, name="node").as_signed()
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

    def _table(self, m: Module, name: str, now: dict[str, Value], enable: Value) -> Value:
        """Return a code that reads gates and kept codes, in the cycle after `enable`."""
        leaves = _leaves(self.design, name)
        index, bits = (
            Cat(*(now[leaf] for leaf in leaves)),
            self.lowered[name].operation.format.width,
        )
        if len(index) > MOST_LOGIC and self.fpga and len(index) <= MOST_MEMORY:
            words = tabulated(self.lowered, name, leaves)
            memory = Memory(shape=unsigned(bits), depth=len(words), init=words)
            m.submodules[f"{name}_table"] = memory
            port = memory.read_port()
            m.d.comb += [port.en.eq(enable), port.addr.eq(index)]
            found: Value = port.data
            return found
        if len(index) <= MOST_LOGIC:
            words = tabulated(self.lowered, name, leaves)
            found = decision_diagram(m, words, index, bits, name=f"{name}_table")
        else:
            values = dict(now)
            for unit in [
                *(self.lowered[n] for n in _beneath(self.design, name)),
                self.lowered[name],
            ]:
                operands = [values[operand] for operand in unit.operands]
                values[unit.name] = operate(m, unit.role, unit.operation, operands)
            found = values[name]
        code = Signal(bits, name=f"new_{name}")
        with m.If(enable):
            m.d.sync += code.eq(found)
        return code


def _has_form(design: CellDesign) -> bool:
    """Whether all rows are gates, and all that follows is a code of codes."""
    layer, lowered = design.layer, design.layer.lowered
    if layer.datapath != "threshold" or len(layer.phases) > 1:
        return False
    if lowered.direct != layer.cell.gate_names or len(lowered.direct) != layer.cell_rows:
        return False
    first = _first(design)
    early = {name for own in first for name in (own, *_beneath(design, own))}
    later = [u for u in lowered.units if u.name not in early and u.name not in lowered.direct]
    read = {name for unit in later for name in unit.operands}
    if any(name.startswith(("old.", "stored.")) or name.endswith(".z") for name in read):
        return False
    last = layer.cell.gate_names[-1]
    return bool(first) and all(last not in _leaves(design, name) for name in first)


def _beneath(design: CellDesign, name: str) -> list[str]:
    """Return the numbers that a code is made of, on the way from other codes."""
    lowered, found = design.layer.lowered, []
    for operand in lowered[name].operands:
        if operand in lowered and not isinstance(lowered[operand].operation.format, Code):
            found += [*_beneath(design, operand), operand]
    return found


def _leaves(design: CellDesign, name: str) -> list[str]:
    """Return the codes that a code is made of, in the order in which units read them."""
    lowered, found = design.layer.lowered, dict[str, None]()
    for operand in lowered[name].operands:
        if operand in lowered and not isinstance(lowered[operand].operation.format, Code):
            found |= dict.fromkeys(_leaves(design, operand))
        else:
            found[operand] = None
    return list(found)


def _first(design: CellDesign) -> list[str]:
    """Return the codes that are made of gates and kept codes alone, but for the last gate's."""
    lowered, gates = design.layer.lowered, design.layer.cell.gate_names
    found = []
    for unit in lowered.units:
        if unit.name in gates or not isinstance(unit.operation.format, Code):
            continue
        leaves = _leaves(design, unit.name)
        if all(leaf in gates[:-1] or leaf.startswith("old.") for leaf in leaves):
            found.append(unit.name)
    return found


def _index_bits(design: CellDesign, name: str) -> int:
    formats = design.layer.lowered.formats
    return sum(formats[leaf].width for leaf in _leaves(design, name))


def _shown(design: CellDesign) -> list[Unit]:
    """Return what a trace shows: codes, and numbers that tables of other codes give."""
    hidden = {n for name in _first(design) for n in _beneath(design, name)}
    return [unit for unit in shown(design) if unit.name not in hidden]


def _node(place: int) -> int:
    """Return the index in a tree of the node at heap position `place`, its first bit the highest.

    A tree counts the first bit of a prefix lowest.
    """
    depth = place.bit_length() - 1
    prefix = sum((place >> k & 1) << depth - 1 - k for k in range(depth))
    return (1 << depth) - 1 + prefix
