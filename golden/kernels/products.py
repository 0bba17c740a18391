"""Products of rows of float32 with stored signs, as XNOR and population counts.

The dot product of two planes of n signs is ``n - 2 popcount(a ^ b)``. Rows are binarized inside the
call, by Algorithm 1 or by their sign. Weights are laid out once, for an instruction set: in panels
of columns, so that a word of a row meets the words of many columns at once and no sum runs across
a register.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Bits, Floats, Ints, frozen
from mubinn.golden.kernels.native import SETS, chosen, library

LAYOUTS = {"portable": (32, 4), "avx2": (64, 1), "avx512": (32, 4)}
"""Columns of a panel, and bytes of each that stand side by side."""

WORD_BYTES = 4
"""Rows are filled up with zeros to a multiple of it."""

LEAST_WORK = 1 << 23
"""Products of words that are worth the start of a thread."""

LIMIT = 1 << 62
"""Sums of level products stay below it, so that int64 holds them."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class _Product:
    """What both products share.

    Attributes
    ----------
    instruction_set : str
        One of `mubinn.golden.kernels.native.SETS`.
    outputs, size : int
        R and n.
    panels : uint8 [panels, W, words, columns, bytes]
        Level planes of the weights.
    gains : int64 [panels, W, A, columns] or None
        g_ij; without them the products are dot products of one level.
    scales : float64 [A]
    offset : float64 [n]
    """

    instruction_set: str
    outputs: int
    size: int
    panels: Bits
    gains: Ints | None
    scales: Floats
    offset: Floats

    result: ClassVar[Any]

    def __call__(self, x: Array, *, threads: int = 1, out: Array | None = None) -> Array:
        """Return the products [M, R] with rows of x.

        Parameters
        ----------
        x : float32 [M, n]
            Contiguous, or it is copied.
        threads : int
            Most threads; little work takes one.
        out : int32 or int64 [M, R], optional
            Contiguous array that is filled and returned.

        Raises
        ------
        MubinnError
            On a wrong shape or type, or a thread count below 1.
        """
        if x.ndim != 2 or x.shape[1] != self.size or x.dtype != np.float32:
            raise MubinnError(
                f"rows of shape {x.shape} and type {x.dtype} are not float32 [M, {self.size}]."
            )
        if threads < 1:
            raise MubinnError(f"{threads} threads cannot work: give at least 1.")
        if out is None:
            out = _aligned((len(x), self.outputs), self.result)
        fits = out.shape == (len(x), self.outputs) and out.dtype == self.result
        if not (fits and out.flags.c_contiguous and out.flags.writeable):
            raise MubinnError(
                f"out of shape {out.shape} and type {out.dtype} cannot hold the products: give a "
                f"contiguous {np.dtype(self.result)} array of shape {(len(x), self.outputs)}."
            )
        rows, (shape, weights) = np.ascontiguousarray(x), self._arguments
        place = SETS.index(self.instruction_set)
        work = len(x) * len(self.scales) * self.panels.size // WORD_BYTES
        count = max(1, min(threads, work // LEAST_WORK))
        if library().xnor_product(place, _at(rows), len(x), *shape, *weights, _at(out), count):
            raise MemoryError
        return out

    @cached_property
    def _arguments(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What each call hands over besides x and out."""
        levels, planes = len(self.scales), self.panels.shape[1]
        gains = 0 if self.gains is None else _at(self.gains)
        places = _at(self.scales), _at(self.offset), _at(self.panels)
        return (self.size, levels), (*places, planes, self.outputs, gains)


class XnorProduct(_Product):
    """Dot products of the signs of rows with stored signs, where the sign of 0 is +1.

    Examples
    --------
    >>> product = XnorProduct.of(np.array([[1, 1, 0], [0, 0, 0]]))
    >>> product(np.array([[0.5, -2.0, 0.0]], np.float32))
    array([[-1, -1]], dtype=int32)
    """

    result = np.int32

    @classmethod
    def of(cls, bits: npt.ArrayLike, *, instruction_set: str | None = None) -> "XnorProduct":
        """Lay out signs [R, n], 1 for +1 and 0 for -1.

        Raises
        ------
        MubinnError
            Where the signs are no such matrix, this machine lacks the instruction set, by default
            its fastest one, or there is no g++ to compile the kernels.
        """
        own, plane = chosen(instruction_set), np.asarray(bits)
        panels = _panels(plane[None], own)
        rows, size = plane.shape
        return cls(own, rows, size, panels, None, np.ones(1), np.zeros(size))


class LevelProduct(_Product):
    """Sums of Eq. (9), ``sum_ij g_ij dot(X_i, W_j)``, where X_i are the levels of rows of x.

    Examples
    --------
    >>> product = LevelProduct.of([[[1, 0, 1]]], gains=[[[4], [2]]], scales=[2.0, 1.0])
    >>> product(np.array([[3.0, -3.0, -0.5]], np.float32))  # signs + - - and + - +
    array([[10]])
    """

    result = np.int64

    @classmethod
    def of(
        cls,
        bits: npt.ArrayLike,
        gains: npt.ArrayLike,
        scales: npt.ArrayLike,
        offset: npt.ArrayLike = 0.0,
        *,
        instruction_set: str | None = None,
    ) -> "LevelProduct":
        """Lay out weights for rows that Algorithm 1 encodes.

        Parameters
        ----------
        bits : uint8 [W, R, n]
            Level planes of the weights.
        gains : int64 [R, A, W]
            g_ij, as `mubinn.golden.cells.layer.QuantizedLayer.gamma_x` has them.
        scales : float64 [A]
            Of x.
        offset : float64 [] or [n]
            Of x. The sums are of its levels alone.
        instruction_set : str, optional
            The machine's fastest one by default.

        Raises
        ------
        MubinnError
            Where shapes do not fit, sums could leave int64, this machine lacks the instruction
            set, or there is no g++ to compile the kernels.
        """
        own, planes = chosen(instruction_set), np.asarray(bits)
        panels = _panels(planes, own)
        g, a = np.asarray(gains, np.int64), frozen(scales, np.float64)
        count, outputs, size = planes.shape
        if a.ndim != 1 or g.shape != (outputs, a.size, count):
            raise MubinnError(
                f"gains of shape {g.shape} do not fit {outputs} rows, scales of shape {a.shape} "
                f"and {count} levels of weights."
            )
        if size * np.abs(g.astype(np.float64)).sum(axis=(1, 2)).max() >= LIMIT:
            raise MubinnError("sums of these gains leave 63 bits: give scales of fewer bits.")
        columns, _ = LAYOUTS[own]
        padded = np.zeros((len(panels) * columns, *g.shape[1:]), np.int64)
        padded[:outputs] = g
        laid = padded.reshape(len(panels), columns, a.size, count).transpose(0, 3, 2, 1)
        spread = np.broadcast_to(np.asarray(offset, np.float64), size)
        return cls(
            own, outputs, size, panels, frozen(laid, np.int64), a, frozen(spread, np.float64)
        )


def _panels(planes: Array, instruction_set: str) -> Bits:
    """Return level planes [W, R, n] as the native code reads them."""
    if planes.ndim != 3 or not planes.size or ((planes != 0) & (planes != 1)).any():
        raise MubinnError("the bits of weights are not planes of zeros and ones.")
    columns, side = LAYOUTS[instruction_set]
    count, rows, size = planes.shape
    length, panels = WORD_BYTES * -(-size // (8 * WORD_BYTES)), -(-rows // columns)
    packed = np.zeros((count, panels * columns, length), np.uint8)
    packed[:, :rows, : -(-size // 8)] = np.packbits(planes == 1, axis=2, bitorder="little")
    laid = packed.reshape(count, panels, columns, length // side, side)
    return frozen(laid.transpose(1, 0, 3, 2, 4), np.uint8)


def _at(array: Array) -> int:
    """Return the address of an array's first element, faster than ``array.ctypes``."""
    place: int = array.__array_interface__["data"][0]
    return place


def _aligned(shape: tuple[int, int], dtype: Any) -> Array:
    """Return an array whose rows may pass by the cache: it begins at a line of it."""
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    start = -_at(raw) % 64
    return np.asarray(raw[start : start + size].view(dtype).reshape(shape))
