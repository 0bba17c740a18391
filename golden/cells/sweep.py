"""Layers over the pixels of frames: a step is a pixel, and reads the pixels around it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.graph import Cell
from mubinn.golden.ground.errors import MubinnError

LARGEST = 1 << 10
"""Most rows, and columns, of a frame."""


@dataclass(frozen=True)
class Sweep:
    """What a step of a layer reads where its steps are the pixels of frames, row by row.

    A window of T frames has ``T height width`` steps. At each one a cell with the same weights
    reads the ``rows x columns`` pixels around it: x of this frame with W_x, and h of the frame
    before with W_h (effective-quantization, Eq. 14-19). Other states are those of the pixel
    itself, one frame ago. Outside of the frame stands what a state is before the first frame, the
    code of 0, and the code of an input of 0. Numbers of each cell, as the weights of peepholes, are
    the same at all pixels; Shi et al. (2015) have one a pixel.

    It stands where `Frames` does, which reads over time, and has its members.

    Attributes
    ----------
    height, width : int
        Of the frame, in pixels.
    rows, columns : int
        Of what a pixel reads; odd, the pixel in the middle.

    Examples
    --------
    >>> sweep = Sweep(height=1, width=3, rows=1, columns=3)
    >>> sweep.of(np.array([[1], [2], [3]]), np.zeros(1, np.int64)).tolist()
    [[0, 1, 2], [1, 2, 3], [2, 3, 0]]
    """

    height: int
    width: int
    rows: int = 3
    columns: int = 3

    def __post_init__(self) -> None:
        """Raise `MubinnError` on sizes of no frame, or of no neighbourhood."""
        if not all(1 <= size <= LARGEST for size in (self.height, self.width)):
            raise MubinnError(
                f"frames of {self.height} x {self.width} pixels: give 1 to {LARGEST} of each."
            )
        for size in (self.rows, self.columns):
            if size < 1 or size % 2 == 0 or size > 15:
                raise MubinnError(
                    f"a neighbourhood of {self.rows} x {self.columns} pixels has no middle, or is "
                    "too large: give odd numbers up to 15."
                )

    @property
    def plain(self) -> bool:
        """False: it is not step after step."""
        return False

    @property
    def pixels(self) -> int:
        """Pixels P of a frame."""
        return self.height * self.width

    @property
    def taps(self) -> int:
        """Pixels that a step reads."""
        return self.rows * self.columns

    @property
    def around(self) -> int:
        """Pixels whose h the rows of a step read."""
        return self.taps

    @property
    def reach(self) -> int:
        """Steps from a pixel to the last one that it reads."""
        return self.rows // 2 * self.width + self.columns // 2

    @cached_property
    def shifts(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns from a pixel to each that it reads, in the order of weights."""
        tall, wide = self.rows // 2, self.columns // 2
        down, across = range(-tall, tall + 1), range(-wide, wide + 1)
        return tuple((y, x) for y in down for x in across)

    @cached_property
    def places(self) -> npt.NDArray[np.int64]:
        """Pixels that each one reads, int64 [P, taps]; P itself stands for what is outside."""
        y, x = np.divmod(np.arange(self.pixels), self.width)
        found = []
        for down, across in self.shifts:
            row, column = y + down, x + across
            inside = (row >= 0) & (row < self.height) & (column >= 0) & (column < self.width)
            found.append(np.where(inside, row * self.width + column, self.pixels))
        return np.stack(found, axis=1)

    def inputs(self, columns: int) -> int:
        """Return the inputs of a pixel where W_x has so many columns; raise where none fit."""
        if columns % self.taps:
            raise MubinnError(
                f"the weights have {columns} columns of x, which are not those of {self.taps} "
                "pixels: check the model file."
            )
        return columns // self.taps

    def count(self, steps: int) -> int:
        """Return the steps of a window of so many; raise `MubinnError` for less than a frame."""
        if steps < self.pixels:
            raise MubinnError(
                f"a window of {steps} steps is shorter than a frame of {self.height} x "
                f"{self.width} pixels: give longer windows."
            )
        return steps

    def least(self, steps: int) -> int:
        """Return the least steps of a window of whole frames that has `steps`."""
        return -(-steps // self.pixels) * self.pixels

    def frames(self, steps: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return steps [..., T P, n] by frame, [..., T, P, n]; raise for a part of a frame."""
        count = steps.shape[-2]
        if not count or count % self.pixels:
            raise MubinnError(
                f"a window of {count} steps is not one of whole frames of {self.height} x "
                f"{self.width} pixels: give windows of a multiple of {self.pixels} steps."
            )
        return steps.reshape(*steps.shape[:-2], count // self.pixels, self.pixels, steps.shape[-1])

    def neighbours(self, pixels: npt.NDArray[Any], zero: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what each pixel reads, [..., P, taps n], of pixels [..., P, n]; `zero` [n]."""
        outside = np.broadcast_to(zero, (*pixels.shape[:-2], 1, pixels.shape[-1]))
        whole = np.concatenate([pixels, outside.astype(pixels.dtype)], axis=-2)
        return whole[..., self.places, :].reshape(*pixels.shape[:-1], self.taps * pixels.shape[-1])

    def of(self, x: npt.NDArray[Any], zero: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what the steps of windows [..., T P, I] read, [..., T P, taps I]; `zero` [I]."""
        found = self.neighbours(self.frames(x), zero)
        return found.reshape(*x.shape[:-1], found.shape[-1])

    def met(self, states: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what W_h meets at each step, [..., T P, around n], of float states of all steps.

        A state is 0 before the first frame and outside of all.
        """
        own = self.frames(states)
        start = np.zeros_like(own[..., :1, :, :])
        earlier = np.concatenate([start, own[..., :-1, :, :]], axis=-3)
        found = self.neighbours(earlier, np.zeros(states.shape[-1], states.dtype))
        return found.reshape(*states.shape[:-1], found.shape[-1])

    def spread(self, offset: npt.NDArray[Any], inputs: int) -> npt.NDArray[Any]:
        """Return the offset [taps I] of every column, of one [] or [I] of the I inputs."""
        return np.tile(np.broadcast_to(offset, inputs), self.taps)

    def spread_state(self, offset: npt.NDArray[Any], columns: int) -> npt.NDArray[Any]:
        """Return the offset of every column of W_h, of one [] or [n] of a pixel's n numbers."""
        return self.spread(offset, columns // self.around)


Reads = Frames | Sweep
"""What a step of a layer reads of its input."""


class Sweeping(Protocol):
    """What the rules of sweeps ask of a layer."""

    @property
    def cell(self) -> Cell:
        """What it consists of."""

    @property
    def frames(self) -> Reads:
        """What it reads at once."""


def check_cell(reads: Reads, cell: Cell) -> None:
    """Raise `MubinnError` on a cell that no frame can be swept with."""
    if isinstance(reads, Sweep) and (len(cell.phases) > 1 or cell.projects):
        raise MubinnError(
            f"cell {cell.name} has rows that read what other rows of the same step made of all "
            "cells, which a sweep over pixels has not yet of those around: give another cell."
        )


def check_sweeps(layers: Sequence[Sweeping], readout: str) -> None:
    """Raise `MubinnError` where not all layers of a network of pixels are of the same frame."""
    sweeps = [layer.frames for layer in layers if isinstance(layer.frames, Sweep)]
    if not sweeps:
        return
    if len({(own.height, own.width) for own in sweeps}) > 1:
        raise MubinnError("layers sweep frames of different sizes: give all the same.")
    for layer in layers:
        if not isinstance(layer.frames, Sweep) and (
            not layer.frames.plain or layer.cell.reading("wh")
        ):
            raise MubinnError(
                "a layer takes pixels for steps of time, beside layers that sweep frames: let it "
                "sweep them too, with a neighbourhood of 1 x 1 if it reads a pixel alone."
            )
    if readout == "last":
        raise MubinnError(
            "the readout last would read the last pixel alone: give every, mean or running to "
            "layers that sweep frames."
        )
