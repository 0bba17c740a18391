"""The head on several layers: their scores summed, and what the sums decide."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, ShapeLike, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.fixed import signed_width
from mubinn.golden.model.head import HeadKind, Readout, head_of, reading_of
from mubinn.golden.model.stamp import Stamp
from mubinn.hw.layer.classifier import END, remains, result_layout, scores_layout
from mubinn.hw.layer.step_count import StepCount, count_layout
from mubinn.hw.stream.component import Component, view_signal
from mubinn.hw.stream.state_port import inner_port, pass_on


class ScoreSum(Component):
    """Adds the scores of layers beside each other, score by score, and decides.

    Where layers have results of every step, the sums over the steps and leaky means are formed
    here, as a backward layer's scores are only then in the order of time. A result is offered as
    many cycles after those of all layers as there are scores, and stays until it is taken.

    Parameters
    ----------
    plans : sequence of LayerPlan
        Of the layers, each with its part of the dense layer, whose scores are numbers.
    head : "classes", "sigmoid" or "regression"
    readout : str
        Of the model.
    max_steps : int
        Steps of the longest window.
    carries : bool
        Add `carried`, where there is a leaky mean or steps are counted here.
    stamp : Stamp, optional
        What results say of their steps: where layers have results of every step they are counted
        here, and elsewhere by the first of the layers.
    state_port : bool
        What is kept here goes out and in between windows, see `kept`.

    Members
    -------
    carried : In(1), with `carries`
        The window whose last results are taken at the inputs leaves its state to the next.
    i_0, i_1, ... : In(stream of result_layout(plan)), the first one with the stamp it counts
    o : Out(stream of scores_layout)
    sums, steps : Out(signature of `mubinn.hw.stream.state_port.part_port`), with `state_port`
        S of a leaky mean, a word a score; and what counts steps.
    """

    o: stream.Interface
    carried: Signal
    sums: Any
    steps: Any

    def __init__(
        self,
        plans: Sequence[LayerPlan],
        head: HeadKind,
        readout: Readout,
        max_steps: int,
        *,
        carries: bool = False,
        stamp: Stamp | None = None,
        state_port: bool = False,
    ) -> None:
        self.plans, self.head, self.reading = plans, head_of(head), reading_of(readout)
        self.stamp, self._counts = stamp, stamp is not None and plans[0].reading.each
        self.carries = carries and (bool(self.reading.leak) or self._counts)
        largest = sum(plan.dense_bound for plan in plans)
        self.width = signed_width(self.reading.bound(largest, max_steps))
        assert plans[0].dense
        self.count = plans[0].dense.w.rows
        layout = scores_layout(self.head, self.count, self.width, self.reading.each, stamp)
        below = [None if self._counts or k else stamp for k in range(len(plans))]
        own = zip(plans, below, strict=True)
        inputs = {f"i_{k}": In(stream.Signature(result_layout(*o))) for k, o in enumerate(own)}
        kept = {"carried": In(1)} if self.carries else {}
        words = self.kept if state_port else {}
        self._state_port = state_port
        state = {name: inner_port(word) for name, (word, _) in words.items()}
        super().__init__({**inputs, **kept, "o": Out(stream.Signature(layout)), **state})

    @property
    def kept(self) -> dict[str, tuple[ShapeLike, int]]:
        """Words of what is kept from window to window, by the name of their port, and how many."""
        found: dict[str, tuple[ShapeLike, int]] = {}
        if self.reading.leak:
            found["sums"] = signed(self.width), self.count
        if self.stamp is not None and self._counts:
            found["steps"] = count_layout(self.stamp), 1
        return found

    @property
    def _parts(self) -> list[stream.Interface]:
        return [getattr(self, f"i_{k}") for k in range(len(self.plans))]

    @property
    def taken(self) -> Value:
        """Whether the last results of a window are taken in this cycle."""
        first = self._parts[0]
        ends = getattr(first.payload, END) if self.plans[0].reading.each else Const(1)
        taken: Value = first.valid & first.ready & ends
        return taken

    def elaborate(self, platform: object) -> Module:
        """Return the adder, the ring of sums, and the comparison."""
        m = Module()
        parts = self._parts
        now, there, final = Signal(range(self.count)), Signal(), Signal()
        ends, first = Signal(init=1), Signal(init=1)
        # The scores so far go round, so that score 0 is back in place 0 after the last one.
        ring = view_signal(data.ArrayLayout(signed(self.width), self.count), "ring")
        inner = self.plans[0].reading.each
        summed_here = inner and self.reading.what != "last"
        total = Signal(signed(self.width))
        summed = sum((part.payload.values[now] for part in parts[1:]), parts[0].payload.values[now])
        m.d.comb += [
            there.eq(~self.o.valid & Cat(part.valid for part in parts).all()),
            total.eq(
                summed + (Mux(first, 0, remains(ring[0], self.reading)) if summed_here else 0)
            ),
            final.eq(now == self.count - 1),
        ]
        m.d.comb += [part.ready.eq(there & final) for part in parts]
        if inner:
            m.d.comb += ends.eq(getattr(parts[0].payload, END))
        scores = getattr(self.o.payload, self.head.field)
        for k in range(self.count):
            m.d.comb += scores[k].eq(ring[k])
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(there):
            given = final & ends if inner and not self.reading.each else final
            m.d.sync += [now.eq(Mux(final, 0, now + 1)), self.o.valid.eq(given)]
            m.d.sync += [ring[k].eq(ring[k + 1]) for k in range(self.count - 1)]
            m.d.sync += ring[self.count - 1].eq(total)
            if self.reading.each:
                m.d.sync += getattr(self.o.payload, END).eq(ends)
            with m.If(final):
                m.d.sync += first.eq(ends & ~self.carried if self.carries else ends)
            self._decide(m, total, now)
        if self._state_port and self.reading.leak:
            m.d.comb += self.sums.shown.eq(Mux(first, 0, ring[0]))
            with m.If(self.sums.moved):
                m.d.sync += [ring[k].eq(ring[k + 1]) for k in range(self.count - 1)]
                m.d.sync += ring[self.count - 1].eq(self.sums.word)
                m.d.sync += now.eq(Mux(final, 0, now + 1))
                with m.If(final):
                    m.d.sync += first.eq(0)
        self._say(m, there & final, ends)
        return m

    def _say(self, m: Module, made: Value, ends: Signal) -> None:
        """Have the result say of which step it is."""
        if self.stamp is None:
            return
        if not self._counts:
            with m.If(made):
                for name in self.stamp.fields:
                    m.d.sync += self.o.payload[name].eq(self._parts[0].payload[name])
            return
        m.submodules.step_count = counted = StepCount(self.stamp, state_port=self._state_port)
        if self._state_port:
            pass_on(m, self.steps, counted)
        m.d.comb += counted.step.eq(made)
        m.d.comb += counted.clears.eq(ends & ~self.carried if self.carries else ends)
        m.d.comb += [self.o.payload[name].eq(counted.o[name]) for name in self.stamp.fields]

    def _decide(self, m: Module, total: Signal, now: Signal) -> None:
        """Compare a score with the best of those before it."""
        if not self.head.decision:
            return
        label = self.o.payload.label
        if self.head.name == "sigmoid":
            m.d.sync += label.eq(total >= 0)
            return
        best = Signal(signed(self.width))
        with m.If((now == 0) | (total > best)):
            m.d.sync += [best.eq(total), label.eq(now)]
