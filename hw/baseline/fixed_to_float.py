"""Conversion from signed fixed point to binary32."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from mubinn.golden.baseline.fixed_to_float import FixedToFloatParams
from mubinn.hw.arith.compound_adder import compound_add
from mubinn.hw.arith.shifter import leading_zeros, shift_left
from mubinn.hw.baseline.binary32 import BINARY32
from mubinn.hw.stream.unit import StreamUnit


class FixedToFloat(StreamUnit):
    """``o`` as :func:`mubinn.golden.baseline.fixed_to_float.fixed_to_float` defines it.

    Rounded once, to nearest, ties to even; zero gives +0. Latency 0 cycles, one transfer a cycle.

    Leading zeros are counted on the ones' complement of a negative number, beside the negation;
    they are one too many only where the negation carries into a power of two, which shows as a one
    at the top of the shifted word.

    Parameters
    ----------
    params : FixedToFloatParams

    Members
    -------
    i : In(stream of {value: signed(width)})
    o : Out(stream.Signature(BINARY32))
    """

    def __init__(self, params: FixedToFloatParams) -> None:
        self.params = params
        super().__init__(data.StructLayout({"value": signed(params.width)}), BINARY32)

    def compute(self, m: Module) -> None:
        """Negate and count, normalise, round."""
        width = self.params.width
        x = self.i.payload.value.as_unsigned()
        sign = x[width - 1]
        ones = x[: width - 1] ^ sign.replicate(width - 1)
        negate = compound_add(m, ones, Const(0, width - 1), "negate")
        magnitude = negate.plus(sign, name="magnitude", m=m)
        count, _ = leading_zeros(m, Cat(Const(1, 1), ones), "zeros")
        moved = shift_left(m, magnitude, count, "normalise")
        carried = moved[width - 1]
        significand = Signal(max(width, 25), name="significand")
        pad = Const(0, len(significand) - width)
        m.d.comb += significand.eq(Cat(pad, Mux(carried, moved, moved << 1)[:width]))
        self._round(m, significand, sign, count, carried)

    def _round(
        self, m: Module, significand: Signal, sign: Value, count: Value, carried: Value
    ) -> None:
        """Round the normalised magnitude to 24 bits and put the fields together."""
        mantissa, below = significand[-24:], significand[:-24]
        up, some = Signal(name="up"), Signal(name="some")
        m.d.comb += [
            up.eq(below[-1] & (below[:-1].any() | mantissa[0])),
            some.eq(significand[-1]),
        ]
        tree = compound_add(m, mantissa, Const(0, 24), "round")
        rounded = tree.plus(up, name="rounded", m=m)
        exponent = Signal(8, name="exponent")
        lead = 127 + self.params.width - 2 - self.params.fraction
        m.d.comb += exponent.eq(lead - count + carried + rounded[24])
        o = self.o.payload
        m.d.comb += [
            o.fraction.eq(rounded[:23]),
            o.exponent.eq(exponent & some.replicate(8)),
            o.sign.eq(sign),
        ]
