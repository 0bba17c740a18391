"""A cell's equations in a model file, so that a file says all of its model wherever it is read."""

import json
from functools import lru_cache
from typing import Any

from mubinn.golden.cells.graph import Cell, Node, Operation
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.units.shapes import shape_of

MOST_NODES = 1000
"""Nodes of a cell that a file may have."""

PROJECTION = "projection"
"""How files call a row that there is for each output."""

ARITY: dict[Operation, tuple[int, int]] = {
    "input": (0, 0),
    "state": (0, 0),
    "stored": (0, 0),
    "row": (1, 2),
    "activation": (1, 1),
    "encode": (1, 1),
    "product": (2, 2),
    "sum": (2, MOST_NODES),
    "complement": (1, 1),
}
"""Least and most operands of each operation."""


def equations_of(cell: Cell) -> list[list[Any]]:
    """Return a cell's nodes as JSON types: operation, name, kind, places of the operands.

    The first ones are x and the states; the last ones, as many as the states, become them.
    """
    first = [cell.x, *cell.states]
    others = [node for node in cell.nodes if node not in (*first, *cell.new)]
    nodes = [*first, *_ordered(others + list(cell.new))]
    place = {node: k for k, node in enumerate(nodes)}
    rows = [
        [
            PROJECTION if node.projects else node.operation,
            node.name,
            node.kind,
            [place[operand] for operand in node.operands],
        ]
        for node in nodes
    ]
    return [*rows, *(["new", node.name, "", [place[node]]] for node in cell.new)]


def _ordered(nodes: list[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: node.order)


def cell_from(name: str, equations: object) -> Cell:
    """Return the cell that a file has; equal equations give the same object.

    Raises
    ------
    MubinnError
        The equations are damaged, or make no cell.
    """
    return _cell(name, json.dumps(equations))


@lru_cache(maxsize=64)
def _cell(name: str, text: str) -> Cell:
    fault = MubinnError(f"the equations of its cell {name[:40]!r} are damaged: make the file anew.")
    rows = json.loads(text)
    if not isinstance(rows, list) or not 0 < len(rows) <= MOST_NODES:
        raise fault
    nodes: list[Node] = []
    new: list[Node] = []
    for row in rows:
        made = _node(row, nodes)
        if made is None:
            raise fault
        (new if row[0] == "new" else nodes).append(made)
    states = tuple(node for node in nodes if node.operation == "state")
    inputs = [node for node in nodes if node.operation == "input"]
    if len(inputs) != 1 or not states or len(new) != len(states):
        raise fault
    return Cell(name, inputs[0], states, tuple(new))


def _node(row: object, nodes: list[Node]) -> Node | None:
    """Return the node of a row, whose operands are among `nodes`; None where it is damaged."""
    if not isinstance(row, list) or len(row) != 4:
        return None
    operation, name, kind, places = row
    if not isinstance(name, str) or not isinstance(places, list) or len(name) > 40:
        return None
    if not all(type(k) is int and 0 <= k < len(nodes) for k in places):
        return None
    operands = tuple(nodes[k] for k in places)
    if operation == "new":
        return operands[0] if len(operands) == 1 else None
    projects = operation == PROJECTION
    operation = "row" if projects else operation
    if operation not in ARITY or not _is_kind(kind):
        return None
    least, most = ARITY[operation]
    if not least <= len(operands) <= most or (
        operation != "row" and _misplaced(operation, operands)
    ):
        return None
    return Node(operation, operands, name, kind, projects)


def _is_kind(kind: object) -> bool:
    """Whether a file's word for an activation is one."""
    try:
        shape_of(str(kind))
    except MubinnError:
        return False
    return isinstance(kind, str)


def _misplaced(operation: str, operands: tuple[Node, ...]) -> bool:
    """Whether an operation has operands that equations cannot give it."""
    if operation == "complement":
        return not operands[0].is_code
    return operation != "row" and any(operand.operation == "input" for operand in operands)
