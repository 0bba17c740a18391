"""Cells as pages of equations: the operations that they are written in, traced once into a graph.

A cell is a function of the input, its states, and the operations of this module::

    @cell
    def lstm(x, h, c):
        f = encode("f", sigmoid(row("f", x, h)))
        i = encode("i", sigmoid(row("i", x, h)))
        g = encode("g", tanh(row("g", x, h)))
        o = encode("o", sigmoid(row("o", x, h)))
        c = encode("c", f * c + i * g)
        return encode("h", o * tanh(c)), c

What the equations say of one cell holds for all H cells of a layer. The bit-true model, the
hardware, its traces, Table I's units and the picture of a cell are read from the graph.

==============  ==================================================================================
`row`           ``W_x x + W_h s + b`` of a row of weights; s is the state h, or what `encode` made
                of other values in the same step: such a row takes another pass over the cells
`projection`    a row that there is for each output P of a layer, not for each cell: what the H
                cells have encoded becomes h
`sigmoid`       activation, of a row or of a sum, or of a code
`tanh`
`hard_sigmoid`  clipped straight lines, and `ramp` for any
`hard_tanh`
`relu`          with a ceiling, Keras's ``relu(max_value)``: hardware has a largest value
`identity`      within limits for the same reason
`encode`        level bits of a value by the quantizer of this name: a *code*
`stored`        a number of each cell from memory, in level bits: a code as well
``a * b``       product: of two codes, or of a code and a wide number
``a + b``       sum
``1 - a``       complement of a code
==============  ==================================================================================
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import count
from typing import Any, Literal

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.units.shapes import FARTHEST, Kind, Ramp, shape_of

Operation = Literal[
    "input", "state", "stored", "row", "activation", "encode", "product", "sum", "complement"
]

Weights = Literal["wx", "wh", "b"]

Number = int | float | Fraction

CODES = ("input", "state", "stored", "encode")
"""Operations that give level bits."""

_ORDER = count()


@dataclass(frozen=True, eq=False)
class Node:
    """One value of a cell.

    Attributes
    ----------
    operation : str
    operands : tuple of Node
    name : str
        Of an input, a state, a stored number, a row or an encoder.
    kind : str
        Of an activation.
    projects : bool
        Of a row: there is one for each output, not for each cell.
    order : int
        Nodes are numbered as they are written.
    """

    operation: Operation
    operands: tuple[Node, ...] = ()
    name: str = ""
    kind: Kind = "sigmoid"
    projects: bool = False
    order: int = field(default_factory=lambda: next(_ORDER))

    def __add__(self, other: Node) -> Node:
        """Return the sum; sums of sums are one."""
        terms = (node.operands if node.operation == "sum" else (node,) for node in (self, other))
        return Node("sum", tuple(term for own in terms for term in own))

    def __mul__(self, other: Node) -> Node:
        """Return the product."""
        return Node("product", (self, other))

    def __rsub__(self, one: int) -> Node:
        """Return the complement of a code."""
        if one != 1 or self.operation not in CODES:
            raise MubinnError("a cell can subtract a code from 1, and nothing else.")
        return Node("complement", (self,))

    @property
    def is_code(self) -> bool:
        """Whether it is level bits."""
        return self.operation in CODES

    @property
    def label(self) -> str:
        """A name for pictures and messages, made of those of its operands."""
        parts = [node.label for node in self.operands]
        match self.operation:
            case "activation":
                return f"{self.kind}({parts[0]})"
            case "product":
                return " ".join(parts)
            case "sum":
                return " + ".join(parts)
            case "complement":
                return f"(1 - {parts[0]})"
        return self.name


def row(name: str, *reads: Node) -> Node:
    """Return the sum of a row of weights over `reads`: x, a state or an encoded vector, or both."""
    if not reads or len(reads) > 2 or not all(node.is_code for node in reads):
        raise MubinnError(f"the row {name} reads x, or one encoded vector, or both: nothing else.")
    if sum(node.operation == "input" for node in reads) != (len(reads) > 1 or reads[0].name == "x"):
        raise MubinnError(f"the row {name} reads x, or one encoded vector, or both: nothing else.")
    return Node("row", reads, name)


def projection(name: str, read: Node) -> Node:
    """Return the sum of a row of weights for each output over a vector that the cells encoded."""
    return Node("row", (read,), name, projects=True)


def sigmoid(value: Node) -> Node:
    """Return the logistic function of `value`."""
    return Node("activation", (value,), kind="sigmoid")


def tanh(value: Node) -> Node:
    """Return the hyperbolic tangent of `value`."""
    return Node("activation", (value,), kind="tanh")


def ramp_kind(slope: Number, at_zero: Number = 0, low: Number = 0, high: Number = 1) -> Kind:
    """Return the name of ``slope z + at_zero`` clipped to [low, high]; fractions of up to 1e4."""
    return Ramp(*(Fraction(n).limit_denominator(10_000) for n in (slope, at_zero, low, high))).kind


def ramp(
    value: Node, slope: Number, at_zero: Number = 0, low: Number = 0, high: Number = 1
) -> Node:
    """Return ``slope value + at_zero`` clipped to [low, high]: hard sigmoids, hard tanh, relu."""
    return Node("activation", (value,), kind=ramp_kind(slope, at_zero, low, high))


def hard_sigmoid(
    value: Node, alpha: Number = Fraction(1, 6), beta: Number = Fraction(1, 2)
) -> Node:
    """Return the hard sigmoid: by default that of Keras 3 and PyTorch; Keras 2 has 1/5 and 1/2."""
    return ramp(value, alpha, beta)


def hard_tanh(value: Node) -> Node:
    """Return `value` clipped to [-1, 1]."""
    return ramp(value, 1, 0, -1)


def relu(value: Node, ceiling: Number = 1) -> Node:
    """Return `value` clipped to [0, ceiling]; the ceiling is 8 at most, as all limits are."""
    return ramp(value, 1, 0, 0, ceiling)


def identity(value: Node, limit: Number = FARTHEST) -> Node:
    """Return `value` clipped to [-limit, limit]."""
    return ramp(value, 1, 0, -limit, limit)


def encode(name: str, value: Node) -> Node:
    """Return the level bits of `value` by the quantizer `name`."""
    return Node("encode", (value,), name)


def stored(name: str) -> Node:
    """Return a number that each cell has in memory, such as the weight of a peephole."""
    return Node("stored", (), name)


@dataclass(frozen=True, eq=False)
class Cell:
    """A traced cell.

    Attributes
    ----------
    name : str
    x : Node
    states : tuple of Node
        Before the step; the first one is the output h, which rows read.
    new : tuple of Node
        What becomes of each state: encoders.
    text : str
        First line of the function's documentation.
    """

    name: str
    x: Node
    states: tuple[Node, ...]
    new: tuple[Node, ...]
    text: str = ""

    def __post_init__(self) -> None:
        """Raise `MubinnError` on equations that make no cell."""
        for state, made in zip(self.states, self.new, strict=True):
            if made.operation != "encode" or made.name != state.name:
                raise MubinnError(f"cell {self.name} has to end in encode({state.name!r}, ...).")
        for kind in (self.rows, self.encoders, self.stored):
            own = [node.name for node in kind]
            if len(set(own)) != len(own):
                raise MubinnError(f"cell {self.name} gives a name twice: {', '.join(own)}.")
        if not self.rows:
            raise MubinnError(f"cell {self.name} has no row of weights.")
        self._check_rows()

    def _check_rows(self) -> None:
        for row_node in self.rows:
            readers = [gate.name for gate in self.gates if gate.operands[0].operands[0] is row_node]
            if len(readers) > 1:
                raise MubinnError(
                    f"gates {' and '.join(readers)} of cell {self.name} read one row: give each a "
                    "row of its own."
                )
            read = self.recurrent_of(row_node)
            own = read is None or read.operation == "encode" or read is self.states[0]
            if not own and not row_node.projects:
                raise MubinnError(
                    f"the row {row_node.name} of cell {self.name} reads another vector: rows read "
                    f"the input, the output {self.states[0].name}, or what the step has encoded."
                )
        if not all(self.phase_nodes):
            raise MubinnError(
                f"a pass over the cells of {self.name} has no row of weights: let the vectors that "
                "rows read be made of other rows."
            )
        if self.projects:
            self._check_projection()
        for phase, rows in enumerate(self.phase_nodes):
            if len({self.recurrent_of(node) for node in rows} - {None}) > 1:
                raise MubinnError(
                    f"rows of cell {self.name} read several vectors in phase {phase}: the "
                    "multipliers have one at a time."
                )

    def _check_projection(self) -> None:
        for node in self.rows:
            read = self.recurrent_of(node)
            own = read is not None and read.operation == "encode" and not self.is_projected(read)
            if node.projects and not (own and len(node.operands) == 1):
                raise MubinnError(
                    f"the projection {node.name} of cell {self.name} reads one vector that the "
                    "cells have encoded, and nothing else."
                )
        last = len(self.phase_nodes) - 1
        for phase, rows in enumerate(self.phase_nodes):
            if any(node.projects != (phase == last) for node in rows):
                raise MubinnError(
                    f"cell {self.name} has a projection and other rows of weights in one phase, "
                    "or after it: let what it reads be all that they make."
                )
        for node in self.nodes:
            if node.operation != "row" and len({*map(self.is_projected, node.operands)}) > 1:
                raise MubinnError(
                    f"cell {self.name} computes {node.label} of a number an output and a number a "
                    "cell: a projection has another size."
                )
        made = [node for node in self.encoders if self.is_projected(node)]
        if made != [self.new[0]]:
            names = ", ".join(node.name for node in made)
            raise MubinnError(
                f"cell {self.name} encodes {names} of a projection, which is for its output "
                f"{self.states[0].name} alone."
            )

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, operands first."""
        found: dict[Node, None] = {}

        def visit(node: Node) -> None:
            if node not in found:
                for operand in node.operands:
                    visit(operand)
                found[node] = None

        for node in (self.x, *self.states, *self.new):
            visit(node)
        return tuple(sorted(found, key=lambda node: node.order))

    @property
    def projects(self) -> bool:
        """Whether the output is a projection, of which there are fewer numbers than cells."""
        return any(node.projects for node in self.of("row"))

    def is_projected(self, node: Node) -> bool:
        """Return whether there is one such value an output, and not one a cell."""
        return node in self._projected

    @cached_property
    def _projected(self) -> frozenset[Node]:
        found: set[Node] = {self.states[0]} if self.projects else set()
        for node in self.nodes:
            if node.projects or (node.operation != "row" and found & {*node.operands}):
                found.add(node)
        return frozenset(found)

    def of(self, operation: Operation) -> tuple[Node, ...]:
        """Return the nodes of an operation in order."""
        return tuple(node for node in self.nodes if node.operation == operation)

    @cached_property
    def rows(self) -> tuple[Node, ...]:
        """Rows of weights of a cell, phase by phase in the order in which they are written."""
        return tuple(sorted(self.of("row"), key=lambda node: (self.phase(node), node.order)))

    @property
    def stored(self) -> tuple[Node, ...]:
        """Numbers that a cell has in memory."""
        return self.of("stored")

    @property
    def encoders(self) -> tuple[Node, ...]:
        """Every place where level bits are made."""
        return self.of("encode")

    @cached_property
    def gates(self) -> tuple[Node, ...]:
        """Encoders of activations that meet no weights: f, i, g, o; they share a level count."""
        return tuple(
            node
            for node in self.encoders
            if node.operands[0].operation == "activation"
            and not node.operands[0].operands[0].is_code
            and node not in (*self.new, *self.recurrent)
        )

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Names of the gates in order."""
        return tuple(node.name for node in self.gates)

    def tensor(self, encoder: Node) -> Literal["gate", "h", "c"]:
        """Return whose level count an encoder has: what meets weights that of h, a state that of c.

        The output meets those of the classifier.
        """
        if encoder in self.gates:
            return "gate"
        read = {node.name for node in (*self.recurrent, self.states[0])}
        return "h" if encoder.name in read else "c"

    def reading(self, tensor: Weights) -> tuple[int, ...]:
        """Return the places among `rows` of those that have such weights: b is every row's."""
        sources = {"wx": (True,), "wh": (False,), "b": (True, False)}[tensor]
        return tuple(
            place
            for place, node in enumerate(self.rows)
            if any((read.operation == "input") in sources for read in node.operands)
        )

    @property
    def own_offsets(self) -> bool:
        """Whether each cell may have an offset of h: where rows alone read it, they fold it in."""
        output = self.new[0]
        users = (node for node in self.nodes if {output, self.states[0]} & {*node.operands})
        return all(node.operation == "row" for node in users)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the encoders that are no gates: states, and vectors that rows read."""
        return tuple(node.name for node in self.encoders if node not in self.gates)

    # Phases: a row that reads what the same step has made takes another pass over the cells.

    def phase(self, node: Node) -> int:
        """Return the pass over the cells in which a value is made."""
        return self._phases[node]

    @cached_property
    def _phases(self) -> dict[Node, int]:
        found: dict[Node, int] = {}
        for node in self.nodes:
            latest = max((found[operand] for operand in node.operands), default=0)
            later = node.operation == "row" and any(n.operation == "encode" for n in node.operands)
            found[node] = latest + later
        return found

    @cached_property
    def phase_nodes(self) -> tuple[tuple[Node, ...], ...]:
        """Rows by phase."""
        count = max(self._phases[node] for node in self.of("row")) + 1
        return tuple(
            tuple(node for node in self.of("row") if self._phases[node] == phase)
            for phase in range(count)
        )

    @cached_property
    def phases(self) -> tuple[tuple[int, ...], ...]:
        """Places among `rows` by phase."""
        return tuple(tuple(map(self.rows.index, own)) for own in self.phase_nodes)

    def recurrent_of(self, node: Node) -> Node | None:
        """Return the vector that a row multiplies with W_h."""
        return next((read for read in node.operands if read.operation != "input"), None)

    @cached_property
    def recurrent(self) -> tuple[Node, ...]:
        """The vector that the rows of each phase multiply with W_h: h, or one made before."""
        found = []
        for rows in self.phase_nodes:
            reads = [node for node in map(self.recurrent_of, rows) if node is not None]
            found.append(reads[0] if reads else self.states[0])
        return tuple(found)

    @cached_property
    def kept(self) -> tuple[Node, ...]:
        """Codes of the same cell that a step reads from memory: states first.

        States that are operands of their own cell, and what one phase leaves for a later one.
        """
        users = [(node, operand) for node in self.nodes for operand in node.operands]
        own = [
            state
            for state in self.states
            if any(operand is state and user.operation != "row" for user, operand in users)
        ]
        crossing = [
            node
            for node in self.encoders
            if any(
                operand is node and user.operation != "row" and self.phase(user) > self.phase(node)
                for user, operand in users
            )
        ]
        return (*own, *crossing)

    def leaves(self, node: Node) -> Iterator[Node]:
        """Yield the codes that a value is made of, each once."""
        seen: dict[Node, None] = {}

        def visit(part: Node) -> None:
            if part.is_code:
                seen[part] = None
                return
            for operand in part.operands:
                visit(operand)

        for operand in node.operands:
            visit(operand)
        yield from seen


def with_activations(made: Cell, kinds: Mapping[str, Kind]) -> Cell:
    """Return a cell with other activations.

    Each is called as the row or code that it is of, or else as the encoder that reads it; those
    without a kind in `kinds` stay. The name of the cell says what is new, ``lstm_ramp``; where
    nothing is it is the cell itself.
    """
    readers = {node.operands[0]: node.name for node in made.encoders}
    found: dict[Node, Node] = {}
    labels: dict[str, None] = {}
    for node in made.nodes:
        kind = node.kind
        if node.operation == "activation":
            kind = kinds.get(node.operands[0].name or readers.get(node, ""), kind)
        if kind != node.kind:
            labels[shape_of(kind).label] = None
        operands = tuple(found[operand] for operand in node.operands)
        found[node] = Node(node.operation, operands, node.name, kind, node.projects)
    if not labels:
        return made
    states, new = (tuple(found[node] for node in own) for own in (made.states, made.new))
    return Cell("_".join([made.name, *labels]), found[made.x], states, new, made.text)


def cell(equations: Callable[..., Any]) -> Cell:
    """Trace `equations`, a function of x and the states that returns the new states.

    The names of the parameters are those of the states; the first one after x is the output. An
    annotation is not needed. The name of the function is that of the cell.

    Examples
    --------
    >>> @cell
    ... def rnn(x, h):
    ...     return encode("h", tanh(row("h", x, h)))
    >>> rnn.gate_names, rnn.phases, [node.label for node in rnn.nodes]
    ((), ((0,),), ['x', 'h', 'h', 'tanh(h)', 'h'])
    """
    names = list(inspect.signature(equations).parameters)
    if len(names) < 2 or names[0] != "x":
        raise MubinnError("a cell is a function of x, of h, and of what other states it has.")
    x, *states = (Node("state" if name != "x" else "input", (), name) for name in names)
    made = equations(x, *states)
    new = made if isinstance(made, tuple) else (made,)
    if len(new) != len(states):
        raise MubinnError(f"cell {equations.__name__} returns {len(new)} of {len(states)} states.")
    text = (equations.__doc__ or "").strip().partition("\n")[0]
    return Cell(equations.__name__, x, tuple(states), new, text)
