"""The integrated clock gate of a library: a latch for the enable, and the gate behind it."""

from dataclasses import dataclass

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.library import Library, LibraryGate
from mubinn.synth.liberty.tech65 import LATCHED
from mubinn.synth.liberty.tree import Group

KINDS = (LATCHED, f"{LATCHED}_precontrol")
"""Those that pass the rising edges before which the enable is 1; the second has a pin for tests."""


@dataclass(frozen=True)
class ClockGate:
    """A gate's name, and its pins: the enable, clock in and out, and what a test sets, or nothing.

    The clock that goes out is low while the enable is 0.
    """

    name: str
    enable: str
    clock: str
    out: str
    test: str = ""


def clock_gate_of(gate: LibraryGate) -> ClockGate | None:
    """Return the pins of a gate; None where it is none for clocks, or one of another kind."""
    if gate.group.get("clock_gating_integrated_cell") not in KINDS:
        return None
    names = ("enable", "clock", "out", "test")
    enable, clock, out, test = (_pin(gate.group, name) for name in names)
    if not (enable and clock and out):
        return None
    return ClockGate(gate.name, enable, clock, out, test)


def _pin(gate: Group, name: str) -> str:
    key = f"clock_gate_{name}_pin"
    return next((pin.arguments[0] for pin in gate.of("pin") if pin.get(key) == "true"), "")


def find_clock_gate(library: Library) -> ClockGate:
    """Return the smallest clock gate, those without a pin for tests first.

    Patterns that keep it from logic do not count.

    >>> from mubinn.synth.liberty.library import builtin_library
    >>> find_clock_gate(builtin_library(clock_gates=True))
    ClockGate(name='ICG_X1', enable='EN', clock='CK', out='GCK', test='')

    Raises
    ------
    MubinnError
        There is none.
    """
    found = [(gate.area_um2 or 0.0, own) for gate in library.gates if (own := clock_gate_of(gate))]
    if not found:
        raise MubinnError(
            f"The library {library.name} has no clock gate of kind {KINDS[0]}: take one that has, "
            "or go without clock gates."
        )
    return min(found, key=lambda pair: (bool(pair[1].test), *pair[:1], pair[1].name))[1]
