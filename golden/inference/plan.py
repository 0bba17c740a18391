"""Fast inference of any cell: the units of a layer as a short program over codes.

Every tensor between the sums of rows is a short code, so what the units of either datapath do is

=========  =======================================================================================
`Segment`  a number decides: its symbol is how many thresholds it reaches. A gate's rounding, LUT
           and encoder never decrease, so together they are thresholds on the sum of its row
`Look`     symbols make a symbol: one table over all codes that a value is made of
`Mix`      a number that is no sum of a row: ``sum_j table_j[symbols] z_j``, as r nh + nx of a GRU;
           or a sum of tables, where one over all codes were too large
=========  =======================================================================================

Tables and thresholds come from calling the golden units. A symbol stands for a code by the
alphabet of its value; those of states and of what rows read are the codes themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from mubinn.golden.cells.graph import Node
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.lowering import Lowered
from mubinn.golden.cells.operations import (
    Activate,
    Add,
    Code,
    Encode,
    Operation,
    Products,
    Round,
    Scale,
    Search,
)
from mubinn.golden.cells.tabulate import values_of
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.inference.decisions import segments
from mubinn.golden.inference.rows import MatrixRows

TABLE_LIMIT = 1 << 16
"""Most entries of a table; where a value is made of more codes, it is a sum of several."""

MOST = 1 << 20
"""Most entries of a table that cannot be a sum."""


@dataclass(frozen=True, eq=False)
class Segment:
    """``out`` is how many of `first`, int64 [H or 1, K], the number `source` reaches."""

    out: str
    source: str
    first: Ints


@dataclass(frozen=True, eq=False)
class Look:
    """``out = table[operands]``.

    Attributes
    ----------
    out : str
    operands : tuple of str
        The first one in the high bits of the index.
    bits : tuple of int
        Of each operand.
    table : int64 [H or 1, 2**sum(bits)]
    """

    out: str
    operands: tuple[str, ...]
    bits: tuple[int, ...]
    table: Ints


@dataclass(frozen=True, eq=False)
class Mix:
    """``out`` is the sum of the tables' entries, each times the sum of a row where one is named."""

    out: str
    terms: tuple[tuple[Look, str], ...]


Step = Segment | Look | Mix


@dataclass(frozen=True, eq=False)
class Plan:
    """The program of a layer.

    Attributes
    ----------
    layer : QuantizedLayer
    phases : tuple of list of Step
    rows : tuple of MatrixRows
        By phase.
    sizes : dict of str to int
        Count of symbols of each value that is made of symbols.
    """

    layer: QuantizedLayer
    phases: tuple[list[Step], ...]
    rows: tuple[MatrixRows, ...]
    sizes: dict[str, int]

    @classmethod
    def of(cls, layer: QuantizedLayer, table_limit: int = TABLE_LIMIT) -> "Plan":
        """Return the program; `table_limit` chooses between forms of equal results."""
        planner = _Planner(layer, table_limit)
        for node in layer.cell.encoders:
            planner.encoder(node.name, layer.cell.phase(node))
        sizes = {name: len(codes) for name, codes in planner.alphabets.items()}
        return cls(layer, planner.phases, planner.rows, sizes)

    @property
    def steps(self) -> list[Step]:
        """The steps of all phases."""
        return [step for own in self.phases for step in own]

    @cached_property
    def places(self) -> dict[str, tuple[int, int]]:
        """Phase of each sum of a row by name, and which of the phase's rows it is."""
        names = [f"{node.name}.z" for node in self.layer.cell.rows]
        return {
            names[place]: (phase, row)
            for phase, own in enumerate(self.layer.phases)
            for row, place in enumerate(own)
        }

    @cached_property
    def phase_of(self) -> dict[str, int]:
        """Phase in which a value is made, by name."""
        return {step.out: phase for phase, own in enumerate(self.phases) for step in own}

    @cached_property
    def kept(self) -> list[str]:
        """Symbols that a step leaves for the next one, or a phase for a later one."""
        found = dict.fromkeys(
            name
            for step in self.steps
            for name in reads(step)
            if name in self.sizes and self.phase_of.get(name, -1) < self.phase_of[step.out]
        )
        early = (
            node.name
            for node in self.layer.cell.states
            if f"old.{node.name}" in found and self.phase_of[node.name] < self.last_phase(node)
        )
        return list(found | dict.fromkeys(early))

    def last_phase(self, state: Node) -> int:
        """Return the last phase that goes over all cells, or over the outputs where it is h."""
        cell = self.layer.cell
        return len(self.phases) - 1 - (cell.projects and not cell.is_projected(state))


def reads(step: Step) -> list[str]:
    """Return the names of what a step reads."""
    if isinstance(step, Mix):
        return [name for look, row in step.terms for name in (*look.operands, row)]
    return [step.source] if isinstance(step, Segment) else list(step.operands)


class _Planner:
    def __init__(self, layer: QuantizedLayer, limit: int) -> None:
        self.layer, self.lowered, self.limit = layer, layer.lowered, limit
        cell = layer.cell
        self.phases: tuple[list[Step], ...] = tuple([] for _ in layer.phases)
        self.rows = tuple(MatrixRows.of(layer, phase) for phase in range(len(layer.phases)))
        self.sums = {f"{node.name}.z" for node in cell.rows}
        self.bound = max(rows.bound for rows in self.rows)
        # Of each value that is made of symbols, what they stand for.
        self.alphabets = {f"old.{s.name}": self._codes(s.name) for s in cell.states}
        for node in cell.stored:
            self.alphabets[f"stored.{node.name}"] = np.arange(1 << layer.quantizer(node).levels)

    def _codes(self, name: str) -> Ints:
        return np.arange(1 << self.layer.quantizers[name].levels)

    def encoder(self, name: str, phase: int) -> None:
        """Add the steps that make the code `name`."""
        steps, leaves = self.phases[phase], self._leaves(name)
        gate = name in self.layer.cell.gate_names
        splits = isinstance(self.lowered[name].operation, Encode | Search)
        if leaves is not None and (self._size(leaves) <= self.limit or not splits):
            self.alphabets[name] = self._codes(name)
            steps.append(self._look(name, leaves, self._tabulated(name, leaves)))
            return
        out = name if gate else f"{name}.segment"
        self._segmented(out, name, phase)
        if not gate:
            codes = self.alphabets[out]
            self.alphabets[name] = self._codes(name)
            steps.append(self._look(name, (out,), codes[:, None]))

    def _segmented(self, out: str, name: str, phase: int) -> None:
        """Add the steps that make of a number the symbols `out` of the value `name`."""
        chain: list[Operation] = []
        source = name
        while source not in self.sums and isinstance(
            (unit := self.lowered[source]).operation, Round | Activate | Encode | Search
        ):
            chain.insert(0, unit.operation)
            (source,) = unit.operands
        bound = self.bound
        if source not in self.sums:
            terms = self._terms(source, phase)
            looks = [(self._look("", own, values[..., None]), row) for own, values, row in terms]
            bound = sum(
                int(np.abs(look.table).max()) * (self.bound if row else 1) for look, row in looks
            )
            self.phases[phase].append(Mix(f"{out}.number", tuple(looks)))
            source = f"{out}.number"
        first, self.alphabets[out] = segments(chain, bound)
        self.phases[phase].append(Segment(out, source, first))

    def _leaves(self, name: str) -> tuple[str, ...] | None:
        """Return the codes that a value is made of; None where it is made of rows as well."""
        found: dict[str, None] = {}
        for operand in (name,) if name in self.sums else self.lowered[name].operands:
            if operand in self.sums:
                return None
            if isinstance(self.lowered.formats[operand], Code):
                found[operand] = None
                continue
            below = self._leaves(operand)
            if below is None:
                return None
            found |= dict.fromkeys(below)
        return tuple(found)

    def _size(self, leaves: Sequence[str]) -> int:
        return prod(len(self.alphabets[leaf]) for leaf in leaves)

    def _axes(self, leaves: Sequence[str]) -> dict[str, Ints]:
        """Return the codes of all symbols, [..., 1] with an axis for each leaf before the last."""
        grids = np.meshgrid(*(self.alphabets[leaf] for leaf in leaves), indexing="ij", sparse=True)
        return {leaf: grid[..., None] for leaf, grid in zip(leaves, grids, strict=True)}

    def _tabulated(self, name: str, leaves: Sequence[str], lowered: Lowered | None = None) -> Ints:
        """Return the value `name` of all symbols, [leaves.., H or 1]."""
        values = values_of(lowered or self.lowered, name, **self._axes(leaves))
        sizes = [len(self.alphabets[leaf]) for leaf in leaves]
        return np.broadcast_to(values, (*sizes, values.shape[-1]))

    def _look(self, out: str, leaves: Sequence[str], values: Ints) -> Look:
        """Return the table of values [leaves.., H or 1]; unused entries repeat the last one."""
        bits = [(len(self.alphabets[leaf]) - 1).bit_length() for leaf in leaves]
        more = [(0, (1 << b) - n) for b, n in zip(bits, values.shape[:-1], strict=True)]
        table = np.pad(values, [*more, (0, 0)], mode="edge").reshape(-1, values.shape[-1])
        return Look(out, tuple(leaves), tuple(bits), np.ascontiguousarray(table.T))

    def _terms(self, name: str, phase: int) -> list[tuple[tuple[str, ...], Ints, str]]:
        """Return a number as terms: leaves, values [leaves..], and the row they multiply or ""."""
        if name in self.sums:
            return [((), np.array(1), name)]
        unit, leaves = self.lowered[name], self._leaves(name)
        operation, operands = unit.operation, unit.operands
        whole = leaves is not None and self._size(leaves) <= self.limit
        if isinstance(operation, Add) and not whole:
            return [
                (own, values << shift, row)
                for operand, shift in zip(operands, operation.shifts, strict=True)
                for own, values, row in self._terms(operand, phase)
            ]
        if isinstance(operation, Products) and len(operands) > 2 and not whole:
            return [self._half(name, half) for half in (0, 1)]
        if leaves is not None and self._size(leaves) <= MOST:
            return [(leaves, self._tabulated(name, leaves)[..., 0], "")]
        if isinstance(operation, Scale):
            code = operands[0]
            decoded = operation.quantizer.decode(self.alphabets[code])
            return [self._times(term, code, decoded) for term in self._terms(operands[1], phase)]
        if isinstance(operation, Activate) and leaves is None:
            self._segmented(name, name, phase)
            return [((name,), self.alphabets[name], "")]
        raise MubinnError(
            f"the fast inference has no form for {name} of cell {self.layer.cell.name}: encode "
            "what it is made of."
        )

    def _times(
        self, term: tuple[tuple[str, ...], Ints, str], code: str, decoded: Ints
    ) -> tuple[tuple[str, ...], Ints, str]:
        leaves, values, row = term
        if code not in leaves:
            return (code, *leaves), decoded.reshape(-1, *[1] * values.ndim) * values, row
        axis = leaves.index(code)
        shape = [-1 if k == axis else 1 for k in range(values.ndim)]
        return leaves, values * decoded.reshape(shape), row

    def _half(self, name: str, half: int) -> tuple[tuple[str, ...], Ints, str]:
        """Return one of the two products of codes that a multiplier adds."""
        unit = self.lowered[name]
        own, leaves = unit.operation, unit.operands[2 * half : 2 * half + 2]
        assert isinstance(own, Products)
        gammas = tuple(gamma * (k == half) for k, gamma in enumerate(own.gammas))
        single = replace(own, gammas=(gammas[0], gammas[1]))
        axes = self._axes(tuple(dict.fromkeys(leaves)))
        zero = np.zeros(1, np.int64)
        values = single(*(axes.get(operand, zero) for operand in unit.operands))
        return tuple(axes), values[..., 0], ""
