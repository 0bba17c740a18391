"""Bias add: the Add unit of Figure 3, which also accumulates the level-pair products of a gate."""

from amaranth.hdl import Module, Mux, signed, unsigned
from amaranth.lib import data

from mubinn.golden.units.bias_add import BiasAddParams
from mubinn.hw.arith.gate_heap import GateHeap
from mubinn.hw.arith.level_sum import add_scaled_sign
from mubinn.hw.stream.unit import StreamUnit


class BiasAdd(StreamUnit):
    """``sum = (bias if first else acc) + product_x + product_h`` modulo 2**sum_width; latency 0.

    The bias is ``sum_k scales[k] s_k``; all terms meet in one carry-save heap.

    Parameters
    ----------
    params : BiasAddParams

    Members
    -------
    i : In(stream of {acc: signed(sum_width), first: 1, product_x, product_h: signed(product_width),
        bias: levels, scales: ArrayLayout(unsigned(scale_width), levels)})
    o : Out(stream of {sum: signed(sum_width)})
    """

    def __init__(self, params: BiasAddParams) -> None:
        self.params = params
        super().__init__(
            {
                "acc": signed(params.sum_width),
                "first": 1,
                "product_x": signed(params.product_width),
                "product_h": signed(params.product_width),
                "bias": params.levels,
                "scales": data.ArrayLayout(unsigned(params.scale_width), params.levels),
            },
            {"sum": signed(params.sum_width)},
        )

    def compute(self, m: Module) -> None:
        """Add the heap. Where `first` is 0 every level is +0, and where it is 1 acc is 0."""
        i = self.i.payload
        heap = GateHeap(m, self.params.sum_width, name="sum")
        heap.add(i.product_x)
        heap.add(i.product_h)
        heap.add(Mux(i.first, 0, i.acc), arrival=1)
        for k in range(self.params.levels):
            scale = Mux(i.first, i.scales[k], 0)
            add_scaled_sign(heap, scale, i.bias[k] | ~i.first)
        m.d.comb += self.o.payload.sum.eq(heap.sum())
