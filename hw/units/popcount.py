"""Popcount: how many elements of two vectors of bits agree."""

from amaranth.hdl import Module, ShapeLike, unsigned
from amaranth.lib import data

from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams
from mubinn.hw.arith.match_heap import match_heap
from mubinn.hw.stream.unit import StreamUnit


class Popcount(StreamUnit):
    """``count = popcount(xnor(a, w))``, exact; latency 0.

    What `mubinn.hw.units.xnor_multiplier.XnorMultiplier` does before the constant of a
    product of signs.

    Parameters
    ----------
    params : XnorMultiplierParams
    network : str
        See `mubinn.hw.arith.match_heap.match_heap`.

    Members
    -------
    i : In(stream of {a: lanes, w: lanes})
    o : Out(stream of {count: unsigned, as wide as `lanes` asks for})
    """

    def __init__(self, params: XnorMultiplierParams, *, network: str = "asic") -> None:
        self.params = params
        self.network = network
        self.width = params.lanes.bit_length()
        words: dict[str, ShapeLike] = {"a": params.lanes, "w": params.lanes}
        count = data.StructLayout({"count": unsigned(self.width)})
        super().__init__(words, count)

    def compute(self, m: Module) -> None:
        """Add the XNOR gates and the count."""
        heap = match_heap(m, self.width, network=self.network)
        heap.add_matches(self.i.payload.a, self.i.payload.w)
        m.d.comb += self.o.payload.count.eq(heap.sum())
