"""MAC: Eq. (6), h = o tanh(c), with o as level bits and tanh(c) in fixed point."""

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data

from mubinn.golden.units.mac import MacParams
from mubinn.hw.arith.gate_heap import GateHeap
from mubinn.hw.arith.level_sum import add_scaled_sign
from mubinn.hw.arith.partial_products import add_product
from mubinn.hw.stream.unit import StreamUnit


class Mac(StreamUnit):
    """``h_raw = (offset + sum_k scales[k] o_k) * tanh_c``, exact modulo 2**sum_width; latency 0.

    Parameters
    ----------
    params : MacParams

    Members
    -------
    i : In(stream of {o: levels, tanh_c: signed(tanh_width), offset: signed(scale_width + 1),
        scales: ArrayLayout(unsigned(scale_width), levels)})
    o : Out(stream of {h_raw: signed(sum_width)})
    """

    def __init__(self, params: MacParams) -> None:
        self.params = params
        super().__init__(
            data.StructLayout(
                {
                    "o": params.levels,
                    "tanh_c": signed(params.tanh_width),
                    "offset": signed(params.scale_width + 1),
                    "scales": data.ArrayLayout(unsigned(params.scale_width), params.levels),
                }
            ),
            data.StructLayout({"h_raw": signed(params.sum_width)}),
        )

    def compute(self, m: Module) -> None:
        """Add the gate's value, then the array multiplier."""
        i, levels = self.i.payload, self.params.levels
        # levels + 1 terms of scale_width bits and a sign.
        width = self.params.scale_width + 1 + levels.bit_length()
        gate = GateHeap(m, width, name="gate")
        gate.add(i.offset)
        for k in range(levels):
            add_scaled_sign(gate, i.scales[k], i.o[k])
        value = Signal(signed(width), name="gate_value")
        m.d.comb += value.eq(gate.sum())
        heap = GateHeap(m, self.params.sum_width, name="h_raw")
        add_product(heap, value, i.tanh_c)
        m.d.comb += self.o.payload.h_raw.eq(heap.sum())
