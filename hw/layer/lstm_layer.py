"""One LSTM layer: engines of the cell of Figure 3, their memories, a sequencer, a classifier."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Member, Out

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.model.stamp import Stamp
from mubinn.hw.cells.cell_layout import CellLayouts
from mubinn.hw.cells.gate_sums import GateSums
from mubinn.hw.cells.lstm_cell import LstmCell
from mubinn.hw.layer.classifier import Classifier, result_layout, sums_layout
from mubinn.hw.layer.layer_memory import LayerMemories
from mubinn.hw.layer.layer_states import state_layout
from mubinn.hw.layer.layer_trace import LayerTrace
from mubinn.hw.layer.operand_select import OperandSelect
from mubinn.hw.layer.pixel_state import PixelState
from mubinn.hw.layer.sequencer import (
    Sequencer,
    State,
    by_phase,
    cell_of,
    gate_of,
    in_phase,
    issue_address,
)
from mubinn.hw.layer.step_count import StepCount, count_layout
from mubinn.hw.stream.component import Component, FieldValue, View, view_const, view_signal
from mubinn.hw.stream.fields import drive, frame_layout, zero_planes
from mubinn.hw.stream.state_port import inner_port, part_port, pass_on


def cycles_per_step(plan: LayerPlan) -> int:
    """Return the clock cycles from one step's input to the next, when neither side pauses.

    ``sum over phases of (ceil(r ceil(H / E) B) + L + 1) + D ceil(ceil(C / E) B_d) + N`` with

    ======  ====================================================================================
    r       rows of a cell in the phase: 4 in the one phase of an LSTM, and of a GRU that resets
            after the product; 2 and 1 in those of a GRU that resets before it
    H       cells; in the phase of a projection its outputs
    P       level pairs of a row, max(A, W_h) times the weights' levels, W_h those of h that rows
            read; A times these where no row reads h, that of a layer without state below others
    E, s    engines, `LayerPlan.engines`, and multipliers of each, min(P, floor(units / E)); with
            lanes < I + H or units <= P, E is max(1, floor(units / P)); there H is 0 as well
    B       cycles of a gate's row: P / s where lanes >= I + H, else
            (ceil(I / lanes) + ceil(n / lanes)) ceil(P / s) with the n numbers of what meets W_h,
            and without those of I in a phase that does not read x
    B_d     cycles of a class's row: P / s where lanes >= I + H, else ceil(n / lanes) ceil(P / s)
            with the n numbers of h; where rows read the first levels of h alone P is here those of
            h times the classifier's, and P / s is rounded up
    C, D    outputs, 0 without a head; 0 with the readout last, where the last step alone takes
            ceil(ceil(C / E) B_d) cycles more, else 1
    L       cycles from a cell's last issue to its state, `LstmCell.latency`
    N       pixels around whose h the rows read, one a cycle; 0 of a layer that sweeps no frames,
            or where no row reads h. Of a sweep a step is a pixel, and n is N H where rows read h
    ======  ====================================================================================

    Of a phase's cells only the last one's state stage shows: the others run beside the products of
    the next cell.
    """
    classes = plan.class_issues if plan.reading.every_step else 0
    waits = len(plan.layer.phases) * (LstmCell.latency(plan) + 1)
    return plan.gate_issues + classes + waits + plan.load_cycles


def cycles_per_window(plan: LayerPlan, steps: int) -> int:
    """Return the cycles from the first input of a window to that of the next, with no pauses."""
    classes = 0 if plan.reading.every_step else plan.class_issues
    return steps * cycles_per_step(plan) + classes


class LstmLayer(Component):
    """`golden.model.bit_true.run_layer` in hardware: a step's input in, the step's new h out.

    Steps follow each other every `cycles_per_step` cycles. The next step's input may be
    given as soon as the last gate's products are under way. A step's output is offered
    ``gate_issues + phases (L + 1) + 1`` cycles after its input was taken; a step goes on without
    its consumer up to the last row of the next one. With a classifier, a result is offered
    ``class_issues + GateSums.latency(plan) + 2`` cycles after the output of its step.

    Parameters
    ----------
    plan : LayerPlan
    memories : LayerMemories, optional
        In place of those with contents.
    trace : bool
        Record every intermediate of each cell, see `mubinn.hw.layer.layer_trace.LayerTrace`.
    carries : bool
        Add `carried`; without it the state is cleared after each window.
    sleeps : bool
        Add `busy`.
    stamp : Stamp, optional
        With a classifier: what results say of their steps.
    state_port : bool
        With `carries`: add `turns`, `moved`, `shown` and `word`, by which the state goes out or in
        between windows, a word of `mubinn.hw.layer.layer_states.state_layout` for each round. The
        layer is one that `check_words` takes. What the classifier's part keeps has ports of its
        own, see `kept`.

    Members
    -------
    i : In(stream of {x: A planes of I bits, last: 1})
        Level bits of one time step; `last` marks the last step of a window, after which the state
        starts again from the code of 0.
    carried : In(1), with `carries`
        What a step that is a window's last leaves is what the next window begins with; else that
        one begins as after a reset. Seen when that step is taken. What is summed over the steps of
        a window begins anew in either case; the S of a leaky mean is of the state.
    turns, moved : In(1), shown : Out(word), word : In(word), with `state_port`
        Of `mubinn.hw.accelerator.state_ring.StateRing`.
    sums, steps : Out(signature of `mubinn.hw.stream.state_port.part_port`), with `state_port`
        S of a leaky mean, and what counts steps.
    o : Out(stream of {h: W_h planes of H bits, last: 1})
    result : Out(stream.Signature(result_layout(plan, stamp))), with a classifier
        Of a window, or of each step.
    stepped : Out(1), with `trace`
        Changes level whenever the trace holds a further step.
    busy : Out(1), with `sleeps`
        A step is under way, or an output or result waits. Sums of classes that end a step may be
        under way `quiet` cycles more.
    """

    i: stream.Interface
    o: stream.Interface
    result: stream.Interface
    stepped: Signal
    carried: Signal
    busy: Signal
    turns: Signal
    moved: Signal
    shown: View
    word: View
    sums: Any
    steps: Any

    def __init__(
        self,
        plan: LayerPlan,
        *,
        memories: LayerMemories | None = None,
        trace: bool = False,
        carries: bool = False,
        sleeps: bool = False,
        stamp: Stamp | None = None,
        state_port: bool = False,
    ) -> None:
        self.plan = plan
        self.stamp = stamp
        self._state_port = state_port
        self.memories = memories or LayerMemories(plan)
        self._trace = trace
        self._carries = carries
        layer = plan.layer
        self.frame = frame_layout(layer.features, layer.x.levels)
        self.state = frame_layout(layer.outputs, layer.h.levels, "h")
        members: dict[str, Member] = {
            "i": In(stream.Signature(self.frame)),
            "o": Out(stream.Signature(self.state)),
        }
        if plan.dense:
            members["result"] = Out(stream.Signature(result_layout(plan, stamp)))
        if trace:
            members["stepped"] = Out(1)
        if carries:
            members["carried"] = In(1)
        self._sleeps = sleeps
        if sleeps:
            members["busy"] = Out(1)
        if state_port:
            members |= part_port(state_layout(plan))
            members |= {name: inner_port(word) for name, (word, _) in self.kept.items()}
        super().__init__(members)

    @property
    def kept(self) -> dict[str, tuple[ShapeLike, int]]:
        """Words that the classifier's part keeps, by the name of their port, and how many."""
        found: dict[str, tuple[ShapeLike, int]] = {}
        if self.plan.dense and self.plan.reading.leak:
            found["sums"] = sums_layout(self.plan), self.plan.dense_rounds
        if self.stamp is not None:
            found["steps"] = count_layout(self.stamp), 1
        return found

    def elaborate(self, platform: object) -> Module:
        """Return the layer: sequencer, memories, engines, state."""
        m = Module()
        plan = self.plan
        cells = [LstmCell(plan, trace=self._trace) for _ in range(plan.engines)]
        for e, cell in enumerate(cells):
            m.submodules[f"engine_{e}" if plan.engines > 1 else "engine"] = cell
        m.submodules.memories = memories = self.memories
        m.submodules.sequencer = sequencer = Sequencer(plan)
        m.submodules.select = select = OperandSelect(plan)
        m.d.comb += [select.at.eq(sequencer.at), memories.address.eq(sequencer.at)]
        self._pixels = PixelState(plan, carries=self._carries) if plan.sweep else None
        if self._pixels:
            m.submodules.pixels = self._pixels
            m.d.comb += memories.base.eq(self._pixels.base)
        frame, last = self._take(m, sequencer)
        cleared = self._store(m, cells, memories, sequencer, select, last)
        now = view_signal(issue_address(plan), "now")
        valid = Signal()
        m.d.sync += [valid.eq(sequencer.valid), now.eq(sequencer.at)]
        m.d.comb += [select.x.eq(frame.x), select.weights.eq(memories.weights)]
        for e, cell in enumerate(cells):
            m.d.comb += cell.i.valid.eq(valid)
            self._feed(m, e, cell.i.payload, now, memories, select, cleared)
        if self._trace:
            self._record(m, cells, sequencer)
        if self._sleeps:
            waits = self.o.valid | self.result.valid if plan.dense else self.o.valid
            at_work = sequencer.valid | valid | (sequencer.state != State.GATES)
            m.d.comb += self.busy.eq(~self.i.ready | at_work | waits)
        return m

    @staticmethod
    def quiet(plan: LayerPlan) -> int:
        """Return the cycles from the last issue of a step's classes to their result."""
        return GateSums.latency(plan) + 3

    def _take(self, m: Module, sequencer: Sequencer) -> tuple[View, Signal]:
        """Hold a step's input while its gates need it; return it and the step's `last`."""
        frame = view_signal(self.frame, "frame")
        held, last = Signal(), Signal()
        m.d.comb += self.i.ready.eq(~held)
        m.d.comb += sequencer.ready.eq(held & self._pixels.loaded if self._pixels else held)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [frame.eq(self.i.payload), held.eq(1)]
        last_issue = sequencer.at.end & in_phase(self.plan, sequencer.at, -1)
        with m.If(sequencer.valid & last_issue & ~sequencer.at.dense):
            m.d.sync += [held.eq(0), last.eq(frame.last)]
        self._clears: Value = last
        if self._carries:
            kept, clears = Signal(), Signal()
            with m.If(self.i.valid & self.i.ready):
                m.d.sync += kept.eq(self.carried)
            with m.If(sequencer.valid & last_issue & ~sequencer.at.dense):
                m.d.sync += clears.eq(frame.last & ~kept)
            self._clears = clears
        return frame, last

    def _feed(
        self,
        m: Module,
        e: int,
        issue: View,
        now: View,
        memories: LayerMemories,
        select: OperandSelect,
        cleared: Signal,
    ) -> None:
        """Hand the words of an issue to engine `e`, one cycle after their addresses."""
        plan = self.plan
        scale = memories.scales[e if plan.scaled_rows else 0]
        bias = memories.biases[e]
        zero = zero_word(plan.layer)
        parts: dict[str, FieldValue] = {}
        for name in plan.parts:
            parts[name] = {
                "a": getattr(select, f"a_{name}"),
                "w": getattr(select, f"w_{name}")[e],
                "gamma": getattr(scale, f"gamma_{name}"),
            } | ({"odd": select.odd} if name in plan.odd_parts else {})
        if plan.rolling:
            parts |= {"late": select.late, "joined": now.first & (now.cycle != 0)}
        drive(
            m,
            issue,
            **parts,
            c=Mux(cleared & in_phase(plan, now, 0), zero, memories.c[e]),
            h_offset=memories.h_offset[e],
            **({"stored": memories.stored[e]} if plan.layer.stored else {}),
            bias=bias.bias,
            bias_scales=(bias if plan.folded_bias else scale).bias_scales,
            gate=gate_of(plan, now),
            **{name: getattr(now, name) for name in ("first", "last", "dense")},
        )

    def _store(
        self,
        m: Module,
        cells: list[LstmCell],
        memories: LayerMemories,
        sequencer: Sequencer,
        select: OperandSelect,
        last: Signal,
    ) -> Signal:
        """Collect the new state cell by cell; return whether a step begins with the code of 0."""
        plan, levels = self.plan, self.plan.layer.h.levels
        zero = self._zero()
        planes = data.ArrayLayout(unsigned(plan.state_lanes), levels)
        self._h = h = view_signal(planes, "h", view_const(planes, zero))
        first_step, index = Signal(init=1), Signal(range(plan.rounds))
        valid = cells[0].o.valid
        m.d.comb += [cell.o.ready.eq(1) for cell in cells]
        place = self._pixels.base + index if self._pixels else index
        made, kept, codes, ends = self._made(cells, index)
        m.d.comb += [memories.write.en.eq(made), memories.write.addr.eq(place)]
        m.d.comb += memories.write.data.eq(kept)
        stored = Signal()
        last_round = by_phase(plan, sequencer.at, [count - 1 for count in plan.phase_rounds])
        m.d.comb += [stored.eq(valid & (index == last_round)), sequencer.stored.eq(stored)]
        with m.If(made):
            m.d.sync += index.eq(Mux(stored if ends is None else stored | ends, 0, index + 1))
        done = stored & in_phase(plan, sequencer.at, -1)
        self._offer(m, sequencer, done, last, first_step)
        if plan.state_lanes:
            m.d.comb += select.h.eq(h)
        clear = done & self._clears
        if self._pixels:
            begin = sequencer.valid & sequencer.at.end & sequencer.at.dense if plan.dense else done
            m.d.comb += [self._pixels.done.eq(done), self._pixels.last.eq(last)]
            m.d.comb += self._pixels.begin.eq(begin)
            if self._carries:
                m.d.comb += self._pixels.clears.eq(self._clears)
        if plan.dense:
            clear = self._classify(m, cells, sequencer, done, last, first_step)
        for k in range(levels):
            self._collect(m, k, codes[k], made, stored, done, ends)
            if plan.load_cycles:
                assert self._pixels
                with m.If(self._pixels.shift):
                    m.d.sync += h[k].eq(Cat(h[k], self._pixels.word[k])[plan.layer.outputs :])
            else:
                with m.If(clear):
                    m.d.sync += h[k].eq(zero[k])
        if self._pixels:
            return self._pixels.first
        if not self._carries:
            return first_step
        cleared = Signal(init=1)
        with m.If(done):
            m.d.sync += cleared.eq(self._clears)
        if ends is not None:
            self._show(m, memories, index, cleared, ends)
        return cleared

    def _made(
        self, cells: list[LstmCell], index: Signal
    ) -> tuple[Value, Value, list[list[Value]], Value | None]:
        """Return what is stored of a round, and whether the state's last word moves, if any does.

        In a cycle in which the first is 1: what is kept, and by level the codes of h.
        """
        made: Value = cells[0].o.valid
        kept: Value = Cat(cell.o.payload.c for cell in cells)
        levels = range(self.plan.layer.h.levels)
        codes: list[list[Value]] = [[cell.o.payload.h[k] for cell in cells] for k in levels]
        if not self._state_port:
            return made, kept, codes, None
        codes = [[Mux(self.turns, self.word.h[k], Cat(codes[k]))] for k in levels]
        kept = Mux(self.turns, self.word.c.as_value(), kept)
        return made | self.moved, kept, codes, self.moved & (index == self.plan.rounds - 1)

    def _show(
        self, m: Module, memories: LayerMemories, index: Signal, cleared: Signal, ends: Value
    ) -> None:
        """Show the word of the state that goes out next; a cleared one as the codes of 0."""
        zero, engines = zero_word(self.plan.layer), self.plan.engines
        with m.If(self.turns):
            m.d.comb += cell_of(self.plan, memories.address).eq(index)
        for e in range(engines):
            m.d.comb += self.shown.c[e].eq(Mux(cleared, zero, memories.c[e]))
        for k in range(self.plan.layer.h.levels):
            m.d.comb += self.shown.h[k].eq(self._h[k][:engines])
        with m.If(ends):
            m.d.sync += cleared.eq(0)

    def _collect(
        self,
        m: Module,
        k: int,
        bits: list[Value],
        valid: Value,
        stored: Signal,
        done: Value,
        ends: Value | None,
    ) -> None:
        """Put level k of the new codes together, `bits` of each engine at a time."""
        plan, h = self.plan, self._h
        # Cells come in order, so that shifting in from the top puts cell 0 into bit 0.
        kept = Signal(plan.rounds * plan.engines, name=f"new_h_{k}")
        new = Cat(kept, bits)[plan.engines :]
        with m.If(valid):
            m.d.sync += kept.eq(new)
        if self._pixels:
            # Lanes beyond meet weights of the classifier that count on zeros.
            new = new[: plan.layer.outputs]
            m.d.comb += self._pixels.h[k].eq(new)
        if ends is not None:
            with m.If(self.moved):
                m.d.sync += h[k].eq(Mux(ends, new, h[k] >> plan.engines))
        with m.If(stored):
            # After an earlier phase what its rows made, which the next one reads for h.
            m.d.sync += h[k].eq(new)
        if plan.layer.cell.projects:
            # Fewer have come, and lanes beyond them meet weights that count on zeros.
            first = (plan.rounds - plan.phase_rounds[-1]) * plan.engines
            new = new[first : first + plan.layer.outputs]
        with m.If(done):
            m.d.sync += self.o.payload.h[k].eq(new)
            if plan.layer.cell.projects:
                m.d.sync += h[k].eq(new)

    def _zero(self) -> list[int]:
        """Return the planes of what stands in the place of h before a window."""
        plan = self.plan
        size = min(plan.layer.outputs, plan.state_lanes)
        copies = range(plan.load_cycles or 1)
        return [sum(plane << size * k for k in copies) for plane in zero_planes(plan.layer.h, size)]

    def _offer(
        self, m: Module, sequencer: Sequencer, done: Value, last: Signal, first_step: Signal
    ) -> None:
        """Offer the output of a step, and hold the next one's last row while it is not taken."""
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(done):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.last.eq(last)]
            m.d.sync += first_step.eq(self._clears if self.plan.reading.leak else last)
        hold: Value = self.o.valid
        if len(self.plan.rows) == 1:
            # It begins while the output before is being taken. The last one of several begins
            # later, and is spared the path from the reader's ready to the memories' addresses.
            hold = self.o.valid & ~self.o.ready
        m.d.comb += sequencer.hold.eq(hold)

    def _classify(
        self,
        m: Module,
        cells: list[LstmCell],
        sequencer: Sequencer,
        done: Value,
        last: Signal,
        first_step: Signal,
    ) -> Signal:
        """Add the classifier; return whether its rows have read a state that is then cleared."""
        plan = self.plan
        leaks = self._state_port and "sums" in self.kept
        m.submodules.classifier = classifier = Classifier(plan, self.stamp, state_port=leaks)
        if leaks:
            pass_on(m, self.sums, classifier)
            m.d.comb += classifier.begins.eq(first_step)
            with m.If(classifier.given):
                m.d.sync += first_step.eq(0)
        if self.stamp is not None:
            counted = StepCount(self.stamp, state_port=self._state_port)
            m.submodules.step_count = counted
            if self._state_port:
                pass_on(m, self.steps, counted)
            m.d.comb += [counted.step.eq(done), counted.clears.eq(self._clears)]
            m.d.comb += classifier.stamp.eq(counted.o)
        wiring.connect(m, classifier.o, wiring.flipped(self.result))
        begun, ending, ended = Signal(), Signal(), Signal()
        clearing = ending
        sums = plan.reading.sums or plan.reading.leak
        with m.If(done):
            # The next step may have been read before the sums of this one's classes are there.
            m.d.sync += begun.eq(first_step if sums else 1)
            m.d.sync += ending.eq(last)
            if self._carries:
                clearing = Signal(name="clearing")
                m.d.sync += clearing.eq(self._clears)
        read = Signal()
        m.d.sync += read.eq(sequencer.valid & sequencer.at.end & sequencer.at.dense)
        m.d.comb += ended.eq(read & clearing)
        m.d.comb += [
            sequencer.classify.eq(1 if plan.reading.every_step else last),
            sequencer.hold_classes.eq(classifier.o.valid),
            classifier.valid.eq(cells[0].score.valid),
            classifier.first.eq(begun),
            classifier.last.eq(ending),
        ]
        for e, cell in enumerate(cells):
            m.d.comb += [cell.score.ready.eq(1), classifier.z[e].eq(cell.score.payload)]
        return ended

    def _record(self, m: Module, cells: list[LstmCell], sequencer: Sequencer) -> None:
        """Add the trace."""
        m.submodules.trace = trace = LayerTrace(self.plan)
        with m.If(sequencer.stored & in_phase(self.plan, sequencer.at, -1)):
            m.d.sync += self.stepped.eq(~self.stepped)
        m.d.comb += [trace.summed.eq(cells[0].summed), trace.made.eq(cells[0].o.valid)]
        m.d.comb += trace.sums.as_value().eq(Cat(cell.sums for cell in cells))
        m.d.comb += trace.probes.as_value().eq(Cat(cell.probe for cell in cells))


def zero_word(layer: QuantizedLayer) -> int:
    """Return the codes of 0 that a cell keeps, as one word; those between phases are any."""
    word, shift = 0, 0
    states = {node.name for node in layer.cell.states}
    for name, levels in CellLayouts(layer).kept.items():
        code = int(layer.quantizers[name].zero_code(1)[0]) if name in states else 0
        word, shift = word | code << shift, shift + levels
    return word
