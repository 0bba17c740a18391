"""The order of a layer's issues: rows of gates, then, once the new state is there, of classes."""

from collections.abc import Sequence
from itertools import accumulate

from amaranth.hdl import Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum
from amaranth.lib.wiring import In, Out

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.stream.component import Component, View


def issue_address(plan: LayerPlan) -> data.StructLayout:
    """Return what names one issue, and where the memories hold its words.

    ``weight`` is the address of M_w, ``row`` that of M_B; whose row it is `gate_of` and `cell_of`
    tell, for which a layer of several phases has ``phase``, ``gate`` and ``cell``. ``cycle`` and
    ``word`` place the issue in its row, ``first`` and ``last`` mark the row's ends, ``end`` the
    last issue of a phase or of all classes. Where an issue ends a row and begins another it is the
    last of the former, and the next issue the first of the latter. ``issue`` numbers the issues of
    packed rows with scales of their own.
    """
    counts = [len(rows) for rows in (*plan.phase_rows, plan.dense_rows)]
    words = max(1, len(plan.words))
    if plan.rolling:
        depth = sum(len(plan.schedule.windows(count)) for count in counts)
    else:
        schedules = [*[plan.schedule] * len(plan.phase_rows), plan.class_schedule]
        own = zip(schedules, plan.passes, counts, strict=False)
        depth = sum(len(set(s.first_planes)) * meets.count * count for s, meets, count in own)
    fields = {
        "weight": range(depth),
        "row": range(sum(counts)),
        "cycle": range(max(plan.schedule.cycles, plan.class_schedule.cycles)),
        "word": range(words),
        "dense": unsigned(1),
        "first": unsigned(1),
        "last": unsigned(1),
        "end": unsigned(1),
    }
    if plan.rolling and plan.scaled_rows:
        fields["issue"] = range(plan.gate_issues + plan.class_issues)
    if counts_cells(plan):
        fields["phase"] = range(len(plan.layer.phases))
        fields |= {"gate": range(plan.layer.cell_rows), "cell": range(plan.rounds)}
    return data.StructLayout(fields)


def counts_cells(plan: LayerPlan) -> bool:
    """Return whether row and cell are counted; elsewhere they are bits of the address of a row."""
    return len(plan.layer.phases) > 1 or plan.layer.cell_rows != 4


def gate_of(plan: LayerPlan, at: View) -> Value:
    """Return which row of its cell an issue of gates belongs to."""
    return Value.cast(at.gate) if counts_cells(plan) else at.row[:2]


def cell_of(plan: LayerPlan, at: View) -> Value:
    """Return which cell of its engine an issue of gates belongs to."""
    return Value.cast(at.cell) if counts_cells(plan) else at.row[2:]


def in_phase(plan: LayerPlan, at: View, phase: int) -> Value:
    """Return whether an issue of gates, or the state waited for, belongs to `phase`."""
    count = len(plan.layer.phases)
    return Const(1, 1) if count == 1 else at.phase == phase % count


def by_phase(plan: LayerPlan, at: View, table: Sequence[int]) -> Value | int:
    """Return the entry of the phase of an issue of gates; the number, where all are alike."""
    found: Value | int = table[0]
    if len(set(table)) > 1:
        for phase, entry in enumerate(table[1:], 1):
            found = Mux(in_phase(plan, at, phase), entry, found)
    return found


class State(enum.Enum, shape=2):
    """What a layer is doing."""

    GATES = 0
    WAIT = 1
    CLASSES = 2


class Sequencer(Component):
    """Names all issues of one time step, one a cycle; counters and flags, nothing multiplies.

    Parameters
    ----------
    plan : LayerPlan

    Members
    -------
    ready : In(1)
        The step's input is there: issues of gates may begin and go on.
    hold : In(1)
        The place of the step's output is taken: keep back the last row of the last phase.
    stored : In(1)
        In this cycle the last cell of the phase is stored; follows the phase's last row.
    classify : In(1)
        With `stored` of the last phase: the classes' rows come next; otherwise the next step.
    hold_classes : In(1)
        Keep back the classes' rows.
    valid : Out(1)
    at : Out(issue_address(plan))
        An issue, in the cycles in which `valid` is 1.
    state : Out(State)
    """

    ready: Signal
    hold: Signal
    stored: Signal
    classify: Signal
    hold_classes: Signal
    valid: Signal
    at: View
    state: View

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        self._firsts = [own.first for own in plan.passes[: len(plan.layer.phases)]]
        inputs = ("ready", "hold", "stored", "classify", "hold_classes")
        super().__init__(
            {
                **{name: In(1) for name in inputs},
                "valid": Out(1),
                "at": Out(issue_address(plan)),
                "state": Out(State),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return the nested counters."""
        m = Module()
        plan, at = self.plan, self.at
        gates, classes = self.state == State.GATES, self.state == State.CLASSES
        last_gate = at.row == len(plan.rows) - 1
        last_class = at.row == len(plan.rows) + plan.dense_rounds - 1
        go = gates & self.ready & ~(last_gate & self.hold)
        counts = [len(rows) for rows in plan.phase_rows]
        for phase, end in enumerate(accumulate(counts[:-1])):
            last_gate |= in_phase(plan, at, phase) & (at.row == end - 1)
        m.d.comb += self.valid.eq(go)
        first = by_phase(plan, at, self._firsts)
        ends_at = [own.first + own.count - 1 for own in plan.passes]
        last_word = by_phase(plan, at, ends_at[: len(plan.layer.phases)])
        if plan.dense:
            m.d.comb += self.valid.eq(go | (classes & ~self.hold_classes))
            m.d.comb += at.dense.eq(classes)
            first = Mux(classes, plan.x_words, first)
            if len(set(ends_at)) > 1:
                last_word = Mux(classes, ends_at[-1], last_word)
        first_word = Signal(range(max(1, len(plan.words))))
        m.d.comb += first_word.eq(first)
        ends, begins = self._cycle_is("ends"), self._cycle_is("begins")
        m.d.comb += [
            at.first.eq(begins & (at.word == first_word)),
            at.last.eq(ends & (at.word == last_word)),
            at.end.eq(at.last & Mux(at.dense, last_class, last_gate)),
        ]
        with m.If(self.valid):
            self._count(m, ends)
            with m.If(at.end):
                m.d.sync += self.state.eq(Mux(at.dense, State.GATES.value, State.WAIT.value))
                with m.If(at.dense):
                    self._restart(m)
        with m.If(self.stored & ~in_phase(plan, at, -1)):
            self._next_phase(m)
        with m.Elif(self.stored):
            if plan.dense:
                m.d.sync += [
                    self.state.eq(Mux(self.classify, State.CLASSES.value, State.GATES.value)),
                    at.word.eq(Mux(self.classify, plan.x_words, 0)),
                ]
            else:
                m.d.sync += self.state.eq(State.GATES)
            with m.If(~self.classify):
                self._restart(m)
        return m

    def _restart(self, m: Module) -> None:
        """Go back to the first issue of a step."""
        at = self.at
        m.d.sync += [at.row.eq(0), at.weight.eq(0), at.word.eq(0)]
        if self.plan.rolling and self.plan.scaled_rows:
            m.d.sync += at.issue.eq(0)
        if counts_cells(self.plan):
            m.d.sync += [at.phase.eq(0), at.gate.eq(0), at.cell.eq(0)]

    def _next_phase(self, m: Module) -> None:
        """Begin the rows of the next phase."""
        m.d.sync += self.state.eq(State.GATES)
        if len(self.plan.layer.phases) > 1:
            m.d.sync += self.at.phase.eq(self.at.phase + 1)
        if len(set(self._firsts)) > 1:
            following = [*self._firsts[1:], 0]
            m.d.sync += self.at.word.eq(by_phase(self.plan, self.at, following))

    def _cycle_is(self, name: str) -> Value:
        """Return the schedule's table `name` at the cycle, of rows of gates or of classes."""
        plan = self.plan
        found = self._at_cycle(getattr(plan.schedule, name))
        if not plan.apart:
            return found
        return Mux(self.at.dense, self._at_cycle(getattr(plan.class_schedule, name)), found)

    def _at_cycle(self, table: tuple[bool, ...]) -> Value:
        """Return ``table[cycle]``; no process, which Icarus would not run before a change."""
        bits = Const(sum(value << cycle for cycle, value in enumerate(table)), len(table))
        return bits.bit_select(self.at.cycle, 1)

    def _count(self, m: Module, ends: Value) -> None:
        """Step the counters by one issue."""
        plan, at = self.plan, self.at
        advance = self._cycle_is("advances")
        last_cycle: Value = at.cycle == plan.schedule.cycles - 1
        if plan.apart:
            last_class = at.cycle == plan.class_schedule.cycles - 1
            last_cycle = Mux(at.dense, last_class, last_cycle)
        m.d.sync += [
            at.weight.eq(at.weight + (advance | at.end)),
            at.cycle.eq(Mux(last_cycle | at.end, 0, at.cycle + 1)),
            at.row.eq(at.row + at.last),
        ]
        if plan.words:
            with m.If(ends):
                m.d.sync += at.word.eq(at.word + 1)
            with m.If(at.last):
                first = by_phase(plan, at, self._firsts)
                m.d.sync += at.word.eq(Mux(at.dense, plan.x_words, first))
        if plan.rolling and plan.scaled_rows:
            m.d.sync += at.issue.eq(at.issue + 1)
        if counts_cells(plan):
            with m.If(at.last):
                self._count_rows(m)

    def _count_rows(self, m: Module) -> None:
        """Step gate and cell, which follow each other as `LayerPlan.phase_rows` has them."""
        at, phases = self.at, self.plan.layer.phases
        with m.Switch(at.phase):
            for phase, gates in enumerate(phases):
                with m.Case(phase):
                    wrap = at.gate == gates[-1]
                    following = phases[(phase + 1) % len(phases)][0]
                    first = Mux(at.end, following, gates[0])
                    m.d.sync += [
                        at.gate.eq(Mux(wrap, first, at.gate + 1)),
                        at.cell.eq(Mux(at.end, 0, at.cell + wrap)),
                    ]
