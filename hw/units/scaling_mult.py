"""Scaling multiplier: the unit mult of Figure 3, a dot product times g_ij (Eq. 9)."""

from amaranth.hdl import Module, signed
from amaranth.lib import data

from mubinn.golden.units.scaling_mult import ScalingMultParams
from mubinn.hw.arith.bit_heap import BitHeap
from mubinn.hw.arith.partial_products import add_product
from mubinn.hw.stream.unit import StreamUnit


class ScalingMult(StreamUnit):
    """``product = dot * scale``, or ``dot << scale`` if shift-only; exact, latency 0.

    A carry-save array, or a shifter where every scale is a power of two.

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
            data.StructLayout({"dot": signed(params.dot_width), "scale": params.scale_width}),
            data.StructLayout({"product": signed(params.product_width)}),
        )

    def compute(self, m: Module) -> None:
        """Add the multiplier or the shifter."""
        i, product = self.i.payload, self.o.payload.product
        if self.params.shift_only:
            m.d.comb += product.eq(i.dot << i.scale)
            return
        heap = BitHeap(self.params.product_width, name="product")
        add_product(heap, i.dot, i.scale)
        m.d.comb += product.eq(heap.sum(m))
