"""Networks that count the matches of bit vectors, chosen by what they are to be built of."""

from typing import Protocol

from amaranth.hdl import Module, Signal, Value

from mubinn.hw.arith.bit_heap import BitHeap
from mubinn.hw.arith.slice_heap import SliceHeap

NETWORKS = ("asic", "lut4", "xc7", "xc7-plain")


class MatchHeap(Protocol):
    """A sum of weighted bits and of counted matches, modulo two to its width."""

    def add(self, value: Value, weight: int = 0) -> None:
        """Add ``value << weight``, signed or unsigned."""

    def add_const(self, constant: int) -> None:
        """Add a constant, of either sign."""

    def add_matches(self, a: Value, w: Value, weight: int = 0) -> None:
        """Add ``popcount(xnor(a, w)) << weight``."""

    def sum(self) -> Value:
        """Return the sum, unsigned; the heap is used up."""


class GateHeap:
    """Carry-save adders of standard cells in order of arrival, and a short prefix adder."""

    def __init__(self, m: Module, width: int, *, name: str) -> None:
        self._m = m
        self._name = name
        self._heap = BitHeap(width, name=name)
        self._vectors = 0

    def add(self, value: Value, weight: int = 0) -> None:
        """Add ``value << weight``, signed or unsigned."""
        self._heap.add(value, weight)

    def add_const(self, constant: int) -> None:
        """Add a constant, of either sign."""
        self._heap.add_const(constant)

    def add_matches(self, a: Value, w: Value, weight: int = 0) -> None:
        """Add ``popcount(xnor(a, w)) << weight``."""
        same = Signal(len(a), name=f"{self._name}_same{self._vectors}")
        self._vectors += 1
        self._m.d.comb += same.eq(~(a ^ w))
        for k in range(len(a)):
            self._heap.add_bit(weight, same[k], 1)

    def sum(self) -> Value:
        """Return the sum, unsigned; the heap is used up."""
        return self._heap.sum(self._m)


def match_heap(m: Module, width: int, *, network: str = "asic", name: str = "count") -> MatchHeap:
    """Return an empty heap of `width` bits whose logic goes into `m`.

    Parameters
    ----------
    network : str
        ``"asic"``: carry-save adders and a prefix adder, for standard cells. ``"lut4"``: the same,
        as trees of carry chains save nothing with four-input LUTs. ``"xc7"``: cells of Xilinx
        7-series slices. ``"xc7-plain"``: the same network as ``"xc7"`` in plain logic, for
        simulators without models of those cells.

    Raises
    ------
    ValueError
        If `network` is unknown.
    """
    if network in ("asic", "lut4"):
        return GateHeap(m, width, name=name)
    if network not in NETWORKS:
        raise ValueError(f"unknown network {network!r}; choose one of {', '.join(NETWORKS)}")
    return SliceHeap(m, width, name=name, primitives=network == "xc7")
