"""Which planes of x, h and the weights meet in each multiplier, one cycle after the address."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Member, Out

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.layer.layer_memory import weight_layout
from mubinn.hw.layer.sequencer import in_phase, issue_address
from mubinn.hw.stream.component import Component, View


class OperandSelect(Component):
    """Multiplexers with selectors that are decoded a cycle ahead; wires where nothing varies.

    With `units` a multiple of the levels of x and h no plane of these is multiplexed, and with
    `units` a multiple of all planes no plane of the weights either. Of rows that share cycles
    `late` tells which multipliers have pairs of the row that begins.

    Parameters
    ----------
    plan : LayerPlan

    Members
    -------
    at : In(issue_address(plan))
        The issue whose operands follow in the next cycle.
    x : In(planes), and h where anything meets it
    weights : In(weight_layout(plan))
        The word of M_w, one cycle after its address.
    a_PART : Out(side words)
        For each part of a row, the words of x or h of each multiplier; the same in all engines.
    w_PART : Out(side words by engine)
    odd : Out(1), where words differ in their size
        Parity of the elements in use.
    late : Out(side), where rows share cycles
    """

    at: View
    x: View
    h: View
    weights: View
    a_part: View
    odd: Signal
    late: View

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        layer, words = plan.layer, data.ArrayLayout
        members: dict[str, Member] = {
            "at": In(issue_address(plan)),
            "x": In(words(unsigned(layer.features), layer.x.levels)),
            "weights": In(weight_layout(plan)),
        }
        if plan.state_lanes:
            members["h"] = In(words(unsigned(plan.state_lanes), layer.h.levels))
        for name, lanes in plan.parts.items():
            one = words(unsigned(lanes), plan.side)
            members |= {f"a_{name}": Out(one), f"w_{name}": Out(words(one, plan.engines))}
        if plan.odd_parts:
            members["odd"] = Out(1)
        if plan.rolling:
            members["late"] = Out(plan.side)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """Return the multiplexers."""
        m = Module()
        plan = self.plan
        schedules = [plan.schedule, *[plan.class_schedule] * plan.apart]
        for unit in range(plan.side):
            planes = [
                [pair[0] if pair else 0 for pair in (cycle[unit] for cycle in own.pairs)]
                for own in schedules
            ]
            slots = [[cycle[unit] for cycle in own.slot] for own in schedules]
            slot, most = self._selector(m, slots, f"slot_{unit}"), max(map(max, slots))
            for name in plan.parts:
                for e in range(plan.engines):
                    choices = [getattr(self.weights[e][s], name) for s in range(plan.slots)]
                    _pick(m, getattr(self, f"w_{name}")[e][unit], slot, choices, most + 1)
            self._left(m, unit, planes)
            if plan.rolling:
                late = [int(cycle[unit]) for cycle in plan.schedule.late]
                m.d.comb += self.late[unit].eq(self._selector(m, [late], f"late_{unit}"))
        if plan.odd_parts:
            self._parities(m)
        return m

    def _parities(self, m: Module) -> None:
        """Drive `odd`, which may differ between passes."""
        plan = self.plan
        tables = [
            {own.first + k: word.size & 1 for k, word in enumerate(own.words)}
            or {0: own.columns & 1}
            for own in plan.passes
        ]
        joint = {word: parity for table in tables for word, parity in table.items()}
        if all(joint[word] == parity for table in tables for word, parity in table.items()):
            self._parity(m, joint)
            return
        for phase in range(len(plan.layer.phases)):
            with m.If(in_phase(plan, self.at, phase)):
                self._parity(m, tables[phase])
        if plan.dense:
            with m.If(self.at.dense):
                self._parity(m, tables[-1])

    def _parity(self, m: Module, table: Mapping[int, int]) -> None:
        with m.Switch(self.at.word):
            for index, parity in table.items():
                with m.Case(index):
                    m.d.sync += self.odd.eq(parity)

    def _left(self, m: Module, unit: int, planes: list[list[int]]) -> None:
        """Pick the words of x and h of one multiplier."""
        plan, most = self.plan, max(map(max, planes))
        level = self._selector(m, planes, f"level_{unit}")
        sides = {"x": [self.x[k] for k in range(plan.layer.x.levels)]}
        if plan.state_lanes:
            sides["h"] = [self.h[k] for k in range(plan.layer.h.levels)]
        if plan.whole:
            for name, words in sides.items():
                _pick(m, getattr(self, f"a_{name}")[unit], level, words, most + 1)
            return
        word = Signal.like(self.at.word, name=f"word_{unit}")
        m.d.sync += word.eq(self.at.word)
        lanes = int(plan.lanes or 0)
        chosen = []
        for index, w in enumerate(plan.words):
            part = Signal(lanes, name=f"word_{unit}_{index}")
            choices = [
                Cat(side[w.start : w.start + w.size], Const(0, lanes - w.size))
                for side in sides[w.source]
            ]
            _pick(m, part, level, choices, most + 1)
            chosen.append(part)
        _pick(m, self.a_part[unit], word, chosen, len(chosen))

    def _selector(self, m: Module, tables: list[list[int]], name: str) -> Value:
        """Return ``table[cycle]`` of the issue addressed a cycle before.

        A second table is of classes.
        """
        if len({value for table in tables for value in table}) == 1:
            return Const(tables[0][0])
        index = Signal(range(max(map(max, tables)) + 1), name=name)
        if len(tables) == 1:
            self._look_up(m, index, tables[0])
            return index
        with m.If(self.at.dense):
            self._look_up(m, index, tables[1])
        with m.Else():
            self._look_up(m, index, tables[0])
        return index

    def _look_up(self, m: Module, index: Signal, table: list[int]) -> None:
        with m.Switch(self.at.cycle):
            for cycle, value in enumerate(table):
                with m.Case(cycle):
                    m.d.sync += index.eq(value)


def _pick(m: Module, out: Value, index: Value, choices: Sequence[Value | View], count: int) -> None:
    """Drive `out` with ``choices[index]``, where `index` is below `count` and has choices.

    A tree of two-way multiplexers, one layer a bit of `index`; a missing choice takes none.
    """
    values = [Value.cast(choice) for choice in choices[:count]]
    if isinstance(index, Const):
        m.d.comb += out.eq(values[min(index.value, len(values) - 1)])
        return
    for bit in index:
        pairs = zip(values[::2], values[1::2], strict=False)
        values = [Mux(bit, high, low) for low, high in pairs] + values[len(values) & ~1 :]
    m.d.comb += out.eq(values[0])
