"""Energy of reading on-chip memories: measured ones of 45 nm, brought to a library's own scale.

Horowitz, "Computing's energy problem", ISSCC 2014 (10.1109/ISSCC.2014.6757323): a 64-bit access of
a memory of 8 KB, 32 KB and 1 MB takes 10, 20 and 100 pJ in 45 nm at 0.9 V. Between and beyond these
sizes a power law joins them, and memories below 1 KB count as ones of 1 KB. The result is scaled
by ``C V**2``: with the feature size and the square of the voltage to the built-in 65-nm library's,
and from there with that of a library's smallest inverter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log

from mubinn.synth.liberty.gate_energy import LibraryEnergy
from mubinn.synth.liberty.library import Library
from mubinn.synth.liberty.tech65_gates import CIN_FF, VDD

ACCESS_PJ = ((8.0, 10.0), (32.0, 20.0), (1024.0, 100.0))
"""KB and pJ."""
ACCESS_BITS = 64
SOURCE_NM, SOURCE_V = 45, 0.9
BUILT_IN_NM = 65
SMALLEST_KB = 1.0


def access_pj(kilobytes: float) -> float:
    """Return the energy of a 64-bit access in 45 nm at 0.9 V, pJ."""
    size = max(kilobytes, SMALLEST_KB)
    low, high = ACCESS_PJ[:2] if size <= ACCESS_PJ[1][0] else ACCESS_PJ[1:]
    slope = log(high[1] / low[1]) / log(high[0] / low[0])
    return low[1] * exp(slope * log(size / low[0]))


def scale(library: Library) -> float:
    """Return a library's energy over that of 45 nm at 0.9 V."""
    built_in = BUILT_IN_NM / SOURCE_NM * (VDD / SOURCE_V) ** 2
    volts = LibraryEnergy(library).voltage
    return built_in * library.inverters[0][1] * volts**2 / (CIN_FF * VDD**2)


@dataclass(frozen=True)
class Memory:
    """A memory and what a cell operation reads and writes.

    Attributes
    ----------
    bits : float
        Its size.
    accessed : float
        Bits read or written for each cell operation.
    """

    bits: float
    accessed: float

    def energy_fj(self, library: Library) -> float:
        """Return the energy of a cell operation's accesses, fJ."""
        each = access_pj(self.bits / 8192) / ACCESS_BITS
        return 1000 * scale(library) * each * self.accessed


def memories_fj(memories: Mapping[str, Memory], library: Library) -> dict[str, float]:
    """Return the energy of a cell operation's accesses by memory, fJ."""
    return {name: memory.energy_fj(library) for name, memory in memories.items()}


def merged_memories(
    features: int, hidden: int, levels: Mapping[str, int], row_bits: int
) -> dict[str, Memory]:
    """Return the memories of a merged cell: x and h are read once for all rows of a step.

    `levels` are those of x, w, h and c; `row_bits` those of a row's constant, bias and all.
    """
    rows = 4 * (levels["w"] * (features + hidden) + row_bits)
    operand = levels["x"] * features + levels["h"] * hidden
    return {
        "weights": Memory(hidden * rows, rows),
        "state": Memory(
            operand + levels["c"] * hidden, operand / hidden + levels["h"] + 2 * levels["c"]
        ),
    }
