"""The sums of rows whose level pairs merge: weighted counts in place of scaled dot products."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.folding.merged_rows import MergedRows
from mubinn.golden.units.merged_dot import DotPart, MergedDotParams
from mubinn.golden.units.scaling_mult import ScalingMultParams
from mubinn.hw.cells.issue_layout import tags as tag_names
from mubinn.hw.stream.component import View
from mubinn.hw.stream.fields import fields_of
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.merged_dot import MergedDot
from mubinn.hw.units.scaling_mult import ScalingMult


def merged_latency(plan: LayerPlan) -> int:
    """Return the stages of `merged_sums`.

    One where units are constant and all rows alike; two where the classifier's rows have a unit of
    their own; three where units are multiplied.
    """
    assert plan.merged
    if not plan.merged.constant:
        return 3
    return 2 if plan.dense else 1


def merged_sums(m: Module, pipe: Pipe, plan: LayerPlan, issue: View) -> View:
    """Return z of a row and its tags; a row is one issue."""
    rows = plan.merged
    assert rows
    tags = fields_of(issue, *tag_names(plan))
    # The bias is a two's complement number in two fields.
    bias = Cat(issue.bias_scales[0], issue.bias).as_signed()
    if rows.constant and not plan.dense:
        return pipe.cut("after_sum", z=_all_at_once(m, plan, rows, issue, bias), **tags)
    counts = {part.name: _count(m, plan, part, issue) for part in rows.parts}
    gammas = {f"gamma_{n}": getattr(issue, n).gamma[0] for n in counts if plan.scales}
    s = pipe.cut("after_count", **counts, **gammas, bias=bias, **tags)
    tags = fields_of(s, *tag_names(plan))
    if rows.constant:
        x = Mux(s.dense, 0, s.x << rows.shift("x"))
        h = Mux(s.dense, s.h << rows.shift("dense"), s.h << rows.shift("h"))
        return pipe.cut("after_sum", z=_fit(m, plan, x + h + s.bias), **tags)
    products = {}
    for name in counts:
        count, gamma = getattr(s, name), getattr(s, f"gamma_{name}")
        unit = ScalingMult(ScalingMultParams(len(count), plan.gamma_width))
        products[name] = apply(m, f"mult_{name}", unit, dot=count, scale=gamma).product
    s = pipe.cut("after_mult", **products, bias=s.bias, **tags)
    tags = fields_of(s, *tag_names(plan))
    return pipe.cut("after_sum", z=_fit(m, plan, s.x + s.h + s.bias), **tags)


def _fit(m: Module, plan: LayerPlan, total: Value) -> Signal:
    """Return `total` in the width of z, which holds it."""
    z = Signal(signed(plan.z_width), name="total")
    m.d.comb += z.eq(total)
    return z


def _planes(plan: LayerPlan, part: DotPart, issue: View) -> dict[str, Value]:
    """Return the operands of one part: planes of x or h, and of the weights."""
    words = getattr(issue, part.name)
    a = Cat(*(words.a[i] for i in range(len(part.shifts))))
    w = Cat(*(words.w[j * plan.left] for j in range(len(part.w_shifts))))
    return {part.name: a, f"w{part.name}": w}


def _count(m: Module, plan: LayerPlan, part: DotPart, issue: View) -> Value:
    """Return the merged dot product of one part."""
    unit = MergedDot(MergedDotParams((part,)), network=plan.network)
    count: Value = apply(m, f"merged_{part.name}", unit, **_planes(plan, part, issue)).sum
    return count


def _all_at_once(m: Module, plan: LayerPlan, rows: MergedRows, issue: View, bias: Value) -> Signal:
    """Return z as one network that takes all parts and the bias."""
    parts = []
    operands: dict[str, Value] = {}
    for part in rows.parts:
        low = rows.shift(part.name)
        shifts = tuple(low + k for k in part.shifts)
        parts.append(DotPart(part.name, part.lanes, shifts, part.w_shifts))
        operands |= _planes(plan, part, issue)
    params = MergedDotParams(tuple(parts), addend_width=len(bias))
    unit = MergedDot(params, network=plan.network)
    return _fit(m, plan, apply(m, "merged", unit, **operands, addend=bias).sum)
