"""Sum of two signed words, the addition of Eq. (5) on the threshold datapath."""

from amaranth.hdl import Module, signed

from mubinn.hw.arith.prefix_adder import prefix_add
from mubinn.hw.stream.unit import StreamUnit


class SumOfWords(StreamUnit):
    """``sum = a + b`` modulo ``2**width``; latency 0.

    Parameters
    ----------
    width : int
        Bits of all three.

    Members
    -------
    i : In(stream of {a: signed(width), b: signed(width)})
    o : Out(stream of {sum: signed(width)})
    """

    def __init__(self, width: int) -> None:
        self.width = width
        word = signed(width)
        super().__init__({"a": word, "b": word}, {"sum": word})

    def compute(self, m: Module) -> None:
        """Add the prefix adder."""
        total = prefix_add(m, self.i.payload.a, self.i.payload.b, name="sum")
        m.d.comb += self.o.payload.sum.eq(total)
