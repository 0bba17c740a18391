"""The timing arcs of library cells: delay and slew tables, clock to Q, setup."""

import re
from dataclasses import dataclass
from functools import cached_property

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.gate_reader import CellReader
from mubinn.synth.liberty.nldm import Table, cap_unit_ff, time_unit_ps
from mubinn.synth.liberty.tree import Group, parse_group

RISE, FALL = 0, 1
EDGES = ("rise", "fall")
CLOCKED = ("rising_edge", "falling_edge")
LOGIC = ("", "combinational")
SETUP = ("setup_rising", "setup_falling")


@dataclass(frozen=True)
class Arc:
    """A path through a cell from one pin to another.

    Attributes
    ----------
    pin : str
        Where it begins.
    sense : str
        ``positive_unate``, ``negative_unate`` or ``non_unate``.
    delay, slew : pair of Table
        For the rising and the falling edge of the output.
    """

    pin: str
    sense: str
    delay: tuple[Table, Table]
    slew: tuple[Table, Table]

    def causes(self, edge: int) -> tuple[int, ...]:
        """Return the input edges that may cause an output edge."""
        if self.sense == "positive_unate":
            return (edge,)
        return (1 - edge,) if self.sense == "negative_unate" else (RISE, FALL)


@dataclass(frozen=True)
class CellTiming:
    """What static timing needs of a cell; ps and fF.

    Attributes
    ----------
    loads : dict of str to float
        Capacitance of the input pins.
    edge_loads : dict of str to (float, float)
        Largest capacitance of the input pins as they rise and as they fall.
    outputs : set of str
        Output pins.
    arcs : dict of str to tuple of Arc
        Logic arcs by output pin.
    launches : dict of str to tuple of Arc
        Arcs from the clock by output pin.
    setups : dict of str to pair of Table
        By data pin: setup of a rising and of a falling edge, over clock slew and data slew.
    """

    loads: dict[str, float]
    edge_loads: dict[str, tuple[float, float]]
    outputs: set[str]
    arcs: dict[str, tuple[Arc, ...]]
    launches: dict[str, tuple[Arc, ...]]
    setups: dict[str, tuple[Table, Table]]


class LibraryTiming(CellReader[CellTiming]):
    """Arcs of a library's cells, each read when it is asked for.

    Parameters
    ----------
    library : Library
    """

    @cached_property
    def _units(self) -> list[tuple[float, float, dict[str, Group]]]:
        """Per text: ps in its time unit, fF in its capacitance unit, table templates by name."""
        units = []
        for text in self._library.texts:
            heads = re.finditer(r"lu_table_template\s*\([^)]*\)\s*\{[^}]*\}", text)
            templates = [parse_group(head.group(0)) for head in heads]
            named = {template.arguments[0]: template for template in templates}
            units.append((time_unit_ps(text), cap_unit_ff(text), named))
        return units

    def _read(self, cell: Group, source: int) -> CellTiming:
        _, farads, _ = self._units[source]
        found = CellTiming({}, {}, set(), {}, {}, {})
        for pin in cell.of("pin"):
            name = pin.arguments[0]
            if pin.get("direction") == "input":
                found.loads[name] = float(pin.get("capacitance", "0")) * farads
                found.edge_loads[name] = (
                    _edge_load(pin, RISE) * farads,
                    _edge_load(pin, FALL) * farads,
                )
            elif pin.get("direction") == "output":
                found.outputs.add(name)
            for kinds, into in ((LOGIC, found.arcs), (CLOCKED, found.launches)):
                arcs = [self._arc(t, source) for t in pin.of("timing") if _kind(t) in kinds]
                if arcs:
                    into[name] = tuple(arcs)
            for timing in pin.of("timing"):
                if _kind(timing) in SETUP:
                    rise, fall = (f"{edge}_constraint" for edge in EDGES)
                    pair = self._table(timing, rise, source), self._table(timing, fall, source)
                    found.setups[name] = pair
        return found

    def _arc(self, timing: Group, source: int) -> Arc:
        delay = tuple(self._table(timing, f"cell_{edge}", source) for edge in EDGES)
        slew = tuple(self._table(timing, f"{edge}_transition", source) for edge in EDGES)
        return Arc(
            timing.get("related_pin"),
            timing.get("timing_sense", "non_unate"),
            (delay[0], delay[1]),
            (slew[0], slew[1]),
        )

    def _table(self, timing: Group, kind: str, source: int) -> Table:
        """Return a table in ps over ps and fF."""
        group = next(timing.of(kind), None)
        if group is None:
            raise MubinnError(f"A timing arc has no {kind} table: complete the library.")
        ps, farads, templates = self._units[source]
        template = templates.get(group.arguments[0], Group("", ()))
        values = [ps * number for number in group.numbers("values")]
        axes = [group.numbers(k) or template.numbers(k) for k in ("index_1", "index_2")]
        if len(values) == 1:
            return Table((0.0,), (0.0,), ((values[0],),))
        by_load = "capacitance" in template.get("variable_1")
        units = [farads, ps] if by_load else [ps, ps if "constraint" in kind else farads]
        first, second = (
            tuple(unit * number for number in axis) or (0.0,)
            for axis, unit in zip(axes, units, strict=True)
        )
        if len(values) != len(first) * len(second):
            raise MubinnError(f"A {kind} table is not complete: complete the library.")
        width = len(second)
        rows = tuple(tuple(values[k : k + width]) for k in range(0, len(values), width))
        # Tables are returned over (slew, load), and constraints over (clock slew, data slew).
        if by_load or template.get("variable_1").startswith("constrained"):
            return Table(second, first, tuple(zip(*rows, strict=True)))
        return Table(first, second, rows)


def _edge_load(pin: Group, edge: int) -> float:
    """Return an input's capacitance at an edge: the top of its range, as late paths meet it."""
    key = f"{EDGES[edge]}_capacitance"
    ends = pin.numbers(f"{key}_range")
    return max(ends) if ends else float(pin.get(key) or pin.get("capacitance", "0"))


def _kind(timing: Group) -> str:
    return timing.get("timing_type")
