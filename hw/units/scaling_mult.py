"""Scaling multiplier: the unit mult of Figure 3, a dot product times g_ij (Eq. 9)."""

from amaranth.hdl import Module, signed

from mubinn.golden.units.scaling_mult import ScalingMultParams
from mubinn.hw.arith.gate_heap import GateHeap
from mubinn.hw.arith.partial_products import add_product
from mubinn.hw.stream.unit import StreamUnit


class ScalingMult(StreamUnit):
    """``product = dot * scale`` in a carry-save array; exact, latency 0.

    Parameters
    ----------
    params : ScalingMultParams

    Members
    -------
    i : In(stream of {dot: signed(dot_width), scale: scale_width})
    o : Out(stream of {product: signed(product_width)})
    """

    def __init__(self, params: ScalingMultParams) -> None:
        self.params = params
        super().__init__(
            {"dot": signed(params.dot_width), "scale": params.scale_width},
            {"product": signed(params.product_width)},
        )

    def compute(self, m: Module) -> None:
        """Add the multiplier."""
        i = self.i.payload
        heap = GateHeap(m, self.params.product_width, name="product")
        add_product(heap, i.dot, i.scale)
        m.d.comb += self.o.payload.product.eq(heap.sum())
