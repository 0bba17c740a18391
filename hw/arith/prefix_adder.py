"""Parallel-prefix addition: every carry as a tree of (generate, propagate) pairs."""

from amaranth.hdl import Cat, Const, Module, Signal, Value, ValueLike

KINDS = ("sklansky", "ripple")

_Pair = tuple[Value, Value]


def prefix_add(
    m: Module,
    a: ValueLike,
    b: ValueLike,
    cin: ValueLike | None = None,
    *,
    name: str,
    kind: str = "sklansky",
) -> Value:
    """Return ``a + b + cin`` as an unsigned value of ``max(len(a), len(b)) + 1`` bits.

    Operands count as unsigned; the shorter one is extended with zeros. Exact, combinational.

    Parameters
    ----------
    m : Module
        Receives the logic, in its combinational domain.
    a, b : ValueLike
        Addends.
    cin : ValueLike, optional
        Carry in, one bit.
    name : str
        Prefix of the signals' names.
    kind : str
        ``"sklansky"`` or ``"ripple"``.

    Raises
    ------
    ValueError
        If `kind` is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown prefix network {kind!r}; choose one of {', '.join(KINDS)}")
    a, b = Value.cast(a), Value.cast(b)
    width = max(len(a), len(b))
    bits_a = [a[k] if k < len(a) else Const(0, 1) for k in range(width)]
    bits_b = [b[k] if k < len(b) else Const(0, 1) for k in range(width)]
    half = [
        _bit(m, x ^ y, f"{name}_h{k}") for k, (x, y) in enumerate(zip(bits_a, bits_b, strict=True))
    ]
    spans: dict[tuple[int, int], _Pair] = {}
    for k, (x, y) in enumerate(zip(bits_a, bits_b, strict=True)):
        spans[k, k] = _bit(m, x & y, f"{name}_g{k}"), _bit(m, x | y, f"{name}_p{k}")
    if cin is not None and width:
        g, p = spans[0, 0]
        spans[0, 0] = _bit(m, g | (p & Value.cast(cin)[0]), f"{name}_g0c"), p

    def span(high: int, low: int) -> _Pair:
        if (high, low) not in spans:
            cut = high - 1 if kind == "ripple" else low + (1 << (high - low).bit_length() - 1) - 1
            (gh, ph), (gl, pl) = span(high, cut + 1), span(cut, low)
            tag = f"{high}_{low}"
            g = _bit(m, gh | (ph & gl), f"{name}_g{tag}")
            # No carry below bit 0 exists, so a span down to it needs no propagate.
            p = _bit(m, ph & pl, f"{name}_p{tag}") if low else Const(0, 1)
            spans[high, low] = g, p
        return spans[high, low]

    carry = [Const(0, 1) if cin is None else Value.cast(cin)[0]]
    carry += [span(high, 0)[0] for high in range(width)]
    return Cat(*(h ^ c for h, c in zip(half, carry[:width], strict=True)), carry[width])


def _bit(m: Module, value: Value, name: str) -> Signal:
    """Name a one-bit value, so that everything that uses it shares one gate."""
    signal = Signal(name=name)
    m.d.comb += signal.eq(value)
    return signal
