"""From a cell's equations to units, by the rules of a datapath; everything else reads the result.

Names of values: ``f.z`` is the sum of row f, ``old.c`` the code of state c before the step,
``stored.p`` a number in memory. What units make is named as in the equations: gate f has ``f.z_q``,
``f.y`` and its code ``f``; what encoder c reads is ``c_raw``, what it makes ``c``. Names that begin
with an underscore are no part of traces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.graph import Cell, Node
from mubinn.golden.cells.operations import Code, Format, Operation, Unit, Wide
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.units.shapes import shape_of


@dataclass(frozen=True, eq=False)
class Lowered:
    """The units of a cell on a datapath.

    Attributes
    ----------
    cell : Cell
    units : tuple of Unit
        Operands first.
    formats : mapping of str to Format
        Of all values, by name.
    """

    cell: Cell
    units: tuple[Unit, ...]
    formats: Mapping[str, Format]

    @cached_property
    def _by_name(self) -> dict[str, Unit]:
        return {unit.name: unit for unit in self.units}

    def __getitem__(self, name: str) -> Unit:
        """Return the unit that makes the value `name`."""
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        """Return whether a unit makes the value `name`."""
        return name in self._by_name

    @property
    def shown(self) -> Iterator[Unit]:
        """The units whose values are part of traces."""
        return (unit for unit in self.units if not unit.name.startswith("_"))

    @cached_property
    def direct(self) -> tuple[str, ...]:
        """Names of the gates that read a row of weights and nothing else."""
        return tuple(node.name for node in direct_gates(self.cell))

    @cached_property
    def derived(self) -> tuple[str, ...]:
        """Names of the other gates."""
        return tuple(name for name in self.cell.gate_names if name not in self.direct)

    def is_gate(self, unit: Unit) -> bool:
        """Whether a unit is part of a gate: of its rounding, LUT or encoder, or its search."""
        return unit.name.partition(".")[0] in self.cell.gate_names

    def run(self, values: dict[str, Ints], phase: int | None = None) -> dict[str, Ints]:
        """Add to `values`, by name, what the units make of them; of one phase or of all.

        Parameters
        ----------
        values : dict of int64 [..., H]
            The sums of rows and the states before the step.
        """
        for unit in self.units:
            if phase in (None, unit.phase):
                values[unit.name] = unit.operation(*(values[name] for name in unit.operands))
        return values


def direct_gates(cell: Cell) -> tuple[Node, ...]:
    """Return the gates of a cell that read a row of weights and nothing else."""
    return tuple(node for node in cell.gates if node.operands[0].operands[0].operation == "row")


def row_of(cell: Cell, gate: Node) -> int:
    """Return the place among the cell's rows of the row that a gate reads."""
    return cell.rows.index(gate.operands[0].operands[0])


def gates_by_row(cell: Cell) -> list[Node]:
    """Return the gate of each row up to the last one that has any; others have the first."""
    direct = direct_gates(cell)
    places = {row_of(cell, gate): gate for gate in direct}
    return [places.get(place, direct[0]) for place in range(max(places) + 1)]


class Numbers(Protocol):
    """What rules ask of a layer: `mubinn.golden.cells.layer.QuantizedLayer` has it."""

    @property
    def cell(self) -> Cell:
        """The equations."""

    @property
    def formats(self) -> Formats:
        """Formats of the activation units."""

    @property
    def gates(self) -> dict[str, Quantizer]:
        """Quantizers of the gates, in the cell's order."""

    @property
    def z_bound(self) -> int:
        """Largest magnitude of the sum of a row."""

    @property
    def z_fraction(self) -> int:
        """Fraction bits of the sum of a row."""

    def quantizer(self, node: Node) -> Quantizer:
        """Return the quantizer of a code."""

    def fraction(self, node: Node) -> int:
        """Return the fraction bits of an exact value, or of what the LUTs make."""


class Rules:
    """What the rules of both datapaths share: names, formats, and the way over the graph.

    Parameters
    ----------
    layer : Numbers
    """

    def __init__(self, layer: Numbers) -> None:
        self.layer = layer
        self.cell = layer.cell
        self.units: list[Unit] = []
        self.formats: dict[str, Format] = {}
        self.names: dict[Node, str] = {}
        for node in self.cell.rows:
            self._name(node, f"{node.name}.z", Wide(layer.z_bound, layer.z_fraction))
        for node in (*self.cell.states, *self.cell.stored):
            stem = "old" if node.operation == "state" else "stored"
            self._name(node, f"{stem}.{node.name}", Code(self.quantizer(node).levels))

    def _name(self, node: Node, name: str, made: Format) -> None:
        self.names[node], self.formats[name] = name, made

    def lowered(self) -> Lowered:
        """Return all units."""
        for node in self.cell.encoders:
            self.names[node] = self.encoded(node)
        return Lowered(self.cell, tuple(self.units), self.formats)

    def encoded(self, node: Node) -> str:
        """Add the units of an encoder and of what it reads; return its name."""
        raise NotImplementedError

    def quantizer(self, code: Node) -> Quantizer:
        """Return the quantizer of a code."""
        return self.layer.quantizer(code)

    def add(self, name: str, role: str, operation: Operation, *operands: str, phase: int) -> str:
        """Add a unit; return `name`."""
        self.units.append(Unit(name, role, operation, operands, phase))
        self.formats[name] = operation.format
        return name

    def role(self, kind: str, name: str) -> str:
        """Return a role of its own for the unit that makes `name`: the first one needs no name."""
        return f"{kind}_{name}" if any(unit.role == kind for unit in self.units) else kind

    def wide(self, name: str) -> Wide:
        """Return the format of a number."""
        found = self.formats[name]
        assert isinstance(found, Wide)
        return found

    def fault(self, node: Node, why: str) -> MubinnError:
        """Return what is wrong with an equation."""
        return MubinnError(f"cell {self.cell.name} computes {node.label}: {why}")


def terms(node: Node) -> tuple[Node, ...]:
    """Return the addends of a value; one that is no sum is its own."""
    return node.operands if node.operation == "sum" else (node,)


def is_pair(node: Node) -> bool:
    """Return whether a value is a product of two codes, or of the complement of one."""
    return node.operation == "product" and all(map(is_factor, node.operands))


def is_factor(node: Node) -> bool:
    """Return whether a value is a code or the complement of one."""
    return node.is_code or node.operation == "complement"


def code_in(node: Node) -> Node:
    """Return the code that a factor is, or is the complement of."""
    return node.operands[0] if node.operation == "complement" else node


def short_name(node: Node) -> str:
    """Return the names of what a product is made of, side by side: ``rnh``, ``fc``."""
    if node.operation == "activation":
        return shape_of(node.kind).label + short_name(node.operands[0])
    if node.operation in ("product", "sum", "complement"):
        return "".join(map(short_name, node.operands))
    return node.name
