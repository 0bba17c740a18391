"""What a library says of its gates' energy: voltage, internal energy of pins, leakage."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.gate_timing import GATES_KEPT
from mubinn.synth.liberty.library import Library
from mubinn.synth.liberty.nldm import Table, cap_unit_ff, library_of, read_table, time_unit_ps
from mubinn.synth.liberty.tree import Group

SLEW_FO4 = 1.3
"""Slew at which energies are read, in FO4: 20 % to 80 % in a chain of fan-out four (tech65_gates:
23.66 ps at 18.25 ps)."""

NO_INTERNAL = "The library has no internal_power: energy needs one that has."
EDGES = ("rise_power", "fall_power")


@dataclass(frozen=True)
class PinEnergy:
    """Internal energy at one pin, per cause.

    Attributes
    ----------
    tables : dict of str to tuple of Table
        By related pin, empty for an input's own; fJ over ps and fF of rising and falling edges,
        whose mean counts, since edges alternate.
    """

    tables: dict[str, tuple[Table, ...]]

    def of(self, related: str, slew_ps: float, load_ff: float) -> float:
        """Return the mean energy of an edge, fJ."""
        tables = self.tables[related]
        return sum(table.at(slew_ps, load_ff) for table in tables) / len(tables)


@dataclass(frozen=True)
class GateEnergy:
    """Leakage in nW, and the internal energy of pins by name."""

    leakage_nw: float
    pins: dict[str, PinEnergy]


class LibraryEnergy:
    """Energies of a library's gates, each read when it is asked for.

    Groups for single states of other pins (``when``) count where a pin has no general one, all
    alike; so do leakages by state.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self.slew_ps = SLEW_FO4 * library.fo4_ps

    @cached_property
    def lacks(self) -> str:
        """What the library would need for energies, in a sentence; empty where it has all."""
        try:
            _ = self.voltage
        except MubinnError as error:
            return str(error)
        return "" if any(map(_has_internal, self._library.groups)) else NO_INTERNAL

    @cached_property
    def voltage(self) -> float:
        """Supply, V.

        Raises
        ------
        MubinnError
            If the library gives none.
        """
        for library in self._library.groups:
            if library.get("nom_voltage"):
                return library.number("nom_voltage")
            for conditions in library.of("operating_conditions"):
                if conditions.get("voltage"):
                    return conditions.number("voltage")
        raise MubinnError("The library gives no voltage: add nom_voltage to it.")

    def gate(self, name: str) -> GateEnergy:
        """Return what is known of a gate.

        Raises
        ------
        MubinnError
            If the library has no such gate, or its file no internal energies.
        """
        return _read(self._library.gate(name).group)


@lru_cache(GATES_KEPT)
def _read(gate: Group) -> GateEnergy:
    if not _has_internal(library_of(gate)):
        raise MubinnError(NO_INTERNAL)
    pins = {}
    for pin in gate.of("pin"):
        found: dict[str, list[Group]] = {}
        for power in pin.of("internal_power"):
            for related in power.get("related_pin").split() or [""]:
                found.setdefault(related, []).append(power)
        tables = {related: _tables(groups) for related, groups in found.items()}
        kept = {related: some for related, some in tables.items() if some}
        if kept:
            pins[pin.arguments[0]] = PinEnergy(kept)
    return GateEnergy(_leakage(gate), pins)


@lru_cache(8)
def _has_internal(library: Group) -> bool:
    pins = (pin for gate in library.of("cell") for pin in gate.of("pin"))
    return any(next(pin.of("internal_power"), None) for pin in pins)


def _tables(groups: list[Group]) -> tuple[Table, ...]:
    """Return tables in fJ over ps and fF."""
    general = [group for group in groups if not group.get("when")] or groups
    library = library_of(groups[0])
    farads, ps = cap_unit_ff(library), time_unit_ps(library)
    joules = farads * float(library.unit("voltage_unit", 0, 1.0)) ** 2
    return tuple(
        read_table(table).scaled(ps, farads, joules)
        for group in general
        for table in group.of(*EDGES)
    )


def _leakage(gate: Group) -> float:
    """Return nW: the gate's own figure, else the mean of its states, else the library's default.

    Raises
    ------
    MubinnError
        If there is none of them.
    """
    library = library_of(gate)
    unit = float(library.unit("leakage_power_unit", -9))
    if gate.get("cell_leakage_power"):
        return gate.number("cell_leakage_power") * unit
    states = [group.number("value") for group in gate.of("leakage_power")]
    if states:
        return unit * sum(states) / len(states)
    return library.number("default_cell_leakage_power") * unit
