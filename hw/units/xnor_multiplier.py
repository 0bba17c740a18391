"""XNOR multiplier: the dot product of two vectors of signs (the paper's Fig. 2 and Eq. 8)."""

from amaranth.hdl import Cat, Const, Module, signed

from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams
from mubinn.hw.arith.match_heap import match_heap
from mubinn.hw.stream.unit import StreamUnit


class XnorMultiplier(StreamUnit):
    """``dot = 2 popcount(xnor(a, w)) - lanes``, exact; latency 0, one transfer a cycle.

    The dot product has the parity of `lanes`, so that its lowest bit is a constant; the
    others are the count less ``ceil(lanes / 2)``, a constant in the heap.

    Parameters
    ----------
    params : XnorMultiplierParams
    network : str
        See `mubinn.hw.arith.match_heap.match_heap`.

    Members
    -------
    i : In(stream of {a: lanes, w: lanes})
        Bit 1 stands for +1, bit 0 for -1.
    o : Out(stream of {dot: signed(dot_width)})
    """

    def __init__(self, params: XnorMultiplierParams, *, network: str = "asic") -> None:
        self.params = params
        self.network = network
        super().__init__(
            {"a": params.lanes, "w": params.lanes},
            {"dot": signed(params.dot_width)},
        )

    def compute(self, m: Module) -> None:
        """Add the XNOR gates and the count."""
        lanes, i = self.params.lanes, self.i.payload
        heap = match_heap(m, self.params.dot_width - 1, network=self.network)
        heap.add_matches(i.a, i.w)
        heap.add_const(-((lanes + 1) // 2))
        m.d.comb += self.o.payload.dot.eq(Cat(Const(lanes & 1, 1), heap.sum()))
