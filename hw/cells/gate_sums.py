"""Eq. (1)-(4) before the activation: XNOR multipliers, mult and Add of Figure 3."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.units.scaling_mult import ScalingMultParams
from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams
from mubinn.hw.cells.issue_layout import TAGS, beat_layout, product_trace, sum_layout, sum_trace
from mubinn.hw.cells.merged_sums import merged_latency, merged_sums
from mubinn.hw.stream.fields import drive
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.bias_add import BiasAdd
from mubinn.hw.units.scaling_mult import ScalingMult
from mubinn.hw.units.xnor_multiplier import XnorMultiplier


class GateSums(wiring.Component):  # type: ignore[type-arg]
    """The sums z of rows, from the beats of :class:`mubinn.golden.folding.layer_plan.LayerPlan`.

    One beat a cycle; z of a row leaves `latency` cycles after its last beat was taken. Rows whose
    level pairs merge (`LayerPlan.merged`) go through
    :func:`mubinn.hw.cells.merged_sums.merged_sums`.

    Parameters
    ----------
    plan : LayerPlan
    trace : bool
        Add a port that shows every intermediate of the row at the output.

    Members
    -------
    i : In(stream.Signature(beat_layout(plan)))
    o : Out(stream.Signature(sum_layout(plan)))
    probe : Out(sum_trace(plan)), with `trace`
        Belongs to ``o.payload``.
    """

    i: Any
    o: Any
    probe: Any

    def __init__(self, plan: LayerPlan, *, trace: bool = False) -> None:
        self.plan = plan
        self._trace = trace
        members: dict[str, Any] = {
            "i": In(stream.Signature(beat_layout(plan))),
            "o": Out(stream.Signature(sum_layout(plan))),
        }
        if trace:
            members["probe"] = Out(sum_trace(plan))
        super().__init__(members)

    @staticmethod
    def latency(plan: LayerPlan) -> int:
        """Return 3, or what merged rows take."""
        return 3 if plan.merged is None else merged_latency(plan)

    def elaborate(self, platform: Any) -> Module:
        """Return the pipeline."""
        m = Module()
        pipe = Pipe(m, self.i)
        if self.plan.merged is None:
            s = self._sum(m, pipe, self._products(m, pipe))
        else:
            s = merged_sums(m, pipe, self.plan, self.i.payload)
        assert pipe.stages == self.latency(self.plan)
        pipe.end(self.o)
        drive(m, self.o.payload, **{name: getattr(s, name) for name in ("z", *TAGS)})
        if self._trace:
            drive(m, self.probe, **{name: getattr(s, name) for name in dict(self.probe.shape())})
        return m

    def _products(self, m: Module, pipe: Pipe) -> Any:
        """XNOR multiplier and mult of every level pair, all side by side. Two stages."""
        plan, beat = self.plan, self.i.payload
        shared = ("late", "joined") if plan.rolling else ()
        side = ("first", "last", "bias", "bias_scales", *shared, *TAGS)
        units = [(name, unit) for name in plan.parts for unit in range(plan.side)]
        dots = {f"dot_{n}{u}": self._dot(m, n, u) for n, u in units}
        gammas = {f"gamma_{n}{u}": getattr(beat, n).gamma[u] for n, u in units}
        s = pipe.cut("after_xnor", **dots, **gammas, **{n: getattr(beat, n) for n in side})
        mult = ScalingMultParams(plan.dot_width, plan.gamma_width)
        products = {}
        for n, u in units:
            dot, gamma = getattr(s, f"dot_{n}{u}"), getattr(s, f"gamma_{n}{u}")
            unit = ScalingMult(mult)
            name = self._name("mult", n, u)
            products[f"prod_{n}{u}"] = apply(m, name, unit, dot=dot, scale=gamma).product
        kept = {name: getattr(s, name) for name in dots} if self._trace else {}
        return pipe.cut("after_mult", **products, **{n: getattr(s, n) for n in side}, **kept)

    def _name(self, kind: str, part: str, unit: int) -> str:
        """Return the name of a submodule; a multiplier that stands alone has no number."""
        return f"{kind}_{part}" if self.plan.side == 1 else f"{kind}_{part}_{unit}"

    def _dot(self, m: Module, part: str, unit: int) -> Any:
        """Add one XNOR multiplier and return its dot product."""
        words = getattr(self.i.payload, part)
        xnor = XnorMultiplier(
            XnorMultiplierParams(self.plan.parts[part]), network=self.plan.network
        )
        name = self._name("xnor", part, unit)
        dot = apply(m, name, xnor, a=words.a[unit], w=words.w[unit]).dot
        # The lowest bit is the parity of the count of elements.
        return dot if self.plan.whole else Cat(words.odd, dot[1:]).as_signed()

    def _sum(self, m: Module, pipe: Pipe, s: Any) -> Any:
        """Add the bias and the products of all beats. One stage."""
        plan = self.plan
        acc = Signal(signed(plan.z_width))
        sums = [self._total(m, pipe, s, name) for name in plan.parts]
        total = apply(
            m,
            "add",
            BiasAdd(plan.bias_add),
            acc=acc,
            first=s.first,
            product_x=sums[0],
            product_h=sums[1] if len(sums) > 1 else Const(0, 1),
            bias=s.bias,
            scales=s.bias_scales,
        ).sum
        traced = self._beats(m, pipe, s) if self._trace else {}
        with m.If(pipe.transfer):
            m.d.sync += acc.eq(total)
        pipe.keep(s.last)
        return pipe.cut("after_add", z=total, **{n: getattr(s, n) for n in TAGS}, **traced)

    def _total(self, m: Module, pipe: Pipe, s: Any, part: str) -> Any:
        """Return the sum of the products of one part, of the row that the cycle begins in.

        What belongs to the row that begins in a cycle is held back for its first beat.
        """
        products = [getattr(s, f"prod_{part}{unit}") for unit in range(self.plan.side)]
        total = Signal(signed(self.plan.bias_add.product_width), name=f"total_{part}")
        if not self.plan.rolling:
            m.d.comb += total.eq(sum(products[1:], start=products[0]))
            return total
        held = Signal.like(total, name=f"held_{part}")
        # The first multiplier never has a pair of a row that begins.
        pairs = list(zip(s.late[1:], products[1:], strict=True))
        own = [products[0], *(Mux(late, 0, value) for late, value in pairs)]
        m.d.comb += total.eq(sum(own, start=Mux(s.joined, held, 0)))
        with m.If(pipe.transfer):
            m.d.sync += held.eq(sum(Mux(late, value, 0) for late, value in pairs))
        return total

    def _beats(self, m: Module, pipe: Pipe, s: Any) -> dict[str, Any]:
        """Collect what the beats of a row computed, the last one in the highest place."""
        plan = self.plan
        record: Any = Signal(product_trace(plan))
        made = {
            f"{kind}_{name}": [getattr(s, f"{kind}_{name}{u}") for u in range(plan.side)]
            for name in plan.parts
            for kind in ("dot", "prod")
        }
        drive(m, record, **made)
        layout = sum_trace(plan)["beats"].shape
        seen: Any = Signal(layout)
        now: Any = Signal(layout)
        width = len(record.as_value())
        m.d.comb += now.as_value().eq(Cat(seen.as_value(), record)[width:])
        with m.If(pipe.transfer):
            m.d.sync += seen.eq(now)
        return {"beats": now}
