"""Comparison as a tree: whether a signed number reaches another."""

from amaranth.hdl import Module, Signal, Value


def at_least(m: Module, a: Value, b: Value, *, name: str) -> Value:
    """Return ``a >= b``; both are of one length and count as signed. Combinational.

    Each span of bits tells whether a lies above b there, and whether it lies at least level; two
    spans make one in two gates. Constant bits of b leave one gate less.

    Parameters
    ----------
    m : Module
        Receives the logic, in its combinational domain.
    a, b : Value
        Two's complement.
    name : str
        Prefix of the signals' names.
    """
    if len(a) != len(b):
        raise ValueError(f"numbers of {len(a)} and {len(b)} bits")
    top = len(a) - 1
    # With its sign turned over a number in two's complement orders as an unsigned one.
    bits = [(~a[k], ~b[k]) if k == top else (a[k], b[k]) for k in range(len(a))]
    spans = [(x & ~y, x | ~y) for x, y in bits]
    # The lowest span has nothing below it: level is enough.
    spans[0] = (spans[0][1], spans[0][1])
    count = 0
    while len(spans) > 1:
        merged = []
        for low, high in zip(spans[::2], spans[1::2], strict=False):
            above, level = (Signal(name=f"{name}_{kind}{count}") for kind in ("above", "level"))
            m.d.comb += above.eq(high[0] | (high[1] & low[0]))
            m.d.comb += level.eq(high[1] & low[1])
            merged.append((above, level))
            count += 1
        spans = merged + spans[2 * len(merged) :]
    return spans[0][0]
