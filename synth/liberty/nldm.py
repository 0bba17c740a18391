"""Liberty delay tables: read, interpolated, and an inverter's FO4 measured from them."""

import re
from bisect import bisect_right
from dataclasses import dataclass

from mubinn.golden.ground.errors import MubinnError

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PICOSECONDS = {"fs": 1e-3, "ps": 1.0, "ns": 1e3, "us": 1e6}
_FEMTOFARADS = {"ff": 1.0, "pf": 1e3, "nf": 1e6}


@dataclass(frozen=True)
class Table:
    """A table over input slew and output load, in the library's own units."""

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


def _position(axis: tuple[float, ...], x: float) -> tuple[int, float]:
    """Return the interval that serves `x` and where in it `x` lies (0 to 1 inside)."""
    if len(axis) == 1:
        return 0, 0.0
    i = bisect_right(axis, x, 1, len(axis) - 1) - 1
    return i, (x - axis[i]) / (axis[i + 1] - axis[i])


def time_unit_ps(text: str) -> float:
    """Return the picoseconds in the library's time unit (Liberty's own default is 1 ns)."""
    found = re.search(rf"\btime_unit\s*:\s*\"?\s*({_NUMBER})\s*([fpnu]s)", text)
    return float(found.group(1)) * _PICOSECONDS[found.group(2)] if found else 1e3


def cap_unit_ff(text: str) -> float:
    """Return the femtofarads in the library's capacitance unit (Liberty's own default is 1 pF)."""
    found = re.search(
        rf"capacitive_load_unit\s*\(\s*\"?({_NUMBER})\"?\s*,\s*\"?([fpn]f)", text, re.I
    )
    return float(found.group(1)) * _FEMTOFARADS[found.group(2).lower()] if found else 1e3


def pin_capacitance(library: str, cell: str) -> float:
    """Return the input capacitance, fF, of a `cell` with one input."""
    for pin in re.split(r"(?<!\w)pin\s*\(", cell)[1:]:
        found = re.search(rf"(?<!\w)capacitance\s*:\s*\"?({_NUMBER})", pin)
        if re.search(r"direction\s*:\s*\"?input", pin) and found:
            return float(found.group(1)) * cap_unit_ff(library)
    raise MubinnError(f"The inverter {_name(cell)} has no input capacitance: complete the library.")


def fo4_ps(library: str, cell: str) -> float:
    """Return the FO4 of an inverter in ps: mean of rise and fall in an endless chain.

    Each stage drives four inputs like its own. The slews are those that reproduce themselves.

    Parameters
    ----------
    library, cell : str
        Liberty text of the library (for units and templates) and of the inverter.

    Raises
    ------
    MubinnError
        If the cell lacks a delay or transition table.
    """
    load = 4 * pin_capacitance(library, cell) / cap_unit_ff(library)
    tables = {
        kind: _table(library, cell, kind)
        for kind in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
    }
    rise = fall = tables["rise_transition"].slews[0]
    for _ in range(100):
        rise = tables["rise_transition"].at(fall, load)
        fall = tables["fall_transition"].at(rise, load)
    delay = tables["cell_rise"].at(fall, load) + tables["cell_fall"].at(rise, load)
    return 0.5 * delay * time_unit_ps(library)


def _name(cell: str) -> str:
    return re.sub(r"^cell\s*\(\s*\"?([^\"\s)]+).*", r"\1", cell, flags=re.DOTALL)


def _group(text: str, head: str) -> re.Match[str] | None:
    return re.search(rf"(?<!\w){head}\s*\(\s*\"?([\w.]+)\"?\s*\)\s*\{{([^}}]*)\}}", text)


def _numbers(text: str, key: str) -> tuple[float, ...]:
    found = re.search(rf"(?<!\w){key}\s*\(([^)]*)\)", text)
    return tuple(float(n) for n in re.findall(_NUMBER, found.group(1))) if found else ()


def _table(library: str, cell: str, kind: str) -> Table:
    group = _group(cell, kind)
    if group is None:
        raise MubinnError(
            f"The inverter {_name(cell)} has no {kind} table: use a library with delay tables."
        )
    found = re.search(
        rf"lu_table_template\s*\(\s*\"?{re.escape(group.group(1))}\"?\s*\)\s*\{{([^}}]*)\}}",
        library,
    )
    shape = found.group(1) if found else ""
    axes = [_numbers(group.group(2), k) or _numbers(shape, k) for k in ("index_1", "index_2")]
    values = _numbers(group.group(2), "values")
    if not axes[0] or not axes[1] or len(values) != len(axes[0]) * len(axes[1]):
        raise MubinnError(
            f"The table {kind} of the inverter {_name(cell)} is not complete: use a library with "
            "tables over slew and load."
        )
    if len(axes[0]) < 3 and len(axes[1]) < 3:
        raise MubinnError(
            f"The table {kind} of the inverter {_name(cell)} is 2 x 2 or smaller, which ABC cannot "
            "read: use a library with 3 x 3 tables or larger."
        )
    width = len(axes[1])
    rows = tuple(values[i : i + width] for i in range(0, len(values), width))
    first = re.search(r"variable_1\s*:\s*\"?(\w+)", shape)
    if first and "capacitance" in first.group(1):
        return Table(axes[1], axes[0], tuple(zip(*rows, strict=True)))
    return Table(axes[0], axes[1], rows)
