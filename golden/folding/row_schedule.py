"""Which level pair meets in which cycle and multiplier.

The level pairs of a row are numbered, the left level running: pair q is (i, j) = (q mod A, q div A)
with A left levels. Rows *apart* begin in a cycle each, and the last one of a row may leave
multipliers idle. Rows that are *packed* follow each other without a gap: their pairs and planes are
numbered on through all rows, multiplier u has pair ``t side + u`` in cycle t, and a cycle may end a
row and begin the next. With no more multipliers than pairs at most one row ends in a cycle. The
pattern repeats after `cycles` cycles, at whose end a row ends too.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import gcd

Pair = tuple[int, int]


@dataclass(frozen=True)
class RowSchedule:
    """The schedule of rows of level pairs on the multipliers of one engine.

    Attributes
    ----------
    left, weights : int
        Levels of the left operand and of the weights.
    side : int
        Multipliers, at most all pairs.
    packed : bool
        Whether rows are packed; they are also apart where `side` divides the pairs.
    """

    left: int
    weights: int
    side: int
    packed: bool

    @property
    def planes(self) -> int:
        """Level pairs of a row."""
        return self.left * self.weights

    @cached_property
    def cycles(self) -> int:
        """Cycles after which the pattern repeats: those of a row apart."""
        if self.packed:
            return self.planes // gcd(self.planes, self.side)
        return -(-self.planes // self.side)

    def count(self, rows: int) -> int:
        """Return the cycles of so many rows."""
        if self.packed:
            return -(-rows * self.planes // self.side)
        return rows * self.cycles

    def row_of(self, cycle: int) -> int:
        """Return the row of the first pair in a cycle, which is the one that ends in it if any."""
        return cycle * self.side // self.planes if self.packed else cycle // self.cycles

    @cached_property
    def issues(self) -> int:
        """Most cycles that a row meets."""
        rows = range(self.cycles * self.side // self.planes) if self.packed else (0,)
        return max(1 + self._cycle(row, self.planes - 1) - self._cycle(row, 0) for row in rows)

    @property
    def interval(self) -> int:
        """Least cycles from the end of a row to the end of the next."""
        return self.planes // self.side if self.packed else self.cycles

    @cached_property
    def pairs(self) -> tuple[tuple[Pair | None, ...], ...]:
        """For each cycle and multiplier the pair (i, j), or None."""
        return tuple(
            tuple(self._pair(number) for number in range(first, first + self.side))
            for first in range(0, self.cycles * self.side, self.side)
        )

    def _pair(self, number: int) -> Pair | None:
        if number >= self.planes and not self.packed:
            return None
        return number % self.left, number // self.left % self.weights

    @cached_property
    def late(self) -> tuple[tuple[bool, ...], ...]:
        """For each cycle and multiplier whether its pair is of the row that begins in it."""
        return tuple(
            tuple(
                self.packed and (cycle * self.side + unit) // self.planes > self.row_of(cycle)
                for unit in range(self.side)
            )
            for cycle in range(self.cycles)
        )

    @cached_property
    def ends(self) -> tuple[bool, ...]:
        """For each cycle whether a row ends in it."""
        return tuple(self.row_of(c + 1) > self.row_of(c) for c in range(self.cycles))

    @cached_property
    def begins(self) -> tuple[bool, ...]:
        """For each cycle whether it is the first one that begins in its row."""
        return (True, *self.ends[:-1])

    # The planes of the weights, as the memory's words hold them.

    @cached_property
    def slots(self) -> int:
        """Weight planes that a cycle may need at once."""
        return max(1 + max(planes) - planes[0] for planes in self._planes)

    @cached_property
    def _planes(self) -> tuple[tuple[int, ...], ...]:
        """For each cycle and multiplier the plane, an idle multiplier's is the cycle's lowest."""
        firsts = range(0, self.cycles * self.side, self.side)
        return tuple(
            tuple(
                (n if self.packed or n < self.planes else first) // self.left
                for n in range(first, first + self.side)
            )
            for first in firsts
        )

    @cached_property
    def first_planes(self) -> tuple[int, ...]:
        """For each cycle the lowest of the `slots` planes in the memory's word."""
        lowest = [planes[0] for planes in self._planes]
        return tuple(low if self.packed else min(low, self.weights - self.slots) for low in lowest)

    @cached_property
    def slot(self) -> tuple[tuple[int, ...], ...]:
        """For each cycle and multiplier the place of its plane in the memory's word."""
        return tuple(
            tuple(plane - first for plane in planes)
            for planes, first in zip(self._planes, self.first_planes, strict=True)
        )

    @cached_property
    def advances(self) -> tuple[bool, ...]:
        """For each cycle whether the next one needs the next word; the last one of all does."""
        return (*(a != b for a, b in pairwise(self.first_planes)), True)

    def windows(self, rows: int) -> list[int]:
        """Return the lowest planes of the words of `rows` packed rows, numbered through them."""
        cycles = range(self.count(rows))
        return list(dict.fromkeys(cycle * self.side // self.left for cycle in cycles))

    # Where the pairs of a row have been, for who records its cycles.

    def places(self, row: int) -> list[tuple[int, int]]:
        """Return cycle and multiplier of each pair of a row, its last cycle being ``issues - 1``.

        Of rows apart these are all alike.
        """
        shift = self.issues - 1 - self._cycle(row, self.planes - 1)
        return [
            (self._cycle(row, pair) + shift, (row * self.packed * self.planes + pair) % self.side)
            for pair in range(self.planes)
        ]

    def _cycle(self, row: int, pair: int) -> int:
        """Return the cycle of a pair, counted from the begin of the rows."""
        if self.packed:
            return (row * self.planes + pair) // self.side
        return row * self.cycles + pair // self.side
