"""MLB encoder: fixed point to level bits by Algorithm 1."""

from amaranth.hdl import Cat, Module, ShapeLike, Signal, signed, unsigned
from amaranth.lib import data

from mubinn.golden.units.mlb_encoder import MlbEncoderParams
from mubinn.hw.arith.prefix_adder import prefix_add
from mubinn.hw.stream.unit import StreamUnit


class MlbEncoder(StreamUnit):
    """Bit k of `code` is ``r >= 0``, then ``r -= scales[k]`` or ``r += scales[k]``; latency 0.

    r starts as ``value - offset``. One prefix adder a level.

    Parameters
    ----------
    params : MlbEncoderParams

    Members
    -------
    i : In(stream of {value: signed(value_width), offset: signed(offset_width), scales:
        ArrayLayout(unsigned(scale_width), levels)})
        There is no member `offset` where offset_width is 0.
    o : Out(stream of {code: levels})
    """

    def __init__(self, params: MlbEncoderParams) -> None:
        self.params = params
        fields: dict[str, ShapeLike] = {"value": signed(params.value_width)}
        if params.offset_width:
            fields["offset"] = signed(params.offset_width)
        fields["scales"] = data.ArrayLayout(unsigned(params.scale_width), params.levels)
        super().__init__(fields, {"code": params.levels})

    def compute(self, m: Module) -> None:
        """Add the chain of residuals."""
        i, levels = self.i.payload, self.params.levels
        width = self.params.residual_width
        residual = Signal(signed(width), name="residual_0")
        if self.params.offset_width:
            value, minus = Signal(signed(width)), Signal(signed(width))
            m.d.comb += [value.eq(i.value), minus.eq(~i.offset)]
            m.d.comb += residual.eq(prefix_add(m, value, minus, 1, name="start")[:width])
        else:
            m.d.comb += residual.eq(i.value)
        bits = []
        for k in range(levels):
            bit = Signal(name=f"bit_{k}")
            m.d.comb += bit.eq(~residual[-1])
            bits.append(bit)
            if k == levels - 1:
                break
            step = Signal(width, name=f"step_{k}")
            m.d.comb += step.eq(i.scales[k] ^ bit.replicate(width))
            total = prefix_add(m, residual, step, bit, name=f"level_{k}")
            residual = Signal(signed(width), name=f"residual_{k + 1}")
            m.d.comb += residual.eq(total[:width])
        m.d.comb += self.o.payload.code.eq(Cat(*bits))
