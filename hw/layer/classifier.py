"""The head: scores summed over the steps, and what they decide."""

from typing import Any

from amaranth.hdl import Module, Mux, ShapeLike, Signal, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.model.head import Head, Reading, head_of
from mubinn.golden.model.stamp import Stamp
from mubinn.hw.layer.step_count import stamp_layout
from mubinn.hw.stream.component import Component, View, view_signal
from mubinn.hw.stream.state_port import part_port

END = "end"
"""The field that says, where each step has a result, which one is a window's last."""


def scores_layout(
    head: Head, count: int, width: int, each: bool, stamp: Stamp | None = None
) -> data.StructLayout:
    """Return a result: the class, where one is decided on, and `count` scores of `width` bits.

    Where each step has a result, ``end`` marks the one of a window's last step. Last the fields of
    a stamp.
    """
    fields: dict[str, ShapeLike] = {}
    if head.decision:
        fields["label"] = range(head.classes(count))
    fields[head.field] = data.ArrayLayout(signed(width), count)
    if each:
        fields[END] = unsigned(1)
    if stamp is not None:
        fields |= dict(stamp_layout(stamp).members)
    return data.StructLayout(fields)


def result_layout(plan: LayerPlan, stamp: Stamp | None = None) -> data.StructLayout:
    """Return `scores_layout` of a layer with a dense layer."""
    assert plan.dense
    head = head_of(plan.dense.head)
    return scores_layout(head, plan.dense.w.rows, plan.logit_width, plan.reading.each, stamp)


def sums_layout(plan: LayerPlan) -> data.ArrayLayout:
    """Return a word of S: that of the next output of each engine, of `plan.dense_rounds`."""
    return data.ArrayLayout(signed(plan.logit_width), plan.engines)


def remains(score: Value, reading: Reading) -> Value:
    """Return what a step leaves of a score so far: all, or of a leaky mean ``S - (S >> k)``."""
    return score - (score >> reading.leak) if reading.leak else score


class Classifier(Component):
    """Adds each step's sums to the scores and decides after the last step, or after each one.

    Scores hold the sums over `plan.step_limit` steps; those of longer windows wrap. Those of a
    leaky mean lose ``S >> k`` before, and cannot overflow.

    The sums of `plan.engines` outputs come at once, output 0 first. Two cycles after the last ones
    of a window, or of a step, the result is offered; it stays until taken, and no sums may come
    meanwhile.

    Parameters
    ----------
    plan : LayerPlan
        With a dense layer.
    stamp : Stamp, optional
        What results say of their steps.
    state_port : bool
        Add `turns`, `moved`, `shown`, `word`, `begins` and `given`: S of a leaky mean goes out or
        in between windows, as `plan.dense_rounds` words of `sums_layout`.

    Members
    -------
    stamp : In(stamp_layout(stamp)), with a stamp
        Of the step whose sums come.
    valid : In(1)
    z : In(ArrayLayout(signed(plan.z_width), plan.engines))
        Sums of the next outputs, in the cycles in which `valid` is 1.
    first, last : In(1)
        Whether they belong to the first step that counts, or to the last one, of a window. Of a
        leaky mean the first is that after a cleared state.
    o : Out(stream.Signature(result_layout(plan, stamp)))
    turns, moved : In(1), shown : Out(word), word : In(word), with `state_port`
        Of `mubinn.hw.accelerator.state_ring.StateRing`.
    begins : In(1), given : Out(1), with `state_port`
        S is that of a cleared state, 0; in this cycle the last word of one comes, which is not.
    """

    valid: Signal
    z: View
    first: Signal
    last: Signal
    stamp: View
    o: stream.Interface
    turns: Signal
    moved: Signal
    shown: View
    word: View
    begins: Signal
    given: Signal

    def __init__(
        self, plan: LayerPlan, stamp: Stamp | None = None, *, state_port: bool = False
    ) -> None:
        self.plan = plan
        self._state_port = state_port
        state = part_port(sums_layout(plan)) | {"begins": In(1), "given": Out(1)}
        self._stamp = stamp
        super().__init__(
            {
                **({} if stamp is None else {"stamp": In(stamp_layout(stamp))}),
                "valid": In(1),
                "z": In(data.ArrayLayout(signed(plan.z_width), plan.engines)),
                "first": In(1),
                "last": In(1),
                "o": Out(stream.Signature(result_layout(plan, stamp))),
                **(state if state_port else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return the ring of scores and what decides."""
        m = Module()
        plan, head, scores = self.plan, self._head, self._scores
        count = plan.dense_rounds * plan.engines
        ring = view_signal(data.ArrayLayout(signed(plan.logit_width), count), "ring")
        for e in range(plan.engines):
            # After as many rounds as there are, class 0 is back in place 0.
            total = self.z[e] + Mux(self.first, 0, remains(ring[e], plan.reading))
            with m.If(self.valid):
                m.d.sync += ring[count - plan.engines + e].eq(total)
        with m.If(self.valid):
            for place in range(count - plan.engines):
                m.d.sync += ring[place].eq(ring[place + plan.engines])
        for label in range(len(scores)):
            m.d.comb += scores[label].eq(ring[label])
        fresh, done = Signal(), Signal()
        now = Signal(range(plan.dense_rounds))
        m.d.sync += [fresh.eq(self.valid), done.eq(self.valid & self.last)]
        turned = now.eq(Mux(now == plan.dense_rounds - 1, 0, now + 1))
        if head.name == "classes":
            came = [ring[count - plan.engines + e] for e in range(plan.engines)]
            self._search(m, came, fresh, now, turned)
        elif plan.dense_rounds > 1:
            with m.If(fresh):
                m.d.sync += turned
        if head.name == "sigmoid":
            m.d.comb += self.o.payload.label.eq(ring[0] >= 0)
        self._offer(m, fresh if plan.reading.each else done, done, now)
        if self._state_port:
            self._exchange(m, ring, now, turned)
        return m

    @property
    def _head(self) -> Head:
        assert self.plan.dense
        return head_of(self.plan.dense.head)

    @property
    def _scores(self) -> Any:
        return getattr(self.o.payload, self._head.field)

    def _offer(self, m: Module, given: Signal, done: Signal, now: Signal) -> None:
        """Offer the result after the last round in which it is given."""
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(given & (now == self.plan.dense_rounds - 1)):
            m.d.sync += self.o.valid.eq(1)
            if self.plan.reading.each:
                m.d.sync += self.o.payload.end.eq(done)
            for name in self._stamp.fields if self._stamp else ():
                m.d.sync += self.o.payload[name].eq(self.stamp[name])

    def _exchange(self, m: Module, ring: View, now: Signal, turned: Any) -> None:
        """Let S go out or in, round by round."""
        plan = self.plan
        count = plan.dense_rounds * plan.engines
        for e in range(plan.engines):
            m.d.comb += self.shown[e].eq(Mux(self.begins, 0, ring[e]))
        m.d.comb += self.given.eq(self.moved & (now == plan.dense_rounds - 1))
        with m.If(self.moved):
            own = [ring[k] for k in range(plan.engines, count)]
            own += [self.word[e] for e in range(plan.engines)]
            m.d.sync += [place.eq(value) for place, value in zip(ring, own, strict=True)]
            if plan.dense_rounds > 1:
                m.d.sync += turned

    def _search(
        self, m: Module, totals: list[Value], fresh: Signal, now: Signal, turned: Any
    ) -> None:
        """Compare the classes that came in with the best of the rounds before."""
        plan, result, count = self.plan, self.o.payload, len(self._scores)
        rounds, engines = plan.dense_rounds, plan.engines
        labels = Signal.like(result.label)
        m.d.comb += labels.eq(now * engines)
        best, label = totals[0], labels
        for e in range(1, engines):
            # A dummy takes part in no round, or in all but the last.
            if e >= count:
                break
            exists = now != rounds - 1 if rounds * engines - engines + e >= count else 1
            wins = Signal(name=f"wins_{e}")
            m.d.comb += wins.eq((totals[e] > best) & exists)
            best, label = Mux(wins, totals[e], best), Mux(wins, labels + e, label)
        if rounds > 1:
            held = Signal.like(totals[0])
            better = Signal()
            m.d.comb += better.eq((now == 0) | (best > held))
            with m.If(fresh):
                m.d.sync += turned
                with m.If(better):
                    m.d.sync += [held.eq(best), result.label.eq(label)]
        else:
            with m.If(fresh):
                m.d.sync += result.label.eq(label)
