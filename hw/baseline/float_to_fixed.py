"""Conversion from binary32 to signed fixed point."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed

from mubinn.golden.baseline.float_to_fixed import FloatToFixedParams
from mubinn.hw.arith.compound_adder import compound_add
from mubinn.hw.arith.shifter import shift_right
from mubinn.hw.baseline.binary32 import BINARY32, unpack
from mubinn.hw.stream.unit import StreamUnit


class FloatToFixed(StreamUnit):
    """``o.value`` as `mubinn.golden.baseline.float_to_fixed.float_to_fixed` defines it.

    Rounded once, half up, and saturated; NaN gives 0. Latency 0 cycles, one transfer a cycle.

    The significand enters a right shifter with its first bit at the result's sign place. Rounding
    and negation together add 0 or 1 at the last place, as the late carry of one prefix tree.

    Parameters
    ----------
    params : FloatToFixedParams

    Members
    -------
    i : In(stream.Signature(BINARY32))
    o : Out(stream of {value: signed(width)})
    """

    def __init__(self, params: FloatToFixedParams) -> None:
        self.params = params
        super().__init__(BINARY32, {"value": signed(params.width)})

    def compute(self, m: Module) -> None:
        """Shift, then negate and round, then saturate."""
        width = self.params.width
        x = unpack(m, self.i.payload, "x")
        # The result's bits and one below them, or the whole significand where that is longer.
        length = max(width + 1, 24)
        places = length.bit_length()
        distance = Signal(signed(10), name="distance")
        gone = Signal(name="gone")
        aligned = Signal(length, name="aligned")
        m.d.comb += [
            distance.eq(width + 126 - self.params.fraction - x.exponent),
            # Less than a quarter of the last place, as every subnormal number is: 0, whatever is
            # lost.
            gone.eq(~distance[9] & distance[places:9].any()),
        ]
        top = Cat(Const(0, length - 24), x.significand)
        shifted = shift_right(m, top, distance[:places], length, "align")
        lost = Cat(top[k] & (distance[:places] > k) for k in range(length)).any()
        m.d.comb += aligned.eq(shifted & (~gone).replicate(length))
        magnitude, half = aligned[length - width :], aligned[length - width - 1]
        below = lost | aligned[: length - width - 1].any()
        up = Signal(name="up")
        # Of a negative number's complement only a rest above one half is dropped.
        m.d.comb += up.eq(Mux(x.sign, ~(half & below), half))
        extended = Cat(magnitude, Const(0, 1)) ^ x.sign.replicate(width + 1)
        tree = compound_add(m, extended, Const(0, width + 1), "round")
        total = tree.plus(up, name="total", m=m)
        over = Signal(name="over")
        out = Mux(x.sign, total[width] & ~total[width - 1], total[width] | total[width - 1])
        m.d.comb += over.eq(distance[9] | out)
        limit = Cat((~x.sign).replicate(width - 1), x.sign)
        result = Mux(over, limit, total[:width]) & (~x.nan).replicate(width)
        m.d.comb += self.o.payload.value.eq(result)
