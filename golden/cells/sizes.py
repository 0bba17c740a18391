"""How many there are of each in a layer: cells, outputs, rows and columns of weights."""

from dataclasses import dataclass

import numpy as np

from mubinn.golden.cells.graph import Cell, Node
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True)
class Sizes:
    """The counts of a layer: a row of its cell stands once for each cell, or for each output.

    Attributes
    ----------
    cell : Cell
    hidden : int
        Cells H.
    outputs : int
        Numbers P of the output h: H, but of a cell that projects.
    around : int
        States h that a row reads side by side: 1, but for the pixels of a sweep.

    Examples
    --------
    >>> from mubinn.golden.cells.library import lstm_projected
    >>> sizes = Sizes.of(lstm_projected, 4 * 8 + 3, 8)
    >>> sizes.hidden, sizes.outputs, sizes.row_slice(4), [sizes.phase_columns(k) for k in (0, 1)]
    (8, 3, slice(32, 35, None), [3, 8])
    """

    cell: Cell
    hidden: int
    outputs: int
    around: int = 1

    @classmethod
    def of(cls, cell: Cell, rows: int, columns: int, around: int = 1) -> "Sizes":
        """Return the sizes where W_h has so many rows and columns; raise `MubinnError` for none."""
        projections = sum(node.projects for node in cell.rows)
        others = len(cell.rows) - projections
        hidden = columns if projections else rows // others
        outputs, left = divmod(rows - others * hidden, projections) if projections else (hidden, 0)
        made = cls(cell, hidden, outputs, around)
        if left or not 0 < outputs <= hidden or (made.rows, made.columns) != (rows, columns):
            width = (f"{around}H" if around > 1 else "H") if cell.reading("wh") else "0"
            shape = f"({others}H + P, H)" if projections else f"({others}H, {width})"
            raise MubinnError(
                f"recurrent weights of shape {(rows, columns)} are not {shape} of a layer of cell "
                f"{cell.name}: check the model file."
            )
        return made

    def count(self, node: Node) -> int:
        """Return how many numbers a value of the cell is."""
        return self.outputs if self.cell.is_projected(node) else self.hidden

    @property
    def row_counts(self) -> tuple[int, ...]:
        """How often each row of the cell is there."""
        return tuple(map(self.count, self.cell.rows))

    @property
    def rows(self) -> int:
        """Rows of all weights."""
        return sum(self.row_counts)

    @property
    def columns(self) -> int:
        """Columns of W_h, of which a phase has those of the vector that its rows read; or none."""
        return self.hidden * self.around if self.cell.reading("wh") else 0

    def row_slice(self, place: int) -> slice:
        """Return the rows that are number `place` of their cell."""
        start = sum(self.row_counts[:place])
        return slice(start, start + self.row_counts[place])

    def phase_rows(self, phase: int) -> Ints:
        """Return the rows of `phase`, int64 [rows], row-major by row of a cell."""
        own = (self.row_slice(place) for place in self.cell.phases[phase])
        return np.concatenate([np.arange(rows.start, rows.stop) for rows in own])

    def phase_count(self, phase: int) -> int:
        """Return the cells, or outputs, that the rows of a phase are of."""
        return self.count(self.cell.phase_nodes[phase][0])

    def phase_columns(self, phase: int) -> int:
        """Return the columns of W_h that count in the rows of a phase; 0 where all read x alone."""
        reads = any(map(self.cell.recurrent_of, self.cell.phase_nodes[phase]))
        return self.count(self.cell.recurrent[phase]) * self.around if reads else 0

    @property
    def row_columns(self) -> Ints:
        """The columns of W_h that count in each row, int64 [rows]."""
        found = np.empty(self.rows, np.int64)
        for phase in range(len(self.cell.phases)):
            found[self.phase_rows(phase)] = self.phase_columns(phase)
        return found

    def unused(self) -> np.ndarray:
        """Return where W_h has no weights, bool [rows, columns]."""
        return np.arange(self.columns) >= self.row_columns[:, None]
