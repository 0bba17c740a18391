"""Parallel-prefix addition: every carry as a tree of (generate, propagate) pairs."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Signal, Value, ValueLike

KINDS = ("arrival", "sklansky", "kogge-stone", "brent-kung", "ripple")

_Pair = tuple[Value, Value]
_Split = dict[tuple[int, int], int]


def _uniform_splits(width: int, kind: str) -> _Split:
    """Return, for each span (high, low) of a classical network, where its lower part ends."""
    splits: _Split = {}

    def need(high: int, low: int) -> None:
        size = high - low + 1
        if size == 1 or (high, low) in splits:
            return
        half = 1 << (size - 1).bit_length() - 1
        if kind == "ripple":
            cut = high - 1
        elif kind == "sklansky":
            cut = low + half - 1
        elif kind == "kogge-stone":
            cut = high - half
        else:  # brent-kung: the upper part is the largest aligned block that ends at high
            block = (high + 1) & -(high + 1)
            while block >= size:
                block >>= 1
            cut = high - block
        splits[high, low] = cut
        need(high, cut + 1)
        need(cut, low)

    for high in range(width):
        need(high, 0)
    return splits


def _arrival_splits(arrival: Sequence[float]) -> _Split:
    """Return the splits of a small network among those whose last carry is earliest.

    A span is there two gates after the later of its parts. The carries are built from the lowest
    up; each takes, of the splits that meet the common deadline, the one that adds fewest spans.
    """
    width = len(arrival)
    ready = {(k, k): float(t) for k, t in enumerate(arrival)}

    def after(high: int, low: int, cut: int) -> float:
        return 2 + max(ready[high, cut + 1], ready[cut, low])

    for span in range(2, width + 1):
        for low in range(width - span + 1):
            high = low + span - 1
            ready[high, low] = min(after(high, low, k) for k in range(low, high))
    deadline = max((ready[high, 0] for high in range(width)), default=0.0)
    splits: _Split = {}

    def size(high: int, low: int) -> int:
        """Estimate how many spans (high, low) adds."""
        if high == low or (high, low) in splits:
            return 0
        return 1 if high - 1 == low or (high - 1, low) in splits else high - low

    def build(high: int, low: int, due: float) -> None:
        if high == low or (high, low) in splits:
            return
        cuts = sorted(range(low, high), key=lambda k: size(high, k + 1) + size(k, low))
        # A span built for a later deadline may leave no cut that meets this one.
        cut = next(
            (k for k in cuts if after(high, low, k) <= due),
            min(cuts, key=lambda k: after(high, low, k)),
        )
        splits[high, low] = cut
        build(high, cut + 1, due - 2)
        build(cut, low, due - 2)
        ready[high, low] = after(high, low, cut)

    for high in range(width):
        build(high, 0, deadline)
    return splits


def prefix_add(
    m: Module,
    a: ValueLike,
    b: ValueLike,
    cin: ValueLike | None = None,
    *,
    name: str,
    kind: str = "sklansky",
    arrival: Sequence[float] | None = None,
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
        ``"arrival"`` (the prefix network of least delay for `arrival`), ``"sklansky"``,
        ``"kogge-stone"``, ``"brent-kung"`` or ``"ripple"``.
    arrival : sequence of float, optional
        When the later bit of each column is there, in two-input gates; all 0 by default. Used by
        ``kind="arrival"`` alone.

    Raises
    ------
    ValueError
        If `kind` is unknown or `arrival` does not give one time a column.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown prefix network {kind!r}; choose one of {', '.join(KINDS)}")
    a, b = Value.cast(a), Value.cast(b)
    width = max(len(a), len(b))
    if arrival is not None and len(arrival) != width:
        raise ValueError(f"{len(arrival)} arrival times for {width} columns")
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
    times = [0.0] * width if arrival is None else arrival
    splits = _arrival_splits(times) if kind == "arrival" else _uniform_splits(width, kind)

    def span(high: int, low: int) -> _Pair:
        if (high, low) not in spans:
            cut = splits[high, low]
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
