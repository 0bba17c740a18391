"""Requantize: fewer fraction bits, rounded half up, saturated to a narrower format."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed

from mubinn.golden.units.requantize import RequantizeParams
from mubinn.hw.arith.prefix_adder import prefix_add
from mubinn.hw.stream.unit import StreamUnit


class Requantize(StreamUnit):
    """``value = saturate(round_half_up(value * 2**-shift))`` in the output format; latency 0.

    Parameters
    ----------
    params : RequantizeParams

    Members
    -------
    i : In(stream of {value: signed(in_width)})
    o : Out(stream of {value: signed(out_width)})
    """

    def __init__(self, params: RequantizeParams) -> None:
        self.params = params
        super().__init__(
            {"value": signed(params.in_width)},
            {"value": signed(params.out_width)},
        )

    def compute(self, m: Module) -> None:
        """Add the rounding increment and the saturation."""
        p, value, out = self.params, self.i.payload.value, self.o.payload.value
        shift, low = p.shift, p.out_width - 1
        # A dropped half rounds up and may carry into one more bit.
        kept = Signal(signed(max(p.in_width + 1 - shift, 1)))
        if shift > p.in_width:
            # abs(value) is at most half of the last kept unit, and -1/2 rounds up to 0.
            m.d.comb += kept.eq(0)
        elif shift > 0:
            wide = Signal(len(kept))
            m.d.comb += wide.eq(value >> shift)
            total = prefix_add(m, wide, 0, value[shift - 1], name="round")
            m.d.comb += kept.eq(total[: len(kept)])
        else:
            m.d.comb += kept.eq(value << -shift)
        if len(kept) <= p.out_width:
            m.d.comb += out.eq(kept)
            return
        negative, over = Signal(), Signal()
        top = kept.as_unsigned()[low:]
        m.d.comb += [negative.eq(kept[-1]), over.eq(~(top.all() | ~top.any()))]
        clipped = Cat((~negative).replicate(low), negative)
        m.d.comb += out.eq(Mux(over, clipped, kept.as_unsigned()[: p.out_width]))
