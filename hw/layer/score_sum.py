"""The head on several layers: their scores summed, and what the sums decide."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.fixed import signed_width
from mubinn.golden.model.head import HeadKind, Readout, head_of, reading_of
from mubinn.hw.layer.classifier import END, result_layout, scores_layout
from mubinn.hw.stream.component import Component, view_signal


class ScoreSum(Component):
    """Adds the scores of layers beside each other, score by score, and decides.

    With the readout running the sums over the steps are formed here, as a backward layer's scores
    are only then in the order of time. A result is offered as many cycles after those of all layers
    as there are scores, and stays until it is taken.

    Parameters
    ----------
    plans : sequence of LayerPlan
        Of the layers, each with its part of the dense layer, whose scores are numbers.
    head : "classes", "sigmoid" or "regression"
    readout : "last", "mean", "every" or "running"
        Of the model.
    max_steps : int
        Steps of the longest window.

    Members
    -------
    i_0, i_1, ... : In(stream of result_layout(plan))
    o : Out(stream of scores_layout)
    """

    o: stream.Interface

    def __init__(
        self, plans: Sequence[LayerPlan], head: HeadKind, readout: Readout, max_steps: int
    ) -> None:
        self.plans, self.head, self.reading = plans, head_of(head), reading_of(readout)
        limit = max_steps if self.reading.sums else 1
        self.width = signed_width(sum(plan.dense_bound for plan in plans) * limit)
        assert plans[0].dense
        self.count = plans[0].dense.w.rows
        layout = scores_layout(self.head, self.count, self.width, self.reading.each)
        inputs = {f"i_{k}": In(stream.Signature(result_layout(p))) for k, p in enumerate(plans)}
        super().__init__({**inputs, "o": Out(stream.Signature(layout))})

    def elaborate(self, platform: object) -> Module:
        """Return the adder, the ring of sums, and the comparison."""
        m = Module()
        parts = [getattr(self, f"i_{k}") for k in range(len(self.plans))]
        now, there, final = Signal(range(self.count)), Signal(), Signal()
        ends, first = Signal(init=1), Signal(init=1)
        # The scores so far go round, so that score 0 is back in place 0 after the last one.
        ring = view_signal(data.ArrayLayout(signed(self.width), self.count), "ring")
        running = self.reading.each and self.reading.sums
        total = Signal(signed(self.width))
        summed = sum((part.payload.values[now] for part in parts[1:]), parts[0].payload.values[now])
        m.d.comb += [
            there.eq(~self.o.valid & Cat(part.valid for part in parts).all()),
            total.eq(summed + (Mux(first, 0, ring[0]) if running else 0)),
            final.eq(now == self.count - 1),
        ]
        m.d.comb += [part.ready.eq(there & final) for part in parts]
        if self.reading.each:
            m.d.comb += ends.eq(getattr(parts[0].payload, END))
        scores = getattr(self.o.payload, self.head.field)
        for k in range(self.count):
            m.d.comb += scores[k].eq(ring[k])
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(there):
            m.d.sync += [now.eq(Mux(final, 0, now + 1)), self.o.valid.eq(final)]
            m.d.sync += [ring[k].eq(ring[k + 1]) for k in range(self.count - 1)]
            m.d.sync += ring[self.count - 1].eq(total)
            if self.reading.each:
                m.d.sync += getattr(self.o.payload, END).eq(ends)
            with m.If(final):
                m.d.sync += first.eq(ends)
            self._decide(m, total, now)
        return m

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
