"""MLB decoder: level bits back to fixed point."""

from amaranth.hdl import Module, signed, unsigned
from amaranth.lib import data

from mubinn.golden.units.mlb_decoder import MlbDecoderParams
from mubinn.hw.arith.gate_heap import GateHeap
from mubinn.hw.arith.level_sum import add_scaled_sign
from mubinn.hw.stream.unit import StreamUnit


class MlbDecoder(StreamUnit):
    """`mubinn.golden.units.mlb_decoder.mlb_decoder` in hardware; combinational, latency 0.

    ``sum a_k s_k = 2 sum_k (a_k b_k) - sum a_k``: each level adds ``a_k`` or its complement, all in
    one carry-save heap.

    Parameters
    ----------
    params : MlbDecoderParams

    Members
    -------
    i : stream of {code: levels, offset: signed(offset_width), scales: [unsigned(scale_width)]}
        Without an offset (offset_width 0) the field is absent.
    o : stream of {value: signed(value_width)}
    """

    def __init__(self, params: MlbDecoderParams) -> None:
        self.params = params
        fields = {
            "code": unsigned(params.levels),
            "scales": data.ArrayLayout(unsigned(params.scale_width), params.levels),
        }
        if params.offset_width:
            fields["offset"] = signed(params.offset_width)
        super().__init__(fields, {"value": signed(params.value_width)})

    def compute(self, m: Module) -> None:
        """Drive the output payload."""
        p = self.params
        heap = GateHeap(m, p.value_width, name="value")
        for level in range(p.levels):
            add_scaled_sign(heap, self.i.payload.scales[level], self.i.payload.code[level])
        if p.offset_width:
            heap.add(self.i.payload.offset)
        m.d.comb += self.o.payload.value.eq(heap.sum())
