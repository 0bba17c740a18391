"""Merged dot product: all level pairs of one or more vectors in one network of weighted adders."""

from typing import Any

from amaranth.hdl import Module, Signal, Value, signed, unsigned
from amaranth.lib import data

from mubinn.golden.merged_dot import MergedDotParams
from mubinn.hw.match_heap import match_heap
from mubinn.hw.unit import StreamUnit


class MergedDot(StreamUnit):
    """``sum = addend + sum_parts sum_ij 2**(i + j) (2 popcount(xnor) - lanes)``; exact, latency 0.

    A popcount of the matches counts each lane once; the doubling and the constants are wires.

    Parameters
    ----------
    params : MergedDotParams
    target : str
        See :func:`mubinn.hw.match_heap.match_heap`.

    Members
    -------
    i : In(stream of {x: ArrayLayout(unsigned(lanes), A), wx: ArrayLayout(unsigned(lanes), W) for a
        part x, and so on, addend: signed(addend_width) where there is one})
        Bit 1 stands for +1, bit 0 for -1.
    o : Out(stream of {sum: signed(sum_width)})
    """

    def __init__(self, params: MergedDotParams, *, target: str = "asic") -> None:
        self.params = params
        self.target = target
        fields: dict[str, Any] = {}
        for part in params.parts:
            fields[part.name] = data.ArrayLayout(unsigned(part.lanes), len(part.shifts))
            fields[f"w{part.name}"] = data.ArrayLayout(unsigned(part.lanes), len(part.w_shifts))
        if params.addend_width:
            fields["addend"] = signed(params.addend_width)
        out = data.StructLayout({"sum": signed(params.sum_width)})
        super().__init__(data.StructLayout(fields), out)

    def compute(self, m: Module) -> None:
        """Add the XNOR gates and the network."""
        i, p = self.i.payload, self.params
        heap = match_heap(m, p.sum_width, target=self.target, name="sum")
        for part in p.parts:
            for x, left in enumerate(part.shifts):
                for w, right in enumerate(part.w_shifts):
                    weight = left + right + 1
                    heap.add_matches(i[part.name][x], i[f"w{part.name}"][w], weight)
            heap.add_const(-part.peak)
        if p.addend_width:
            addend = Signal(signed(p.addend_width))
            m.d.comb += addend.eq(i.addend)
            heap.add(addend)
        total: Value = heap.sum()
        m.d.comb += self.o.payload.sum.eq(total)
