"""MAC: level bits times a fixed-point number, Eq. (6) with o and tanh(c)."""

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data

from mubinn.golden.units.mac import MacParams
from mubinn.hw.arith.gate_heap import GateHeap
from mubinn.hw.arith.level_sum import add_scaled_sign
from mubinn.hw.arith.partial_products import add_product
from mubinn.hw.stream.unit import StreamUnit


class Mac(StreamUnit):
    """``product = (offset + sum_k scales[k] code_k) * factor``; exact modulo 2**sum_width.

    Latency 0.

    Parameters
    ----------
    params : MacParams

    Members
    -------
    i : In(stream of {code: levels, factor: signed(factor_width), offset: signed(scale_width + 1),
        scales: ArrayLayout(unsigned(scale_width), levels)})
    o : Out(stream of {product: signed(sum_width)})
    """

    def __init__(self, params: MacParams) -> None:
        self.params = params
        super().__init__(
            {
                "code": params.levels,
                "factor": signed(params.factor_width),
                "offset": signed(params.scale_width + 1),
                "scales": data.ArrayLayout(unsigned(params.scale_width), params.levels),
            },
            {"product": signed(params.sum_width)},
        )

    def compute(self, m: Module) -> None:
        """Add the code's value, then the array multiplier."""
        i, levels = self.i.payload, self.params.levels
        # levels + 1 terms of scale_width bits and a sign.
        width = self.params.scale_width + 1 + levels.bit_length()
        total = GateHeap(m, width, name="code")
        total.add(i.offset)
        for k in range(levels):
            add_scaled_sign(total, i.scales[k], i.code[k])
        value = Signal(signed(width), name="code_value")
        m.d.comb += value.eq(total.sum())
        heap = GateHeap(m, self.params.sum_width, name="product")
        add_product(heap, value, i.factor)
        m.d.comb += self.o.payload.product.eq(heap.sum())
