"""Radix-4 Booth partial products, put into a bit heap."""

from amaranth.hdl import Cat, Const, Module, Signal, Value

from mubinn.hw.arith.bit_heap import BitHeap

#: When a partial product's bit and a digit's sign are there, in two-input gates.
_BIT, _SIGN = 4.0, 1.0


def add_product(m: Module, heap: BitHeap, x: Value, y: Value, name: str) -> None:
    """Put ``x * y`` into `heap` in half as many rows as `y` has bits.

    Each digit in -2..2 of `y` selects a multiple of `x`; a negative one is the complement plus one.
    Signed operands are in two's complement; for an unsigned `y` there is one digit more.

    Parameters
    ----------
    m : Module
        Receives the logic.
    heap : BitHeap
    x, y : Value
        Multiplicand and multiplier; both signed or both unsigned.
    name : str
        Prefix of the signals' names.
    """
    signed = x.shape().signed
    if signed != y.shape().signed:
        raise ValueError("both operands of a product are signed, or neither is")
    last = [y[-1]] if signed else [Const(0, 1), Const(0, 1)]
    multiplier = [Const(0, 1), *y, *last]
    for digit in range(len(y) // 2 + (len(y) % 2 if signed else 1)):
        low, middle, high = multiplier[2 * digit : 2 * digit + 3]
        tag = f"{name}{digit}"
        if isinstance(high, Const):
            # The last digit of an unsigned number: 0 or 1, or for an odd length 0 to 2.
            _add_row(m, heap, x, (low ^ middle, low & middle, None), 2 * digit, tag)
            continue
        one, two = Signal(name=f"{tag}_one"), Signal(name=f"{tag}_two")
        m.d.comb += [one.eq(low ^ middle), two.eq(~(low ^ middle) & (high ^ middle))]
        _add_row(m, heap, x, (one, two, high), 2 * digit, tag)
        heap.add_bit(2 * digit, high, _SIGN)


def _add_row(
    m: Module,
    heap: BitHeap,
    x: Value,
    digit: tuple[Value, Value, Value | None],
    weight: int,
    tag: str,
) -> None:
    """Put one multiple of `x`, complemented if negative, at `weight` and above."""
    one, two, negative = digit
    sign = [x[-1]] if x.shape().signed else []
    single, double = [*x, *sign], [Const(0, 1), *x]
    single += [Const(0, 1)] * (len(double) - len(single))
    row = Signal(len(double), name=f"{tag}_row")
    chosen = Cat((one & s) | (two & d) for s, d in zip(single, double, strict=True))
    if negative is None:
        m.d.comb += row.eq(chosen)
        heap.add(row.as_signed() if sign else row, weight, _BIT)
        return
    m.d.comb += row.eq(chosen ^ negative.replicate(len(row)))
    if sign:
        heap.add(row.as_signed(), weight, _BIT)
    else:
        heap.add(row, weight, _BIT)
        heap.add(negative.as_signed(), weight + len(row), _SIGN)
