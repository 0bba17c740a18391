"""Partial products of integer multiplication, for a heap of bits."""

from amaranth.hdl import Value, ValueLike

from mubinn.hw.arith.bit_heap import BitHeap


def add_product(
    heap: BitHeap, a: ValueLike, b: ValueLike, weight: int = 0, arrival: float = 0
) -> None:
    """Add ``a * b << weight`` to `heap`, exact modulo its width; either operand may be signed.

    One AND gate a partial product. A partial product of negative weight, which has one sign bit
    among its two factors, is added inverted and corrected by a constant (Baugh and Wooley).

    Parameters
    ----------
    heap : BitHeap
    a, b : ValueLike
    weight : int
        Position of the product's lowest bit.
    arrival : float
        When the operands are there, in two-input gates.
    """
    left, right = Value.cast(a), Value.cast(b)
    for j in range(len(left)):
        for k in range(len(right)):
            negative = (j == len(left) - 1 and left.shape().signed) != (
                k == len(right) - 1 and right.shape().signed
            )
            place = weight + j + k
            bit = left[j] & right[k]
            heap.add_bit(place, ~bit if negative else bit, arrival + 1)
            if negative:
                heap.add_const(-(1 << place))
