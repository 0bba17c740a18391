"""Sums that are only compared with thresholds, in fewer bits: every comparison comes out alike."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from mubinn.golden.ground.fixed import Ints

PHASES = 4
"""Roundings of either addend that are tried with each unit, evenly spread."""

STEPS = 4
"""Units that are tried per doubling."""

MAX_COMPARISONS = 1 << 18
"""Problems with more pairs of left addend and threshold are left as they are."""


def shorten(left: Ints, right: Ints, thresholds: Ints) -> tuple[Ints, Ints, Ints]:
    """Return smaller integers, of the same shapes, whose sums reach thresholds where the given do.

    For every a, b and n, ``left'[a] + right'[b] >= thresholds'[n]`` if and only if ``left[a] +
    right[b] >= thresholds[n]``; and ``thresholds'[0]`` is 0, which only takes a sign to compare
    with. Both addends are divided by a common unit and rounded down from a phase; the largest unit
    tried at which no comparison changes is taken.
    """
    found = left, right, thresholds
    order = np.argsort(right, kind="stable")
    # For each left addend and threshold the count of right addends that do not reach it.
    below = np.searchsorted(right[order], thresholds - left[:, None])
    if below.size <= MAX_COMPARISONS:
        for unit, phases in _candidates(left, right):
            short = [
                (PHASES * addend + phase * unit) // (PHASES * unit)
                for addend, phase in zip((left, right), phases, strict=True)
            ]
            least = _thresholds(short[0], short[1][order], below)
            if least is not None:
                found = short[0], short[1], least
                break
    left, right, thresholds = found
    return left - thresholds[0], right, thresholds - thresholds[0]


def _candidates(left: Ints, right: Ints) -> Iterator[tuple[int, tuple[int, int]]]:
    """Return units, the largest first, each with all pairs of phases."""
    span = max(int(np.ptp(left)), int(np.ptp(right)), 1)
    powers = range(STEPS * span.bit_length(), 0, -1)
    units = dict.fromkeys(int(2 ** (power / STEPS)) for power in powers)
    for unit in units:
        for first, second in product(range(PHASES), repeat=2):
            yield unit, (first, second)


def _thresholds(left: Ints, right: Ints, below: Ints) -> Ints | None:
    """Return thresholds that part the sums as `below` says, None where there are none.

    `right` ascends, so the sums next to a threshold are those on either side of ``below``.
    """
    never = np.iinfo(np.int64).max // 4
    padded = np.concatenate([[-never], right, [never]])
    least = (left[:, None] + padded[below + 1]).min(axis=0)
    most = (left[:, None] + padded[below]).max(axis=0)
    if (least <= most).any():
        return None
    # Where no sum reaches a threshold, any number above all sums will do.
    return np.asarray(np.where(least < never // 2, least, most + 1))
