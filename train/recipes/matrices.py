"""The matrices of a layer as training has them: of rows that have such weights alone. NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np

from mubinn.golden.cells.graph import Cell
from mubinn.golden.cells.sizes import Sizes
from mubinn.golden.model.float_layer import FloatLayer

Matrix: TypeAlias = Literal["wx", "wh", "wr"]
"""W_x, the rows of W_h but a projection's, and those of a projection."""


def matrices(cell: Cell) -> tuple[Matrix, ...]:
    """Return the names of the matrices that layers of a cell have among parameters."""
    return ("wx", "wh", "wr") if cell.projects else ("wx", "wh")


def places_of(cell: Cell, name: Matrix) -> tuple[int, ...]:
    """Return the places among the rows of a cell of those that have weights of a matrix.

    >>> from mubinn.golden.cells.library import lstm_projected
    >>> [places_of(lstm_projected, name) for name in matrices(lstm_projected)]
    [(0, 1, 2, 3), (0, 1, 2, 3), (4,)]
    """
    if name == "wx":
        return cell.reading("wx")
    projects = name == "wr"
    return tuple(k for k in cell.reading("wh") if cell.rows[k].projects == projects)


def columns_of(sizes: Sizes, name: Matrix) -> int:
    """Return the columns of a matrix of a state: those of the vector that its rows read."""
    return sizes.outputs * sizes.around if name == "wh" else sizes.hidden


def sizes_of(cell: Cell, layer: Mapping[str, Any]) -> Sizes:
    """Return the sizes of a layer of parameters."""
    if not cell.projects:
        hidden = len(layer["b"]) // len(cell.rows)
        around = layer["wh"].shape[1] // hidden if len(layer["wh"]) else 1
        return Sizes(cell, hidden, hidden, around)
    hidden = int(layer["wr"].shape[1])
    return Sizes(cell, hidden, len(layer["wr"]) // len(places_of(cell, "wr")))


def chosen(layer: FloatLayer, name: Matrix) -> Any:
    """Return the rows [R, ...] of a matrix of parameters, of all that have such weights."""
    cell, sizes = layer.cell, layer.sizes
    rows, places = getattr(layer, "wx" if name == "wx" else "wh"), places_of(cell, name)
    if name != "wx" and cell.projects:
        rows = rows[:, : columns_of(sizes, name)]
    if len(places) == len(cell.rows):
        return rows
    if not places:
        return np.zeros((0, layer.hidden), rows.dtype)
    return np.concatenate([rows[:0], *(rows[sizes.row_slice(place)] for place in places)])


def placed(sizes: Sizes, name: Matrix, rows: Any) -> dict[int, Any]:
    """Return the weights [H or P, ...] of every row of the cell that has some, by its place."""
    found, start = {}, 0
    for place in places_of(sizes.cell, name):
        found[place] = rows[start:][: sizes.row_counts[place]]
        start += sizes.row_counts[place]
    return found


def whole(sizes: Sizes, name: Matrix, rows: Any) -> Any:
    """Return the rows of all cells as NumPy has them, 0 where one has no such weights.

    Without columns where none has them.

    >>> from mubinn.golden.cells.library import gru
    >>> whole(Sizes(gru, 1, 1), "wh", np.array([1, 2, 3])).tolist()
    [1, 2, 3, 0]
    """
    parts = placed(sizes, name, rows)
    if not parts:
        return np.zeros((sizes.rows, 0), rows.dtype)
    blank = {
        place: np.zeros((count, *rows.shape[1:]), rows.dtype)
        for place, count in enumerate(sizes.row_counts)
    }
    return np.concatenate(list((blank | parts).values()))


def recurrent(sizes: Sizes, own: Mapping[str, Any]) -> Any:
    """Return W_h of all rows [.., columns], 0 beyond the vector that a row reads.

    `own` has matrices by name; of arrays with more axes the last one is that of columns.
    """
    if "wr" not in own:
        return whole(sizes, "wh", own["wh"])
    beyond = [(0, 0)] * (own["wh"].ndim - 1) + [(0, sizes.hidden - sizes.outputs)]
    return whole(sizes, "wh", np.pad(own["wh"], beyond)) + whole(sizes, "wr", own["wr"])
