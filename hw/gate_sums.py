"""Eq. (1)-(4) before the activation: XNOR multiplier, mult and Add of Figure 3."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mubinn.golden.lstm_cell import LstmCellParams
from mubinn.golden.scaling_mult import ScalingMultParams
from mubinn.golden.xnor_multiplier import XnorMultiplierParams
from mubinn.hw.bias_add import BiasAdd
from mubinn.hw.cell_layout import CellLayouts
from mubinn.hw.pipe import Pipe, apply
from mubinn.hw.scaling_mult import ScalingMult
from mubinn.hw.xnor_multiplier import XnorMultiplier


class GateSums(wiring.Component):  # type: ignore[type-arg]
    """The sums z of gates: one level-pair product over x and one over h a transfer.

    One transfer a cycle; z of a gate leaves `LATENCY` cycles after its last pass was taken.

    Parameters
    ----------
    params : LstmCellParams
    trace : bool
        Add a port that shows every intermediate of the gate at the output.

    Members
    -------
    i : In(stream.Signature(CellLayouts.a_pass))
    o : Out(stream.Signature(CellLayouts.tail_input))
    probe : Out(CellLayouts.sum_trace), with `trace`
        Belongs to ``o.payload``.
    """

    i: Any
    o: Any
    probe: Any

    LATENCY = 3

    def __init__(self, params: LstmCellParams, *, trace: bool = False) -> None:
        self.params = params
        self.layouts = CellLayouts(params)
        self._trace = trace
        members: dict[str, Any] = {
            "i": In(stream.Signature(self.layouts.a_pass)),
            "o": Out(stream.Signature(self.layouts.tail_input)),
        }
        if trace:
            members["probe"] = Out(self.layouts.sum_trace)
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the pipeline."""
        m = Module()
        pipe = Pipe(m, self.i)
        products = self._products(m, pipe)
        s = self._sum(m, pipe, products)
        assert pipe.stages == self.LATENCY
        pipe.end(self.o)
        m.d.comb += [
            getattr(self.o.payload, name).eq(getattr(s, name))
            for name in ("z", "gate", "c", "h_offset")
        ]
        if self._trace:
            m.d.comb += [self.probe.passes.eq(s.passes), self.probe.z.eq(s.z)]
        return m

    def _products(self, m: Module, pipe: Pipe) -> Any:
        """XNOR multiplier and mult, for x and h side by side. Two stages."""
        p, word = self.params, self.i.payload
        side = ("first", "last", "gate", "bias", "bias_scales", "c", "h_offset")
        xnor_x = XnorMultiplier(XnorMultiplierParams(p.layer.features))
        xnor_h = XnorMultiplier(XnorMultiplierParams(p.layer.hidden))
        s = pipe.cut(
            "after_xnor",
            dot_x=apply(m, "xnor_x", xnor_x, a=word.x, w=word.wx).dot,
            dot_h=apply(m, "xnor_h", xnor_h, a=word.h, w=word.wh).dot,
            gamma_x=word.gamma_x,
            gamma_h=word.gamma_h,
            **{name: getattr(word, name) for name in side},
        )
        mult = ScalingMultParams(p.dot_width, p.gamma_width)
        return pipe.cut(
            "after_mult",
            prod_x=apply(m, "mult_x", ScalingMult(mult), dot=s.dot_x, scale=s.gamma_x).product,
            prod_h=apply(m, "mult_h", ScalingMult(mult), dot=s.dot_h, scale=s.gamma_h).product,
            **{name: getattr(s, name) for name in side},
            **({"dot_x": s.dot_x, "dot_h": s.dot_h} if self._trace else {}),
        )

    def _sum(self, m: Module, pipe: Pipe, s: Any) -> Any:
        """Add the bias and the products of all passes. One stage."""
        p = self.params
        acc = Signal(signed(p.z_width))
        total = apply(
            m,
            "add",
            BiasAdd(p.bias_add),
            acc=acc,
            first=s.first,
            product_x=s.prod_x,
            product_h=s.prod_h,
            bias=s.bias,
            scales=s.bias_scales,
        ).sum
        traced = self._passes(m, pipe, s) if self._trace else {}
        with m.If(pipe.transfer):
            m.d.sync += acc.eq(total)
        pipe.keep(s.last)
        return pipe.cut("after_add", z=total, gate=s.gate, c=s.c, h_offset=s.h_offset, **traced)

    def _passes(self, m: Module, pipe: Pipe, s: Any) -> dict[str, Any]:
        """Collect what the passes of a gate computed, the last one in the highest place."""
        names = ("dot_x", "dot_h", "prod_x", "prod_h")
        record: Any = Signal(self.layouts.pass_trace)
        m.d.comb += [getattr(record, name).eq(getattr(s, name)) for name in names]
        layout = self.layouts.sum_trace["passes"].shape
        seen: Any = Signal(layout)
        now: Any = Signal(layout)
        width = len(record.as_value())
        m.d.comb += now.as_value().eq(Cat(seen.as_value(), record)[width:])
        with m.If(pipe.transfer):
            m.d.sync += seen.eq(now)
        return {"passes": now}
