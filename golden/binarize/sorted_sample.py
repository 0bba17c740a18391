"""A sample in ascending order: what any scales make of it costs a few sums, whatever its size.

Algorithm 1 asks ``r >= 0`` of what earlier levels left, so the values of one code are an interval
of the real line. Running sums over the sorted sample then give the squared error of N levels from
2**N intervals.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.fixed import Floats, Ints


@dataclass(frozen=True, eq=False)
class SortedSample:
    """The values [n] of a sample, ascending; see `of`."""

    values: Floats

    @classmethod
    def of(cls, values: npt.ArrayLike) -> "SortedSample":
        """Return the sample of `values`, whatever their order and shape."""
        return cls(np.sort(np.asarray(values, np.float64), axis=None))

    @cached_property
    def _sums(self) -> Floats:
        return np.concatenate([[0.0], np.cumsum(self.values)])

    @cached_property
    def _squares(self) -> float:
        return float(np.square(self.values).sum())

    @cached_property
    def peak(self) -> float:
        """The largest magnitude."""
        return float(max(-self.values[0], self.values[-1]))

    @cached_property
    def deviation(self) -> float:
        """The root mean square."""
        return float(np.sqrt(self._squares / len(self.values)))

    def _codes(self, scales: Floats) -> tuple[Floats, Floats, Ints, Floats]:
        """Return signs [N, 2**N] of all codes, and values, counts and sums [K, 2**N] of them.

        Each of `scales` [K, N] gives a code its own value and its own members.
        """
        value = np.zeros((len(scales), 1))
        low, high = np.zeros(value.shape, np.int64), np.full(value.shape, len(self.values))
        signs = np.zeros((0, 1))
        for scale in scales.T[:, :, None]:
            split = np.clip(np.searchsorted(self.values, value), low, high)
            low, high = np.hstack([low, split]), np.hstack([split, high])
            value = np.hstack([value - scale, value + scale])
            signs = np.vstack([np.tile(signs, 2), np.repeat([-1.0, 1.0], signs.shape[1])])
        return signs, value, high - low, self._sums[high] - self._sums[low]

    def errors(self, scales: Floats) -> Floats:
        """Return the mean squared error [K] of each of `scales` [K, N]."""
        _, value, count, total = self._codes(scales)
        squares = self._squares + (value * (count * value - 2 * total)).sum(axis=1)
        return np.asarray(np.maximum(squares, 0.0) / len(self.values), np.float64)

    def error(self, scales: npt.ArrayLike) -> float:
        """Return the mean squared error of the scales a_1..a_N."""
        return float(self.errors(np.asarray(scales, np.float64)[None])[0])

    def refitted(self, scales: Floats) -> Floats:
        """Return scales of least squared error for the codes that each of `scales` [K, N] gives."""
        signs, _, count, total = self._codes(scales)
        gram = (signs * count[:, None]) @ signs.T
        solved = np.linalg.pinv(gram, rcond=1e-13, hermitian=True) @ (total @ signs.T)[:, :, None]
        return np.asarray(solved[:, :, 0], np.float64)

    def next_scale(self, scales: Floats) -> float:
        """Return the scale of one more level that lowers the error most: the mean residual."""
        _, (value,), (count,), (total,) = self._codes(np.append(scales, 0.0)[None])
        # Within a code of the level before, members right of its value have +1.
        half = len(value) // 2
        right = total[half:] - count[half:] * value[half:]
        left = count[:half] * value[:half] - total[:half]
        return max(float(right.sum() + left.sum()), 0.0) / len(self.values)
