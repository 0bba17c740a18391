"""One table for sigmoid and tanh in fixed point, for a multiplier that stands elsewhere."""

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed

from mubinn.golden.units.activation import ActivationParams
from mubinn.hw.arith.decision_diagram import decision_diagram
from mubinn.hw.stream.unit import StreamUnit


class FixedSegment(StreamUnit):
    """What `mubinn.hw.units.activation.Activation` looks up, for tanh and sigmoid alike.

    Latency 0 cycles. With ``half = 2**-(out_fraction + 1)``, tanh(z) is ``half (base + step rise
    2**-step_bits)``, exactly what `mubinn.golden.units.activation.activation` rounds; with
    `sigmoid` that is ``sigmoid(z) = 1/2 + tanh(z / 2) / 2``, for which the lowest bit of z counts
    nothing.

    Parameters
    ----------
    params : ActivationParams
        Of tanh.

    Members
    -------
    i : In(stream of {z: signed(in_width), sigmoid: 1})
    o : Out(stream of {step: step_bits, rise: unsigned, base: signed(out_width + 1)})
    """

    def __init__(self, params: ActivationParams) -> None:
        if params.kind != "tanh" or not params.step_bits:
            raise ValueError("the table is that of an interpolated tanh")
        self.params = params
        self._rise_bits = int(np.diff(params.nodes).max()).bit_length()
        super().__init__(
            {"z": signed(params.in_width), "sigmoid": 1},
            {
                "step": params.step_bits,
                "rise": self._rise_bits + 1,
                "base": signed(params.out_width + 1),
            },
        )

    def compute(self, m: Module) -> None:
        """Look up; a shift before and after makes tanh sigmoid."""
        p, i, o = self.params, self.i.payload, self.o.payload
        z = Signal(signed(p.in_width))
        m.d.comb += [z.eq(Mux(i.sigmoid, i.z >> 1, i.z)), o.step.eq(z[: p.step_bits])]
        node, rise = self._segment(m, z.as_unsigned()[p.step_bits :])
        one = Cat(node, node[-1]).as_signed() + (1 << p.out_fraction)
        m.d.comb += [
            o.rise.eq(Mux(i.sigmoid, rise, rise << 1)),
            o.base.eq(Mux(i.sigmoid, one, node << 1)),
        ]

    def _segment(self, m: Module, index: Value) -> tuple[Value, Value]:
        """Return a segment's lower node and its rise, by its number in two's complement."""
        p = self.params
        numbers = np.roll(np.arange(1 << p.segment_bits), 1 << p.segment_bits - 1)
        words = [
            int(np.diff(p.nodes)[k]) << p.out_width | int(p.nodes[k]) % (1 << p.out_width)
            for k in numbers
        ]
        word = Signal(p.out_width + self._rise_bits, name="segment")
        m.d.comb += word.eq(decision_diagram(m, words, index, len(word)))
        return word[: p.out_width].as_signed(), word[p.out_width :]
