"""Adding a scaled sign to a carry-save heap, the elementary step of every multi-level sum."""

from amaranth.hdl import Cat, Const, Mux, Value

from mubinn.hw.arith.bit_heap import BitHeap


def add_scaled_sign(heap: BitHeap, scale: Value, positive: Value) -> None:
    """Add ``scale`` where the level bit `positive` is 1, ``-scale`` where it is 0.

    A negative is the complement plus one; the one goes into the heap as a bit of weight 0, so no
    carry chain is spent on it.

    Parameters
    ----------
    heap : BitHeap
        Modulo a width that holds the final sum.
    scale : Value
        Unsigned or signed.
    positive : Value
        One bit.
    """
    # Zero extension gives an unsigned scale the sign bit that its complement needs.
    wide = scale if scale.shape().signed else Cat(scale, Const(0, 1)).as_signed()
    heap.add(Mux(positive, wide, ~wide))
    heap.add_bit(0, ~positive)
