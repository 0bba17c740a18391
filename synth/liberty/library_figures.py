"""What tells libraries apart: the delays of their smallest gates, in their own FO4."""

from mubinn.synth.liberty.adder_gates import MAJORITY, PARITY
from mubinn.synth.liberty.boolean import truth_table
from mubinn.synth.liberty.gate_timing import GateTiming, LibraryTiming
from mubinn.synth.liberty.library import Library

FUNCTIONS: dict[str, tuple[set[tuple[int, int]], ...]] = {
    "nand2": ({(2, 0b0111)},),
    "nor2": ({(2, 0b0001)},),
    "xor2": ({(2, 0b0110)}, {(2, 0b1001)}),
    "full_adder": ({PARITY, MAJORITY},),
}
"""The truth tables that the outputs of a gate have together: the alternatives of each kind."""

MOST_INPUTS = 3
FLIPFLOP = "flipflop"
FAN_OUT = 4


def gate_figures(library: Library) -> dict[str, float | None]:
    """Return the delay in FO4 of the smallest gate of each kind, None where there is none.

    The slowest arc to an output that drives four of the smallest inverters, from inputs with the
    slew of an inverter that does so. Of the smallest flip-flop: clock to Q and setup together.
    """
    timing = LibraryTiming(library)
    inverter, pin = library.inverters[0]
    ((_, (arc, *_)),) = timing.gate(inverter.name).arcs.items()
    load = FAN_OUT * pin
    slew = max(table.at(0.0, load) for table in arc.slew)
    gates = [
        (c.area_um2, c.name, _tables(c.functions)) for c in library.usable() if not c.has_state
    ]
    found: dict[str, float | None] = {}
    for kind, alternatives in FUNCTIONS.items():
        fits = [(area, name) for area, name, made in gates if area and made in alternatives]
        known = timing.gate(min(fits)[1]) if fits else None
        found[kind] = _slowest(known, slew, load) / library.fo4_ps if known else None
    flipflops = [(c.area_um2, c.name) for c in library.usable() if c.is_flipflop and c.area_um2]
    known = timing.gate(min(flipflops)[1]) if flipflops else None
    found[FLIPFLOP] = _clocked(known, slew, load) / library.fo4_ps if known else None
    return found


def _tables(functions: tuple[str, ...]) -> set[tuple[int, int]]:
    """Return the truth tables of a gate's outputs."""
    tables = {truth_table(function, MOST_INPUTS) for function in functions}
    return {table for table in tables if table is not None}


def _slowest(gate: GateTiming, slew: float, load: float) -> float:
    """Return the delay of a gate's slowest arc, ps."""
    arcs = (arc for several in gate.arcs.values() for arc in several)
    return max(table.at(slew, load) for arc in arcs for table in arc.delay)


def _clocked(gate: GateTiming, slew: float, load: float) -> float:
    """Return clock to output and setup of a flip-flop, ps; the clock has no slew."""
    arcs = (arc for several in gate.launches.values() for arc in several)
    setups = (table for pair in gate.setups.values() for table in pair)
    launch = max(table.at(0.0, load) for arc in arcs for table in arc.delay)
    return launch + max(table.at(0.0, slew) for table in setups)
