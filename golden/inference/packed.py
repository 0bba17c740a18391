"""Fast inference with one level everywhere: two gates in one product.

With one level each, a gate of a cell says whether ``G_h d_h + G_x d_x`` reaches a threshold, where
d_h and d_x are small integers: sums of +-1 over the bits of h and of x. Much shorter integers than
G_h, G_x make the same decision at every point (d_h, d_x) of the finite grid, so short that two
gates share the 24 bits of a float32: ``P = hi * 2**k + (lo + 2**(k-1))``. The product then has
half as many rows; the sign of P is one gate's decision, bit k - 1 of P is the other's.
"""

from dataclasses import dataclass

import numpy as np

from mubinn.golden.ground.fixed import Ints
from mubinn.golden.inference.input import Array

MAX_GAIN = 64
"""Largest short integer tried in the place of G_h."""

LIMIT = 1 << 24
"""float32 holds all integers up to it."""

_NEVER = -(1 << 60)


@dataclass(frozen=True, eq=False)
class Decision:
    """Rows ``signs_h @ h + signs_x @ x`` with gains: 1 where ``gain_h d_h + gain_x d_x >= first``.

    Attributes
    ----------
    signs : int64 [R, H + I]
        -1 and 1; columns of h, then of x, which are bits.
    hidden : int
        H.
    gain_h, gain_x, first : int64 [R]
    """

    signs: Ints
    hidden: int
    gain_h: Ints
    gain_x: Ints
    first: Ints

    def ranges(self) -> tuple[Ints, Ints]:
        """Return the least and the largest d_h of each row, int64 [R]."""
        h = self.signs[:, : self.hidden]
        return -(h < 0).sum(axis=1), (h > 0).sum(axis=1)

    def steps(self) -> tuple[Ints, Ints]:
        """Return every d_x, and the least d_h that decides 1 beside it; int64 [R, I + 1]."""
        x = self.signs[:, self.hidden :]
        d_x = -(x < 0).sum(axis=1)[:, None] + np.arange(x.shape[1] + 1)
        return d_x, -((self.gain_x[:, None] * d_x - self.first[:, None]) // self.gain_h[:, None])

    def shortened(self) -> "Decision":
        """Return the same decisions with the least gain_h that is at most `MAX_GAIN`, row by row.

        Gains (A, B) and a threshold t decide alike where ``A (d - 1) + B d_x < t <= A d + B d_x``
        for all d_x and their least d_h = d, as far as d lies in the range of d_h. The slopes B / A
        that can do it are an interval around G_x / G_h, so the two nearest B of each A are tried.
        """
        low, high = (bound[:, None] for bound in self.ranges())
        d_x, d_h = self.steps()
        d_h = np.clip(d_h, low, high + 1)
        done = np.zeros(len(self.first), bool)
        gains = np.stack([self.gain_h, self.gain_x, self.first])
        for gain_h in range(1, MAX_GAIN + 1):
            for above in (0, 1):
                gain_x = gain_h * self.gain_x // self.gain_h + above
                line = gain_x[:, None] * d_x
                least = np.where(d_h > low, gain_h * (d_h - 1) + line, _NEVER).max(axis=1)
                most = np.where(d_h <= high, gain_h * d_h + line, -_NEVER).min(axis=1)
                # Where every point decides alike, one of the two is free.
                first = np.where(most == -_NEVER, least + 1, most)
                found = ~done & (least < most)
                new = np.stack([np.full_like(first, gain_h), gain_x, first])
                gains[:, found] = new[:, found]
                done |= found
            if done.all():
                break
        return Decision(self.signs, self.hidden, *gains)

    def rows(self) -> tuple[Ints, Ints]:
        """Return the matrix and the constant of rows that are at least 0 where they decide 1."""
        columns = self.signs.shape[1] - self.hidden
        gains = np.stack([self.gain_h, self.gain_x], axis=1).repeat((self.hidden, columns), axis=1)
        return self.signs * gains, -self.first


def pack(decision: Decision) -> tuple[Array, Array] | None:
    """Return the packed matrix float32 [R / 2, H + I + 1], and 2**(k-1) as int32 [R / 2, 1].

    The first half of the rows is in the sign, the second half in the bits of the mask. None where
    two rows do not fit a float32 together.
    """
    matrix, constant = decision.shortened().rows()
    above = np.maximum(matrix, 0).sum(axis=1) + constant
    below = np.minimum(matrix, 0).sum(axis=1) + constant
    # A row that always or never decides 1 needs no more than one bit.
    fixed = (below >= 0) | (above < 0)
    matrix[fixed], constant[fixed] = 0, np.where(below[fixed] >= 0, 0, -1)
    above, below = np.where(fixed, constant, above), np.where(fixed, constant, below)
    if max(above.max(), -below.min()) >= LIMIT:
        return None
    half = len(matrix) // 2
    most = np.maximum(above[half:], -1 - below[half:])
    mask = 1 << np.ceil(np.log2(most + 1)).astype(np.int64)
    whole = np.column_stack([matrix, constant])
    whole[half:, -1] += mask
    packed = 2 * mask[:, None] * whole[:half] + whole[half:]
    # Every partial sum, in whatever order, lies between the sums of the terms of either sign.
    sums = [np.maximum(sign * packed, 0).sum(axis=1) for sign in (1, -1)]
    if np.max(sums) > LIMIT:
        return None
    return packed.astype(np.float32), mask[:, None].astype(np.int32)
