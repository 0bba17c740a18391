"""Population count as an explicit network of adders."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Value

from mubinn.hw.compressor import BitHeap

NETWORKS = ("carry-save", "adder-tree")


def popcount(
    m: Module,
    bits: Sequence[Value],
    width: int,
    *,
    constant: int = 0,
    arrival: float = 0,
    network: str = "carry-save",
    name: str = "count",
) -> Value:
    """Return the number of ones in `bits` plus `constant`, unsigned, modulo ``2**width``.

    Parameters
    ----------
    m : Module
        Receives the logic, in its combinational domain.
    bits : sequence of Value
        One-bit values.
    width : int
        Bits of the result.
    constant : int
        Added at the cost of one bit a column.
    arrival : float
        When the bits are there, in two-input gates.
    network : str
        ``"carry-save"``: full adders in order of arrival and a short prefix adder, for standard
        cells. ``"adder-tree"``: a balanced tree of ``+``, for carry chains.
    name : str
        Prefix of the signals' names.

    Raises
    ------
    ValueError
        If `network` is unknown.
    """
    if network == "carry-save":
        heap = BitHeap(width, name=name)
        for bit in bits:
            heap.add_bit(0, bit, arrival)
        heap.add_const(constant)
        return heap.sum(m)
    if network != "adder-tree":
        raise ValueError(f"unknown network {network!r}; choose one of {', '.join(NETWORKS)}")
    terms = list(bits)
    while len(terms) > 1:
        pairs = zip(terms[0::2], terms[1::2], strict=False)
        terms = [a + b for a, b in pairs] + terms[len(terms) & ~1 :]
    total = (sum(terms, start=Cat()) + constant).as_unsigned()
    return Cat(total, *[total[-1] * 0] * width)[:width]
