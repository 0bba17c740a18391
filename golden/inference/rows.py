"""Rows of weights of the fast inference: the sums of a phase as integers, in two exact forms.

Both leave out what all values of a row share, so that they are short: a sum of row r of the cell is
``z = scale[r] y + constant[r]``, and z reaches a threshold where y reaches another one.
"""

from dataclasses import dataclass

import numpy as np

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.inference.input import WORD, Array, pack, peak, unit

LIMIT = 1 << 30
"""Sums of the compiled loops stay below it, so that int32 holds them."""

SHORT = 1 << 15
"""Numbers of 16 bits are smaller."""


@dataclass(frozen=True, eq=False)
class Rows:
    """What both forms share.

    Attributes
    ----------
    scale, constant : int64 [R]
        Of all cells' rows of a phase, row by row of a cell.
    count : int
        Cells H, or outputs of a projection.
    """

    scale: Ints
    constant: Ints

    count: int

    def of_row(self, row: int) -> tuple[Ints, Ints]:
        """Return scale and constant [H] of the phase's row number `row` of each cell."""
        own = slice(row * self.count, (row + 1) * self.count)
        return self.scale[own], self.constant[own]

    def first(self, first: Ints, row: int) -> Ints:
        """Return the smallest y that reach z `first` [H or 1, K], int64 [H, K]."""
        scale, constant = (value[:, None] for value in self.of_row(row))
        return np.asarray(-((constant - first) // scale))


@dataclass(frozen=True, eq=False)
class MatrixRows(Rows):
    """``y = matrix @ m`` over m of the state and of x, each 0..peak: all level planes collapsed.

    Attributes
    ----------
    matrix : int64 [R, n + I]
    peak : int64 [n + I]
        Of the n numbers of the state, then of those of x.
    """

    matrix: Ints
    peak: Ints

    @classmethod
    def of(cls, layer: QuantizedLayer, phase: int) -> "MatrixRows":
        """Return the rows of `phase`."""
        state, rows = layer.states[phase], layer.phase_rows(phase)
        pairs = (state, layer.wh), (layer.x, layer.wx)
        sizes = layer.sizes.phase_columns(phase), layer.features
        w = [
            w.values[rows, :size] << layer.z_fraction - q.fraction - w.fraction
            for (q, w), size in zip(pairs, sizes, strict=True)
        ]
        values = np.concatenate(w, axis=1)
        units, peaks = (np.repeat([of(state), of(layer.x)], sizes) for of in (unit, peak))
        matrix = 2 * values * units
        scale = np.maximum(np.gcd.reduce(matrix, axis=1), 1)
        constant = layer.b.values[rows] - values @ (units * peaks)
        count = layer.sizes.phase_count(phase)
        return cls(scale, constant, count, matrix // scale[:, None], peaks)

    @property
    def largest(self) -> int:
        """At least every partial sum of y, in whatever order it is added."""
        return int(max((np.maximum(sign * self.matrix, 0) @ self.peak).max() for sign in (1, -1)))

    @property
    def bound(self) -> int:
        """At least every ``|z|``."""
        sums = np.abs(self.matrix) @ self.peak * self.scale
        return int((sums + np.abs(self.constant)).max())

    @property
    def floats(self) -> Array:
        """The matrix in a type that is exact: as ``|z| < 2**52``, float64 always is."""
        return self.matrix.astype(np.float32 if self.largest <= 1 << 24 else np.float64)

    @property
    def fits_pairs(self) -> bool:
        """Whether numbers of 16 bits hold the factors and int32 the sums."""
        longest = max(int(np.abs(self.matrix).max()), int(self.peak.max()))
        return longest < SHORT and self.largest < LIMIT


@dataclass(frozen=True, eq=False)
class WordRows(Rows):
    """``y = sum_ij gains_ij popcount(s_i ^ ws_j)`` and the same of x, Eq. (9) 32 elements a word.

    The dot product of two planes of signs is ``n - 2 popcount(a ^ b)``.

    Attributes
    ----------
    words : uint32 [R, W, n_h + n_x]
    gains : int64 [R, L, W, 2]
        L is the larger level count of the state and x.
    largest : int
        At least every ``|y|``.
    """

    words: Array
    gains: Ints
    largest: int

    @classmethod
    def of(cls, layer: QuantizedLayer, phase: int) -> "WordRows":
        """Return the rows of `phase`."""
        rows = layer.phase_rows(phase)
        of_h, of_x = layer.gamma_h[rows], layer.gamma_x[rows]
        sizes = layer.sizes.phase_columns(phase), layer.features
        gains = np.zeros((len(rows), depth(layer), layer.wx.levels, 2), np.int64)
        for side, gamma in enumerate((of_h, of_x)):
            gains[:, : gamma.shape[1], :, side] = -2 * gamma
        scale = np.maximum(np.gcd.reduce(gains.reshape(len(rows), -1), axis=1), 1)
        sums = (gamma.sum(axis=(1, 2)) for gamma in (of_h, of_x))
        constant = layer.b.values[rows] + sum(n * own for n, own in zip(sizes, sums, strict=True))
        gains //= scale[:, None, None, None]
        spare = np.zeros((len(rows), layer.hidden - layer.sizes.columns), np.uint8)
        planes = [
            np.concatenate(
                [
                    framed(np.concatenate([wh[rows], spare], axis=1).T, 1, 1),
                    framed(wx[rows].T, layer.frames.taps, 1),
                ]
            )
            for wh, wx in zip(layer.wh.bits, layer.wx.bits, strict=True)
        ]
        words = np.ascontiguousarray(np.stack(planes).transpose(2, 0, 1))
        largest = int((np.abs(gains).sum(axis=(1, 2)) @ np.array(sizes)).max())
        return cls(scale, constant, layer.sizes.phase_count(phase), words, gains, largest)


def framed(columns: Array, taps: int, width: int) -> Array:
    """Return fields of one plane [n, R] in words, those of each step of a frame in its own."""
    return np.concatenate([pack(own, 1, width)[0] for own in np.split(columns, taps)])


def depth(layer: QuantizedLayer) -> int:
    """Return L, the larger of the level counts of x and of what meets W_h."""
    return max(layer.x.levels, layer.h.levels)


def words_of(layer: QuantizedLayer) -> int:
    """Return the words of all rows and level pairs of a step."""
    each = sum(-(-size // WORD) for size in (layer.hidden, layer.features))
    return layer.wx.rows * depth(layer) * layer.wx.levels * each
