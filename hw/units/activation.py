"""Sigmoid and tanh as piecewise-linear tables: the LUT unit of the paper's Figure 3."""

import numpy as np
from amaranth.hdl import Module, Signal, signed

from mubinn.golden.units.activation import ActivationParams
from mubinn.hw.arith.gate_heap import GateHeap
from mubinn.hw.arith.partial_products import add_product
from mubinn.hw.stream.unit import StreamUnit


class Activation(StreamUnit):
    """``y = node[k] + round_half_up(step * (node[k+1] - node[k]) / 2**step_bits)``; latency 0.

    The high bits of z choose the segment k, the low ones are the step. The table holds each
    segment's lower node and its rise, which is never negative; product, node and rounding constant
    meet in one carry-save heap.

    Parameters
    ----------
    params : ActivationParams

    Members
    -------
    i : In(stream of {z: signed(in_width)})
    o : Out(stream of {y: signed(out_width)})
    """

    def __init__(self, params: ActivationParams) -> None:
        self.params = params
        super().__init__(
            {"z": signed(params.in_width)},
            {"y": signed(params.out_width)},
        )

    def compute(self, m: Module) -> None:
        """Add the table and the interpolation."""
        p, z = self.params, self.i.payload.z
        rises = np.diff(p.nodes)
        base = Signal(signed(p.out_width))
        rise = Signal(max(1, int(rises.max()).bit_length()))
        # Two's complement order of the segments: the positive half comes first.
        with m.Switch(z.as_unsigned()[p.step_bits :]):
            for k in range(1 << p.segment_bits):
                with m.Case((k + (1 << p.segment_bits - 1)) % (1 << p.segment_bits)):
                    m.d.comb += [base.eq(int(p.nodes[k])), rise.eq(int(rises[k]))]
        if not p.step_bits:
            m.d.comb += self.o.payload.y.eq(base)
            return
        heap = GateHeap(m, p.out_width + p.step_bits, name="y")
        heap.add(base, p.step_bits)
        add_product(heap, rise, z.as_unsigned()[: p.step_bits])
        heap.add_const(1 << p.step_bits - 1)
        m.d.comb += self.o.payload.y.eq(heap.sum()[p.step_bits :])
