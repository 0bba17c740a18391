"""Eq. (1)-(4) before the activation: XNOR multipliers, mult and Add of Figure 3."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Member, Out

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.units.scaling_mult import ScalingMultParams
from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams
from mubinn.hw.cells.issue_layout import (
    issue_layout,
    product_trace,
    sum_layout,
    sum_trace,
)
from mubinn.hw.cells.issue_layout import (
    tags as tag_names,
)
from mubinn.hw.cells.merged_sums import merged_latency, merged_sums
from mubinn.hw.stream.component import Component, View, view_signal
from mubinn.hw.stream.fields import drive, fields_of
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.bias_add import BiasAdd
from mubinn.hw.units.scaling_mult import ScalingMult
from mubinn.hw.units.xnor_multiplier import XnorMultiplier


class GateSums(Component):
    """The sums z of rows, from the issues of `mubinn.golden.folding.layer_plan.LayerPlan`.

    One issue a cycle; z of a row leaves `latency` cycles after its last issue was taken. Rows whose
    level pairs merge (`LayerPlan.merged`) go through
    `mubinn.hw.cells.merged_sums.merged_sums`.

    Parameters
    ----------
    plan : LayerPlan
    trace : bool
        Add a port that shows every intermediate of the row at the output.

    Members
    -------
    i : In(stream.Signature(issue_layout(plan)))
    o : Out(stream.Signature(sum_layout(plan)))
    probe : Out(sum_trace(plan)), with `trace`
        Belongs to ``o.payload``.
    """

    i: stream.Interface
    o: stream.Interface
    probe: View

    def __init__(self, plan: LayerPlan, *, trace: bool = False) -> None:
        self.plan = plan
        self._trace = trace
        members: dict[str, Member] = {
            "i": In(stream.Signature(issue_layout(plan))),
            "o": Out(stream.Signature(sum_layout(plan))),
        }
        if trace:
            members["probe"] = Out(sum_trace(plan))
        super().__init__(members)

    @staticmethod
    def latency(plan: LayerPlan) -> int:
        """Return 3, or what merged rows take."""
        return 3 if plan.merged is None else merged_latency(plan)

    def elaborate(self, platform: object) -> Module:
        """Return the pipeline."""
        m = Module()
        pipe = Pipe(m, self.i)
        if self.plan.merged is None:
            s = self._sum(m, pipe, self._products(m, pipe))
        else:
            s = merged_sums(m, pipe, self.plan, self.i.payload)
        assert pipe.stages == self.latency(self.plan)
        pipe.end(self.o)
        drive(m, self.o.payload, **fields_of(s, "z", *tag_names(self.plan)))
        if self._trace:
            drive(m, self.probe, **fields_of(s, *sum_trace(self.plan).members))
        return m

    def _products(self, m: Module, pipe: Pipe) -> View:
        """XNOR multiplier and mult of every level pair, all side by side. Two stages."""
        plan, issue = self.plan, self.i.payload
        shared = ("late", "joined") if plan.rolling else ()
        tags = ("first", "last", "bias", "bias_scales", *shared, *tag_names(plan))
        units = [(name, unit) for name in plan.parts for unit in range(plan.side)]
        dots = {f"dot_{n}{u}": self._dot(m, n, u) for n, u in units}
        gammas = {f"gamma_{n}{u}": getattr(issue, n).gamma[u] for n, u in units}
        s = pipe.cut("after_xnor", **dots, **gammas, **fields_of(issue, *tags))
        mult = ScalingMultParams(plan.dot_width, plan.gamma_width)
        products = {}
        for n, u in units:
            dot, gamma = getattr(s, f"dot_{n}{u}"), getattr(s, f"gamma_{n}{u}")
            unit = ScalingMult(mult)
            name = self._name("mult", n, u)
            products[f"prod_{n}{u}"] = apply(m, name, unit, dot=dot, scale=gamma).product
        kept = fields_of(s, *dots) if self._trace else {}
        return pipe.cut("after_mult", **products, **fields_of(s, *tags), **kept)

    def _name(self, kind: str, part: str, unit: int) -> str:
        """Return the name of a submodule; a multiplier that stands alone has no number."""
        return f"{kind}_{part}" if self.plan.side == 1 else f"{kind}_{part}_{unit}"

    def _dot(self, m: Module, part: str, unit: int) -> Value:
        """Add one XNOR multiplier and return its dot product."""
        words = getattr(self.i.payload, part)
        xnor = XnorMultiplier(
            XnorMultiplierParams(self.plan.parts[part]), network=self.plan.network
        )
        name = self._name("xnor", part, unit)
        dot: Value = apply(m, name, xnor, a=words.a[unit], w=words.w[unit]).dot
        # The lowest bit is the parity of the count of elements.
        return Cat(words.odd, dot[1:]).as_signed() if part in self.plan.odd_parts else dot

    def _sum(self, m: Module, pipe: Pipe, s: View) -> View:
        """Add the bias and the products of all issues. One stage."""
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
        traced = {}
        if self._trace:
            layout = data.ArrayLayout(product_trace(plan), plan.issues)
            traced["issues"] = pipe.recent(self._record(m, s), layout)
        with m.If(pipe.transfer):
            m.d.sync += acc.eq(total)
        pipe.keep(s.last)
        return pipe.cut("after_add", z=total, **fields_of(s, *tag_names(plan)), **traced)

    def _total(self, m: Module, pipe: Pipe, s: View, part: str) -> Signal:
        """Return the sum of the products of one part, of the row that the cycle begins in.

        What belongs to the row that begins in a cycle is held back for its first issue.
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

    def _record(self, m: Module, s: View) -> View:
        """Return what one cycle computed, for the trace."""
        record = view_signal(product_trace(self.plan), "record")
        made = {
            f"{kind}_{name}": [getattr(s, f"{kind}_{name}{u}") for u in range(self.plan.side)]
            for name in self.plan.parts
            for kind in ("dot", "prod")
        }
        drive(m, record, **made)
        return record
