"""What a library says of its cells' energy: voltage, internal energy of pins, leakage."""

import re
from dataclasses import dataclass
from functools import cached_property

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.gate_reader import CellReader
from mubinn.synth.liberty.library import Library
from mubinn.synth.liberty.nldm import Table, cap_unit_ff, time_unit_ps
from mubinn.synth.liberty.tree import Group, parse_group

SLEW_FO4 = 1.3
"""Slew at which energies are read, in FO4: 20 % to 80 % in a chain of fan-out four (tech65_cells:
23.66 ps at 18.25 ps)."""

NO_INTERNAL = "The library has no internal_power: energy needs one that has."
EDGES = ("rise_power", "fall_power")
_NUMBER = r"\"?([\d.eE+-]+)"
_WATTS = {"p": 1e-3, "n": 1.0, "u": 1e3, "m": 1e6, "": 1e9}


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
class CellEnergy:
    """Leakage in nW, and the internal energy of pins by name."""

    leakage_nw: float
    pins: dict[str, PinEnergy]


class LibraryEnergy(CellReader[CellEnergy]):
    """Energies of a library's cells, each read when it is asked for.

    Groups for single states of other pins (``when``) count where a pin has no general one, all
    alike; so do leakages by state.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        super().__init__(library)
        self.slew_ps = SLEW_FO4 * library.fo4_ps

    @cached_property
    def lacks(self) -> str:
        """What the library would need for energies, in a sentence; empty where it has all."""
        try:
            _ = self.voltage
        except MubinnError as error:
            return str(error)
        if not any("internal_power" in text for text in self._library.texts):
            return NO_INTERNAL
        return ""

    @cached_property
    def voltage(self) -> float:
        """Supply, V.

        Raises
        ------
        MubinnError
            If the library gives none.
        """
        for name in ("nom_voltage", "voltage"):
            for text in self._library.texts:
                found = re.search(rf"(?<!\w){name}\s*:\s*{_NUMBER}", text)
                if found:
                    return float(found.group(1))
        raise MubinnError("The library gives no voltage: add nom_voltage to it.")

    def _read(self, cell: Group, source: int) -> CellEnergy:
        text = self._library.texts[source]
        if "internal_power" not in text:
            raise MubinnError(NO_INTERNAL)
        pins = {}
        for pin in cell.of("pin"):
            found: dict[str, list[Group]] = {}
            for power in pin.of("internal_power"):
                for related in power.get("related_pin").split() or [""]:
                    found.setdefault(related, []).append(power)
            tables = {related: self._tables(all_, text) for related, all_ in found.items()}
            kept = {related: some for related, some in tables.items() if some}
            if kept:
                pins[pin.arguments[0]] = PinEnergy(kept)
        return CellEnergy(_leakage(cell, text), pins)

    def _tables(self, groups: list[Group], source: str) -> tuple[Table, ...]:
        general = [group for group in groups if not group.get("when")] or groups
        return tuple(
            self._table(table, source)
            for group in general
            for table in group.groups
            if table.kind in EDGES
        )

    def _table(self, table: Group, source: str) -> Table:
        """Return a table in fJ over ps and fF."""
        farads, ps = cap_unit_ff(source), time_unit_ps(source)
        joules = farads * self.voltage_unit(source) ** 2
        values = [number * joules for number in table.numbers("values")]
        if len(values) == 1:
            return Table((0.0,), (0.0,), ((values[0],),))
        template = self._templates[table.arguments[0]]
        first = table.numbers("index_1") or template.numbers("index_1")
        second = table.numbers("index_2") or template.numbers("index_2") or (0.0,)
        rows = [tuple(values[k : k + len(second)]) for k in range(0, len(values), len(second))]
        if "capacitance" in template.get("variable_1"):
            if template.get("variable_2"):
                rows = list(zip(*rows, strict=True))
                first, second = second, first
            else:
                rows, first, second = [tuple(values)], (0.0,), first
        slews, loads = tuple(x * ps for x in first), tuple(x * farads for x in second)
        return Table(slews, loads, tuple(rows))

    @cached_property
    def _templates(self) -> dict[str, Group]:
        heads = [
            parse_group(head)
            for text in self._library.texts
            for head in re.findall(r"power_lut_template\s*\([^)]*\)\s*\{[^}]*\}", text)
        ]
        return {head.arguments[0]: head for head in heads}

    @staticmethod
    def voltage_unit(source: str) -> float:
        """Return the volts in the library's voltage unit."""
        found = re.search(r"voltage_unit\s*:\s*\"?\s*([\d.]+)\s*(m?)V", source)
        return float(found.group(1)) * (1e-3 if found.group(2) else 1.0) if found else 1.0


def _leakage(cell: Group, source: str) -> float:
    """Return nW: the cell's own figure, else the mean of its states."""
    found = re.search(r"leakage_power_unit\s*:\s*\"?\s*([\d.]+)\s*([pnum]?)W", source)
    unit = float(found.group(1)) * _WATTS[found.group(2)] if found else 1.0
    stated = cell.get("cell_leakage_power")
    if stated:
        return float(stated) * unit
    states = [float(group.get("value", "0")) for group in cell.of("leakage_power")]
    return unit * sum(states) / len(states) if states else 0.0
