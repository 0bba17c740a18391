"""Networks that count the matches of bit vectors, chosen by what they are to be built of."""

from amaranth.hdl import Module

from mubinn.hw.arith.bit_heap import BitHeap
from mubinn.hw.arith.gate_heap import GateHeap
from mubinn.hw.arith.slice_heap import SliceHeap

NETWORKS = ("asic", "lut4", "xc7", "xc7-plain")


def match_heap(m: Module, width: int, *, network: str = "asic", name: str = "count") -> BitHeap:
    """Return an empty heap of `width` bits whose logic goes into `m`.

    Parameters
    ----------
    network : str
        ``"asic"``: carry-save adders and a prefix adder, for standard cells. ``"lut4"``: the same,
        as trees of carry chains save nothing with four-input LUTs. ``"xc7"``: primitives of Xilinx
        7-series slices. ``"xc7-plain"``: the same network as ``"xc7"`` in plain logic, for
        simulators without models of those primitives.

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
