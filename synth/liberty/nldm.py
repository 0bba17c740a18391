"""Liberty's tables: read, scaled, interpolated, and an inverter's FO4 measured from them."""

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.tree import Group


@dataclass(frozen=True)
class Table:
    """A table over input slew and output load; of a constraint, over clock slew and data slew."""

    slews: tuple[float, ...]
    loads: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def at(self, slew: float, load: float) -> float:
        """Return the bilinear interpolation, or extrapolation, at (`slew`, `load`)."""
        i, u = _position(self.slews, slew)
        j, v = _position(self.loads, load)
        low, high = self.values[i], self.values[min(i + 1, len(self.slews) - 1)]
        k = min(j + 1, len(self.loads) - 1)
        return (1 - u) * ((1 - v) * low[j] + v * low[k]) + u * ((1 - v) * high[j] + v * high[k])

    def scaled(self, slew: float, load: float, value: float) -> "Table":
        """Return the table in other units, each given in those."""
        return Table(
            tuple(slew * x for x in self.slews),
            tuple(load * x for x in self.loads),
            tuple(tuple(value * x for x in row) for row in self.values),
        )


def _position(axis: tuple[float, ...], x: float) -> tuple[int, float]:
    """Return the interval that serves `x` and where in it `x` lies (0 to 1 inside)."""
    if len(axis) == 1:
        return 0, 0.0
    i = bisect_right(axis, x, 1, len(axis) - 1) - 1
    return i, (x - axis[i]) / (axis[i + 1] - axis[i])


def library_of(group: Group) -> Group:
    """Return the library group that a group stands in."""
    while group.kind != "library" and group.parent is not None:
        group = group.parent
    return group


def time_unit_ps(library: Group) -> float:
    """Return the picoseconds in the library's time unit (Liberty's own default is 1 ns)."""
    return float(library.unit("time_unit", -12, 1e3))


def cap_unit_ff(library: Group) -> float:
    """Return the femtofarads in the library's capacitance unit (Liberty's own default is 1 pF)."""
    return float(library.unit("capacitive_load_unit", -15, 1e3))


def read_table(group: Group) -> Table:
    """Return what a group of tables' kind holds, in the library's own units.

    Raises
    ------
    MubinnError
        If it has not as many values as its axes, or its template's, demand, or an axis does not
        rise.
    """
    values = group.numbers("values")
    if len(values) == 1:
        return Table((0.0,), (0.0,), (values,))
    template = template_of(group)
    first, second = (
        group.numbers(key) or (template.numbers(key) if template else ()) or (0.0,)
        for key in ("index_1", "index_2")
    )
    if len(values) != len(first) * len(second):
        raise group.fault(f"the {group.kind} table is not complete: complete the library.")
    if any(low >= high for axis in (first, second) for low, high in pairwise(axis)):
        raise group.fault(f"an index of the {group.kind} table does not rise: correct it.")
    width = len(second)
    rows = tuple(values[k : k + width] for k in range(0, len(values), width))
    over = template.get("variable_1") if template else ""
    if "capacitance" in over or over.startswith("constrained"):
        return Table(second, first, tuple(zip(*rows, strict=True)))
    return Table(first, second, rows)


def template_of(group: Group) -> Group | None:
    """Return the template that a table names; None where the library has no such."""
    kind = "power_lut_template" if "power" in group.kind else "lu_table_template"
    return _templates(library_of(group), kind).get(group.arguments)


@lru_cache(16)
def _templates(library: Group, kind: str) -> dict[tuple[str, ...], Group]:
    return {template.arguments: template for template in library.of(kind)}


def pin_capacitance(gate: Group) -> float:
    """Return the input capacitance, fF, of a gate with one input."""
    for pin in gate.of("pin"):
        if pin.get("direction") == "input" and pin.get("capacitance"):
            return pin.number("capacitance") * cap_unit_ff(library_of(gate))
    raise MubinnError(
        f"The inverter {gate.arguments[0]} has no input capacitance: complete the library."
    )


def fo4_ps(gate: Group) -> float:
    """Return the FO4 of an inverter in ps: mean of rise and fall in an endless chain.

    Each stage drives four inputs like its own. The slews are those that reproduce themselves.

    Raises
    ------
    MubinnError
        If the gate lacks a delay or transition table, or one is too small for ABC.
    """
    library = library_of(gate)
    load = 4 * pin_capacitance(gate) / cap_unit_ff(library)
    delays = _inverter_table(gate, "cell_rise"), _inverter_table(gate, "cell_fall")
    slews = _inverter_table(gate, "rise_transition"), _inverter_table(gate, "fall_transition")
    rise = fall = slews[0].slews[0]
    for _ in range(100):
        rise = slews[0].at(fall, load)
        fall = slews[1].at(rise, load)
    return 0.5 * (delays[0].at(fall, load) + delays[1].at(rise, load)) * time_unit_ps(library)


def _inverter_table(gate: Group, kind: str) -> Table:
    name = gate.arguments[0]
    arcs = (arc for pin in gate.of("pin") for arc in pin.of("timing"))
    group = next((table for arc in arcs for table in arc.of(kind)), None)
    if group is None:
        raise MubinnError(
            f"The inverter {name} has no {kind} table: use a library with delay tables."
        )
    table = read_table(group)
    if len(table.slews) < 3 and len(table.loads) < 3:
        raise MubinnError(
            f"The table {kind} of the inverter {name} is 2 x 2 or smaller, which ABC cannot "
            "read: use a library with 3 x 3 tables or larger."
        )
    return table
