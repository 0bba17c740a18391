"""Steps that a layer reads side by side: a convolution over time reads several."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError


@dataclass(frozen=True)
class Frames:
    """What a step of a layer reads of its input: `taps` steps of it, the oldest first.

    A convolution over time is a layer without state of its own that reads such frames: the weights
    of a filter are a row of `taps` I columns.

    Attributes
    ----------
    taps : int
        Steps of a frame; 1 for a layer that reads one step after the other.
    stride : int
        Steps from one frame to the next.
    before : int
        Steps of 0 before a window's first one, fewer than `taps`: with ``taps - 1`` and a stride
        of 1 there is a frame for every step, and none reads what comes later.

    Examples
    --------
    >>> Frames(taps=3, stride=2).count(8)
    3
    >>> Frames(taps=2).of(np.arange(3)[:, None], np.zeros(1, np.int64)).tolist()
    [[0, 1], [1, 2]]
    """

    taps: int = 1
    stride: int = 1
    before: int = 0

    def __post_init__(self) -> None:
        """Raise `MubinnError` on counts that make no frames."""
        if min(self.taps, self.stride) < 1 or not 0 <= self.before < self.taps:
            raise MubinnError(
                f"frames of {self.taps} steps, {self.stride} apart, after {self.before} of 0: give "
                "1 or more of the first two, and fewer steps of 0 than a frame has."
            )

    @property
    def plain(self) -> bool:
        """Whether a frame is a step."""
        return self == Frames()

    @property
    def around(self) -> int:
        """Steps whose h the rows of a step read: the one before."""
        return 1

    def inputs(self, columns: int) -> int:
        """Return the inputs of a step where W_x has so many columns; raise where none fit."""
        if columns % self.taps:
            raise MubinnError(
                f"the weights have {columns} columns of x, which are not those of {self.taps} "
                "steps: check the model file."
            )
        return columns // self.taps

    def count(self, steps: int) -> int:
        """Return the frames of a window of so many steps; raise `MubinnError` for none."""
        if steps + self.before < self.taps:
            raise MubinnError(
                f"a window of {steps} steps is shorter than the {self.taps - self.before} that a "
                "layer reads at once: give longer windows."
            )
        return (steps + self.before - self.taps) // self.stride + 1

    def least(self, frames: int) -> int:
        """Return the least steps of a window that has so many frames."""
        return (frames - 1) * self.stride + self.taps - self.before

    def of(self, x: npt.NDArray[Any], zero: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the frames [..., T', taps I] of windows [..., T, I]; `zero` [I] stands for 0."""
        if self.plain:
            return x
        ahead = np.broadcast_to(zero, (*x.shape[:-2], self.before, x.shape[-1]))
        return self.after(ahead.astype(x.dtype), x)[0]

    def after(
        self, ahead: npt.NDArray[Any], x: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the frames [..., T', taps I] of steps [..., T, I] after others, [..., k, I].

        And those of all steps that the next frame, `stride` after the last one, begins with, to
        stand before further ones; of a stride up to `taps`.

        >>> Frames(taps=2).after(np.array([[0]]), np.array([[1], [2]]))[1].tolist()
        [[2]]
        """
        count = self.count(x.shape[-2] + ahead.shape[-2] - self.before)
        whole = np.concatenate([ahead, x], axis=-2)
        last = self.stride * (count - 1) + 1
        taps = [whole[..., k : k + last : self.stride, :] for k in range(self.taps)]
        return np.concatenate(taps, axis=-1), whole[..., self.stride * count :, :]

    def slide(
        self, steps: Iterable[npt.NDArray[Any]], zero: npt.NDArray[Any]
    ) -> Iterator[npt.NDArray[Any]]:
        """Yield the frames [taps I, B] of steps [I, B] as they come, like `of`; `zero` [I, 1]."""
        held: deque[npt.NDArray[Any]] = deque(maxlen=self.taps)
        due = self.taps - self.before
        for now in steps:
            if not held:
                held.extend(np.broadcast_to(zero, now.shape) for _ in range(self.before))
            held.append(now)
            due -= 1
            if not due:
                due = self.stride
                yield now if self.taps == 1 else np.concatenate(list(held))

    def met(self, states: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the state that each step of [..., T, n] starts from, 0 in the first."""
        return np.concatenate([np.zeros_like(states[..., :1, :]), states[..., :-1, :]], axis=-2)

    def spread(self, offset: npt.NDArray[Any], inputs: int) -> npt.NDArray[Any]:
        """Return the offset [taps I] of every column, of one [] or [I] of the I inputs."""
        return np.tile(np.broadcast_to(offset, inputs), self.taps)

    def spread_state(self, offset: npt.NDArray[Any], columns: int) -> npt.NDArray[Any]:
        """Return the offset of every column of W_h, of one [] or [n] of the n numbers read."""
        return np.broadcast_to(offset, columns)
