"""Forms that the memories of a layer may have, and what each stands on.

=========  ======================================================================================
one        each memory is one SRAM, by the cited model of `mubinn.synth.energy.energy_memory`
banks      each is cut into banks of 1 KB, of which the one that is read wakes; the same model at
           that size, which extrapolates below the 8 KB that were measured, and without the
           multiplexer behind the banks
latches    arrays of latches, standard cells: Meinerzhagen, Andersson, Andreasson, Ruetz, Burg et
           al., 4 kb in 65 nm, measured: 14 fJ for each accessed bit at 0.5 V, and a leakage of
           500 fW a bit at 0.22 V (infoscience.epfl.ch/record/178152). Brought to a library by
           ``C V**2`` as `scale` does
logic      what never changes is a tree of multiplexers (`mubinn.hw.layer.word_rom`), a part of the
           layer's own netlist and measured with it, area and leakage as well; what is written is
           as in "one"
=========  ======================================================================================

Leakage of an SRAM: Wang et al., JSSC 43 (2008), 1 Mb in 65 nm: 12 uA/Mb at its retention voltage,
0.5 V, with cells of 0.667 um^2. In SkyWater's 130 nm the OpenRAM macro
sky130_sram_1kbyte_1rw1r_32x256_8 has 0.912 uW and 50,479 um^2 by its Liberty file (1.8 V, 25 C). A
figure that is of another process than the library's is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.energy.energy_memory import ACCESS_BITS, Memory, access_pj, scale
from mubinn.synth.liberty.gate_energy import LibraryEnergy
from mubinn.synth.liberty.library import Library, builtin_library

KB = 8192
BANK_KB = 1.0
LATCH_FJ, LATCH_V = 14.0, 0.5
MB = 1 << 20


@dataclass(frozen=True)
class Kept:
    """What a stored bit takes at rest.

    Attributes
    ----------
    process : str
        With which the name of a library of that process begins.
    nw : float
        Leakage of a bit.
    um2 : float or None
        Area of a bit; None where it is not published.
    """

    process: str
    nw: float
    um2: float | None


SRAM = (
    Kept("tech65", 12_000 * 0.5 / MB, 0.667),
    Kept("sky130", 911.7994 / KB, 50479.104 / KB),
)
LATCHES = (Kept("tech65", 0.0005, None),)


@dataclass(frozen=True)
class MemoryForm:
    """One form.

    Attributes
    ----------
    name : str
    about : str
        For readers of a table.
    bit_fj : callable
        Energy of a bit that is accessed, fJ, of a memory and a library.
    kept : tuple of Kept
        What bits take at rest, by process.
    logic : bool
        What never changes is part of the layer's logic.
    loadable : bool
        Whether it may hold what is loaded at run time.
    """

    name: str
    about: str
    bit_fj: Callable[[Memory, Library], float]
    kept: tuple[Kept, ...]
    logic: bool = False
    loadable: bool = True

    def energy_fj(self, memory: Memory, library: Library) -> float:
        """Return what a memory's accesses take, fJ."""
        return self.bit_fj(memory, library) * memory.accessed

    def at_rest(self, memory: Memory, library: Library) -> Kept:
        """Return leakage, nW, and area, um^2, of all bits of a memory.

        Raises
        ------
        MubinnError
            If no figure is known of the library's process.
        """
        for kept in self.kept:
            if library.name.startswith(kept.process):
                um2 = None if kept.um2 is None else kept.um2 * memory.bits
                return Kept(kept.process, kept.nw * memory.bits, um2)
        raise MubinnError(
            f"No published leakage of memories in the form {self.name} is known for the process of "
            f"{library.name}: measure with the built-in library, or with the form logic."
        )


def _sram_fj(memory: Memory, library: Library, most_kb: float = float("inf")) -> float:
    """Return the energy of a bit of an SRAM that has at most so many KB, fJ."""
    size = min(memory.bits / KB, most_kb)
    return 1000 * scale(library) * access_pj(size) / ACCESS_BITS


def _banks_fj(memory: Memory, library: Library) -> float:
    return _sram_fj(memory, library, BANK_KB)


def _latches_fj(_memory: Memory, library: Library) -> float:
    """Return the energy of a bit of an array of latches, fJ."""
    built_in = builtin_library()
    own = scale(library) / scale(built_in)
    return LATCH_FJ * own * (LibraryEnergy(built_in).voltage / LATCH_V) ** 2


FORMS = {
    form.name: form
    for form in (
        MemoryForm("one", "an SRAM each", _sram_fj, SRAM),
        MemoryForm("banks", "SRAM in banks of 1 KB", _banks_fj, SRAM),
        MemoryForm("latches", "arrays of latches", _latches_fj, LATCHES),
        MemoryForm("logic", "constants as logic", _sram_fj, SRAM, logic=True, loadable=False),
    )
}
"""All forms by name."""
