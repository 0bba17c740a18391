"""A heap of weighted bits summed in 7-series slices: dual-output LUTs and carry chains."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Value, ValueLike

from mubinn.hw.arith.bit_heap import BitHeap
from mubinn.hw.arith.slice_primitives import SlicePrimitives

ROUND = 6
"""Pairs of lanes in a row of full adders: the depth of the first layer, in LUTs."""


def _parity(*bits: bool) -> bool:
    return sum(bits) % 2 == 1


def _majority(a: bool, b: bool, c: bool) -> bool:
    return a + b + c >= 2


def _pair_sum(a: bool, w: bool, b: bool, v: bool, c: bool) -> bool:
    return _parity(a == w, b == v, c)


def _pair_carry(a: bool, w: bool, b: bool, v: bool, c: bool) -> bool:
    return _majority(a == w, b == v, c)


class SliceHeap(BitHeap):
    """A sum of weighted bits and of XNOR products modulo ``2**width``, for xc7 slices.

    Three building blocks, n bits of one weight and what they cost:

    - two lanes and one bit to a sum and a carry, one LUT with two outputs: a full adder with the
      XNOR gates folded in;
    - six bits and a carry in to a sum, a carry of double and one of four times the weight, two LUTs
      and two places of a carry chain. With y ones among the first five bits, x the sixth and c the
      carry in: ``sum = parity(y, x) ^ c``; the carry within is ``c`` where that parity is odd and x
      where it is even; ``middle = (y in {2, 3}) ^ carry within``; the carry out is the carry
      within where y is 2 or 3, else ``y >= 4``. It is the carry in of the next such block, at four
      times the weight;
    - three bits to two, one LUT with two outputs.

    The last two rows meet in a carry chain.

    Parameters
    ----------
    m, width, name
        Of `BitHeap`.
    primitives : bool
        Instances of the FPGA's primitives; else the same network in plain logic.
    """

    def __init__(self, m: Module, width: int, *, name: str, primitives: bool) -> None:
        super().__init__(m, width, name=name)
        self._slice = SlicePrimitives(m, name, primitives=primitives)
        self._columns: list[list[Value]] = [[] for _ in range(width)]
        self._lanes: list[list[tuple[Value, Value]]] = [[] for _ in range(width)]

    def add_bit(self, weight: int, bit: ValueLike, arrival: float = 0) -> None:
        """Add ``bit << weight``; slices take bits in the order in which they are added."""
        if weight < self.width:
            self._columns[weight].append(Value.cast(bit))

    def add_matches(self, a: Value, w: Value, weight: int = 0) -> None:
        """Add ``popcount(xnor(a, w)) << weight``."""
        self._lanes[weight] += list(zip(a, w, strict=True))

    def sum(self) -> Value:
        """Return the sum, unsigned, of `width` bits; the heap is used up."""
        self._drive_operands()
        for weight in range(self.width):
            self._fold_lanes(weight)
        for weight in range(self.width):
            if self._constant >> weight & 1:
                self.add_bit(weight, Const(1, 1))
        for weight in range(self.width):
            while len(self._columns[weight]) >= 6:
                self._count_sixes(weight)
        for weight in range(self.width):
            while len(self._columns[weight]) > 2:
                self._full_adder(weight)
        return self._add_rows()

    def _fold_lanes(self, weight: int) -> None:
        """Put the lanes of one weight through full adders, two and the sum so far at a time."""
        lanes, self._lanes[weight] = self._lanes[weight], []
        for start in range(0, len(lanes), 2 * ROUND):
            part = lanes[start : start + 2 * ROUND]
            total: Value = Const(0, 1)
            if self._constant >> weight & 1:
                # A constant rides for free where a row of adders begins.
                self.add_const(-(1 << weight))
                total = Const(1, 1)
            for (a, w), (b, v) in zip(part[::2], part[1::2], strict=False):
                total, carry = self._slice.lut2(_pair_sum, _pair_carry, [a, w, b, v, total])
                self.add_bit(weight + 1, carry)
            if len(part) % 2:
                a, w = part[-1]
                last = [a, w, Const(1, 1), Const(0, 1), total]
                total, carry = self._slice.lut2(_pair_sum, _pair_carry, last)
                self.add_bit(weight + 1, carry)
            self.add_bit(weight, total)

    def _count_sixes(self, weight: int) -> None:
        """Run a carry chain over six bits of this column, of the next but one, and so on."""
        column = self._columns[weight]
        carry = column.pop(0) if len(column) > 6 else Const(0, 1)
        select: list[Value] = []
        data: list[Value] = []
        start = weight
        while weight < self.width and len(self._columns[weight]) >= 6:
            column = self._columns[weight]
            six, self._columns[weight] = column[:6], column[6:]
            middle, four = self._slice.lut2(
                lambda *y: sum(y) in (2, 3), lambda *y: sum(y) >= 4, six[:5]
            )
            select += [self._slice.lut(_parity, six), middle]
            data += [six[5], four]
            weight += 2
        sums, last = self._slice.chain(select, data, carry)
        for place, bit in enumerate([*sums, last]):
            self.add_bit(start + place, bit)

    def _full_adder(self, weight: int) -> None:
        column = self._columns[weight]
        three, self._columns[weight] = column[:3], column[3:]
        total, carry = self._slice.lut2(_parity, _majority, three)
        self.add_bit(weight, total)
        self.add_bit(weight + 1, carry)

    def _add_rows(self) -> Value:
        """Add the two rows that are left, from the first column that holds two bits."""
        zero: Value = Const(0, 1)
        low = next((k for k, c in enumerate(self._columns) if len(c) > 1), self.width)
        done = [(column or [zero])[0] for column in self._columns[:low]]
        rows: Sequence[list[Value]] = [[*c, zero, zero][:2] for c in self._columns[low:]]
        if not rows:
            return Cat(*done)
        select = [self._slice.lut(_parity, row) for row in rows]
        sums, _ = self._slice.chain(select, [row[0] for row in rows], zero)
        return Cat(*done, *sums)
