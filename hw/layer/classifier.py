"""The classifier's second half: logits summed over the steps, and the first of the largest."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.stream.component import Component, View, view_signal


def result_layout(plan: LayerPlan) -> data.StructLayout:
    """Return the class of a window and its logits."""
    assert plan.dense
    classes = plan.dense.w.rows
    logits = data.ArrayLayout(signed(plan.logit_width), classes)
    return data.StructLayout({"label": range(classes), "logits": logits})


class Classifier(Component):
    """Adds each step's class sums to the logits and decides after the last step.

    Logits hold the sums over `plan.step_limit` steps; those of longer windows wrap.

    The sums of `plan.engines` classes come at once, class 0 first. Two cycles after the last ones
    of a window the result is offered; it stays until taken, and no sums may come meanwhile.

    Parameters
    ----------
    plan : LayerPlan
        With a classifier.

    Members
    -------
    valid : In(1)
    z : In(ArrayLayout(signed(plan.z_width), plan.engines))
        Sums of the next classes, in the cycles in which `valid` is 1.
    first, last : In(1)
        Whether they belong to the first step that counts, or to the last one, of a window.
    o : Out(stream.Signature(result_layout(plan)))
    """

    valid: Signal
    z: View
    first: Signal
    last: Signal
    o: stream.Interface

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        super().__init__(
            {
                "valid": In(1),
                "z": In(data.ArrayLayout(signed(plan.z_width), plan.engines)),
                "first": In(1),
                "last": In(1),
                "o": Out(stream.Signature(result_layout(plan))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return the ring of logits and the search for the largest."""
        m = Module()
        plan, result = self.plan, self.o.payload
        count = plan.dense_rounds * plan.engines
        ring = view_signal(data.ArrayLayout(signed(plan.logit_width), count), "ring")
        for e in range(plan.engines):
            # After as many rounds as there are, class 0 is back in place 0.
            total = self.z[e] + Mux(self.first, 0, ring[e])
            with m.If(self.valid):
                m.d.sync += ring[count - plan.engines + e].eq(total)
        with m.If(self.valid):
            for place in range(count - plan.engines):
                m.d.sync += ring[place].eq(ring[place + plan.engines])
        for label in range(len(result.logits)):
            m.d.comb += result.logits[label].eq(ring[label])
        self._search(m, [ring[count - plan.engines + e] for e in range(plan.engines)])
        return m

    def _search(self, m: Module, totals: list[Value]) -> None:
        """Compare the classes that came in with the best of the rounds before."""
        plan, result = self.plan, self.o.payload
        rounds, engines = plan.dense_rounds, plan.engines
        fresh, done = Signal(), Signal()
        now = Signal(range(rounds))
        m.d.sync += [fresh.eq(self.valid), done.eq(self.valid & self.last)]
        labels = Signal.like(result.label)
        m.d.comb += labels.eq(now * engines)
        best, label = totals[0], labels
        for e in range(1, engines):
            # A dummy takes part in no round, or in all but the last.
            if e >= len(result.logits):
                break
            exists = (
                now != rounds - 1 if rounds * engines - engines + e >= len(result.logits) else 1
            )
            wins = Signal(name=f"wins_{e}")
            m.d.comb += wins.eq((totals[e] > best) & exists)
            best, label = Mux(wins, totals[e], best), Mux(wins, labels + e, label)
        if rounds > 1:
            held = Signal.like(totals[0])
            better = Signal()
            m.d.comb += better.eq((now == 0) | (best > held))
            with m.If(fresh):
                m.d.sync += now.eq(Mux(now == rounds - 1, 0, now + 1))
                with m.If(better):
                    m.d.sync += [held.eq(best), result.label.eq(label)]
        else:
            with m.If(fresh):
                m.d.sync += result.label.eq(label)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(done & (now == rounds - 1)):
            m.d.sync += self.o.valid.eq(1)
