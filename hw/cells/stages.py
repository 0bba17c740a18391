"""When each unit of a cell works: the registers of a state stage.

Rows of a cell arrive one by one. Those of gates share their units, in the *front*; their codes wait
there for the last row of the phase, which starts the units that follow.

===========  =====================================================================================
figure3      front of two stages, LUT and encoder; then a register after each LUT, encoder,
             pointwise multiplier and MAC
threshold    front of one stage, the search; then a register after each search with the tables that
             its code looks up, and after each addition
===========  =====================================================================================

A product with the sum of a row is formed as the row arrives, and so is a sum of such products and
rows: the sums of rows need not wait.
"""

from dataclasses import dataclass
from functools import cached_property

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.lowering import Lowered
from mubinn.golden.cells.operations import Add, Decode, Round, Scale, Search, Table, Unit


@dataclass(frozen=True, eq=False)
class Stages:
    """The stages of a layer's cell, counted from 1."""

    layer: QuantizedLayer

    @property
    def lowered(self) -> Lowered:
        """The cell's units."""
        return self.layer.lowered

    @property
    def threshold(self) -> bool:
        """Whether the datapath is that of thresholds."""
        return self.layer.datapath == "threshold"

    @cached_property
    def front(self) -> int:
        """Stages in which rows pass one by one; 0 where each phase has one row and no gate."""
        if self.lowered.direct:
            return 1 if self.threshold else 2
        return int(any(len(rows) > 1 for rows in self.layer.phases))

    @cached_property
    def early(self) -> tuple[Unit, ...]:
        """Units that work as rows arrive: products with the sum of a row, and sums of those."""
        sums = {f"{row.name}.z" for row in self.layer.cell.rows}
        found: list[Unit] = []
        for unit in self.lowered.units:
            names = sums | {own.name for own in found}
            scaled = isinstance(unit.operation, Scale) and unit.operands[1] in names
            added = isinstance(unit.operation, Add) and set(unit.operands) <= names
            if scaled or added:
                found.append(unit)
        return tuple(found)

    def is_front(self, unit: Unit) -> bool:
        """Whether a unit is one that gates share."""
        return unit.name.partition(".")[0] in self.lowered.direct

    @cached_property
    def later(self) -> dict[Unit, int]:
        """The stage of every unit that works after the last row of its phase."""
        done: dict[str, int] = {}
        loose: set[str] = set()
        found: dict[Unit, int] = {}
        for unit in self.lowered.units:
            if self.is_front(unit) or unit in self.early:
                continue
            at = self._first(unit)
            for name in unit.operands:
                if name in done:
                    chained = name in loose and self._chains(unit, name)
                    at = max(at, done[name] + (not chained))
            found[unit], done[unit.name] = at, at
            if isinstance(unit.operation, Round | Decode | Search):
                loose.add(unit.name)
            if self.threshold and isinstance(unit.operation, Add):
                self._align(unit, found, done)
                at = found[unit] = 1 + max([at - 1, *(done[n] for n in unit.operands if n in done)])
                done[unit.name] = at
        return found

    def _first(self, unit: Unit) -> int:
        """Return the first stage in which a unit can work at all."""
        if not self.threshold or not isinstance(unit.operation, Table) or not self.front:
            return self.front + 1
        # Tables stand beside the search where they read no code of the row that has just come.
        return 1 if not self._just_found & set(unit.operands) else 2

    @cached_property
    def _just_found(self) -> set[str]:
        """Names of what the last row of each phase gives."""
        last = {self.layer.cell.rows[rows[-1]] for rows in self.layer.phases}
        return {
            gate.name
            for gate in self.layer.cell.gates
            if gate.name in self.lowered.direct and gate.operands[0].operands[0] in last
        }

    def _chains(self, unit: Unit, name: str) -> bool:
        """Whether a unit works in the stage of the one that made `name`."""
        made = self.lowered[name].operation
        if isinstance(made, Search):
            return isinstance(unit.operation, Table)
        return isinstance(made, Round | Decode)

    def _align(self, total: Unit, found: dict[Unit, int], done: dict[str, int]) -> None:
        """Let the tables of a sum work at once, so that registers hold their codes until then."""
        names = [name for name in total.operands if name in done]
        tables = [n for n in names if isinstance(self.lowered[n].operation, Table)]
        latest = max((done[name] for name in names), default=0)
        for name in tables:
            found[self.lowered[name]] = done[name] = latest

    @cached_property
    def count(self) -> int:
        """Stages in all: cycles from the last row to what the cell makes of it."""
        return max([self.front, *self.later.values()])
