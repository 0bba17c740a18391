"""Merged dot product: all level pairs of one or more vectors in one network of weighted adders."""

from collections.abc import Iterator

from amaranth.hdl import Module, ShapeLike, Signal, signed, unsigned
from amaranth.lib import data

from mubinn.golden.units.merged_dot import DotPart, MergedDotParams
from mubinn.hw.arith.gate_heap import AdderDelay, GateHeap
from mubinn.hw.arith.match_heap import match_heap
from mubinn.hw.stream.unit import StreamUnit

CELL_DELAY = AdderDelay(
    slow_sum=4.2, fast_sum=4.2, slow_carry=3, fast_carry=2.7, half_sum=2, half_carry=1.5
)
"""Full-adder cells of the built-in library, in NAND gates: the sum is the later output."""


class MergedDot(StreamUnit):
    """``sum = addend + sum_parts sum_ij 2**(i + j) (2 popcount(xnor) - lanes)``; exact, latency 0.

    A popcount of the matches counts each lane once; the doubling and the constants are wires.

    Parameters
    ----------
    params : MergedDotParams
    network : str
        See `mubinn.hw.arith.match_heap.match_heap`.

    Members
    -------
    i : In(stream of {x: ArrayLayout(unsigned(lanes), A), wx: ArrayLayout(unsigned(lanes), W) for a
        part x, and so on, addend: signed(addend_width) where there is one})
        Bit 1 stands for +1, bit 0 for -1.
    o : Out(stream of {sum: signed(sum_width)})
    """

    def __init__(self, params: MergedDotParams, *, network: str = "asic") -> None:
        self.params = params
        self.network = network
        fields = _operands(params)
        if params.addend_width:
            fields["addend"] = signed(params.addend_width)
        super().__init__(fields, _sum(params))

    def compute(self, m: Module) -> None:
        """Add the XNOR gates and the network."""
        i, p = self.i.payload, self.params
        heap = match_heap(m, p.sum_width, network=self.network, name="sum")
        for part, x, w, weight in _level_pairs(p):
            heap.add_matches(i[part.name][x], i[f"w{part.name}"][w], weight + 1)
        for part in p.parts:
            heap.add_const(-part.peak)
        if p.addend_width:
            addend = Signal(signed(p.addend_width))
            m.d.comb += addend.eq(i.addend)
            heap.add(addend)
        m.d.comb += self.o.payload.sum.eq(heap.sum())


class MergedBits(StreamUnit):
    """The sum of `MergedDot` of products of bits, a NOR gate each; exact, latency 0.

    ``sum = row + step + sum_parts (4 sum_ij 2**(i + j) popcount(~(x_i | w_j)) - peak)``, where
    `row` is the addend and `mubinn.golden.units.merged_dot.row_constant` of every part, known with
    the weights, and `step` the sum of `step_constant`, one for all rows of a time step.

    Parameters
    ----------
    params : MergedDotParams
    cells : bool
        Order the network by the delays of full-adder cells, whose sum is later than their carry,
        and end it in a chain of them: for the least area.

    Members
    -------
    i : In(stream of {x, wx and so on as of MergedDot, row, step: signed(sum_width)})
    o : Out(stream of {sum: signed(sum_width)})
    """

    def __init__(self, params: MergedDotParams, *, cells: bool = False) -> None:
        self.params = params
        self._cells = cells
        total = signed(params.sum_width)
        constants = {"row": total, "step": total}
        super().__init__(data.StructLayout(_operands(params) | constants), _sum(params))

    def compute(self, m: Module) -> None:
        """Add the NOR gates and the network."""
        i, p = self.i.payload, self.params
        delay, kind = (CELL_DELAY, "ripple") if self._cells else (None, "sklansky")
        heap = GateHeap(m, p.sum_width, name="sum", delay=delay, kind=kind)
        for part, x, w, weight in _level_pairs(p):
            both = Signal(part.lanes, name=f"both_{part.name}{x}{w}")
            # An AND of inverted bits: of a NOR, full adders would be found around its inverter.
            m.d.comb += both.eq(~i[part.name][x] & ~i[f"w{part.name}"][w])
            for k in range(part.lanes):
                heap.add_bit(weight + 2, both[k], 1)
        for part in p.parts:
            heap.add_const(-part.peak)
        for name in ("row", "step"):
            constant = Signal(signed(p.sum_width), name=f"{name}_constant")
            m.d.comb += constant.eq(i[name])
            heap.add(constant)
        m.d.comb += self.o.payload.sum.eq(heap.sum())


def _operands(params: MergedDotParams) -> dict[str, ShapeLike]:
    """Return the planes of all parts."""
    fields: dict[str, ShapeLike] = {}
    for part in params.parts:
        fields[part.name] = data.ArrayLayout(unsigned(part.lanes), len(part.shifts))
        fields[f"w{part.name}"] = data.ArrayLayout(unsigned(part.lanes), len(part.w_shifts))
    return fields


def _sum(params: MergedDotParams) -> data.StructLayout:
    return data.StructLayout({"sum": signed(params.sum_width)})


def _level_pairs(params: MergedDotParams) -> Iterator[tuple[DotPart, int, int, int]]:
    """Yield part, plane of either side and weight of every level pair."""
    for part in params.parts:
        for x, left in enumerate(part.shifts):
            for w, right in enumerate(part.w_shifts):
                yield part, x, w, left + right
