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
    """Return the splits that make every carry earliest when bit k arrives at ``arrival[k]``.

    The model counts two-input gates: a generate passes one gate from its upper generate and two
    from the rest, a propagate one. Of equally fast splits the one whose parts exist already wins,
    then the one with the lowest cut, so that spans are shared.
    """
    width = len(arrival)
    gen = {(k, k): t + 1.0 for k, t in enumerate(arrival)}
    prop = dict(gen)
    best: _Split = {}
    for size in range(2, width + 1):
        for low in range(width - size + 1):
            high = low + size - 1
            time, cut = min(
                (
                    max(gen[high, k + 1] + 1, prop[high, k + 1] + 2, gen[k, low] + 2),
                    k,
                )
                for k in range(low, high)
            )
            best[high, low] = cut
            gen[high, low] = time
            prop[high, low] = 1 + max(prop[high, cut + 1], prop[cut, low])
    return _share(width, best, gen, prop)


def _share(
    width: int,
    best: _Split,
    gen: dict[tuple[int, int], float],
    prop: dict[tuple[int, int], float],
) -> _Split:
    """Keep the spans that the carries use; among equally fast cuts prefer spans in use."""
    used: _Split = {}

    def need(high: int, low: int) -> None:
        if high == low or (high, low) in used:
            return
        options = [
            k
            for k in range(low, high)
            if max(gen[high, k + 1] + 1, prop[high, k + 1] + 2, gen[k, low] + 2) <= gen[high, low]
            and max(prop[high, k + 1], prop[k, low]) + 1 <= prop[high, low]
        ]

        def cost(cut: int) -> tuple[int, int]:
            parts = ((high, cut + 1), (cut, low))
            return sum(p not in used and p[0] != p[1] for p in parts), cut

        cut = min(options, key=cost, default=best[high, low])
        used[high, low] = cut
        need(high, cut + 1)
        need(cut, low)

    for high in range(width):
        need(high, 0)
    return used


def prefix_add(
    m: Module,
    a: ValueLike,
    b: ValueLike,
    cin: ValueLike | None = None,
    *,
    name: str,
    kind: str = "arrival",
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
