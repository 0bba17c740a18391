"""Logarithmic shifters and a leading-zero counter."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value


def shift_right(m: Module, value: Value, amount: Value, width: int, name: str) -> Value:
    """Return the low `width` bits of ``value >> amount``: one level of multiplexers an amount bit.

    The largest step comes first, so that bits which cannot reach the result leave early.
    """
    stage = value
    for k in reversed(range(len(amount))):
        keep = min(width + (1 << k) - 1, len(stage))
        moved = Signal(keep, name=f"{name}_{1 << k}")
        m.d.comb += moved.eq(Mux(amount[k], stage >> (1 << k), stage))
        stage = moved
    return stage[:width]


def shift_left(m: Module, value: Value, amount: Value, name: str) -> Value:
    """Return the low ``len(value)`` bits of ``value << amount``, largest step first."""
    stage = value
    for k in reversed(range(len(amount))):
        moved = Signal(len(value), name=f"{name}_{1 << k}")
        m.d.comb += moved.eq(Mux(amount[k], Cat(Const(0, 1 << k), stage), stage))
        stage = moved
    return stage


def leading_zeros(m: Module, value: Value, name: str) -> tuple[Value, Value]:
    """Return the leading zeros of `value` and, as one bit, whether it is not 0.

    A tree of pairs: of two neighbours the upper one counts unless it is all zeros. The count has
    ``ceil(log2(len(value)))`` bits; for the value 0 it means nothing.
    """
    levels = max(1, (len(value) - 1).bit_length())
    padding = (1 << levels) - len(value)
    # Padding goes below the value, so that it adds nothing to the count of a value other than 0.
    bits = [*reversed([*Const(0, padding), *value])]
    nodes: list[tuple[Value, Value]] = [(bit, Const(0, 0)) for bit in bits]
    for level in range(levels):
        merged: list[tuple[Value, Value]] = []
        for k in range(0, len(nodes), 2):
            (some_high, high), (some_low, low) = nodes[k], nodes[k + 1]
            some = Signal(name=f"{name}_some{level}_{k}")
            number = Signal(level + 1, name=f"{name}_count{level}_{k}")
            m.d.comb += [
                some.eq(some_high | some_low),
                number.eq(Cat(Mux(some_high, high, low), ~some_high)),
            ]
            merged.append((some, number))
        nodes = merged
    return nodes[0][1], nodes[0][0]
