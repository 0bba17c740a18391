"""How often nets change before they settle: the glitches of a mapped netlist.

Time runs in ticks within a clock, all vectors of a word at once. Each output has its delay, what
static timing sees between the last of its cell's inputs and itself, and is inertial: it changes
after its function has held the other value for that many ticks, and shorter pulses pass unseen.
Ports and registers change together at the clock. The bits of a cell's counter are words as well.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.synth.liberty.library import Library
from mubinn.synth.netlist.activity import (
    ONES,
    WORD,
    CellGroup,
    Indices,
    Logic,
    Words,
    before,
    changes,
    count_ones,
)
from mubinn.synth.netlist.sta import Net, analyse

TICKS_PER_FO4 = 4
CHUNK = 16
"""Words of all nets that are simulated at once, so that they stay in the cache."""


def delays(logic: Logic, library: Library, arrival_ps: Mapping[Net, float]) -> Indices:
    """Return the delay of every net's driver in ticks, at least 1; 0 without a driver.

    Parameters
    ----------
    logic : Logic
    library : Library
        A tick is its FO4 over `TICKS_PER_FO4`.
    arrival_ps : mapping
        As `mubinn.synth.netlist.sta.analyse` reports.
    """
    at = np.zeros(len(logic.nets))
    for net, row in logic.nets.items():
        at[row] = arrival_ps.get(net, 0.0)
    ticks = np.zeros(len(at), np.int64)
    for group in logic.groups:
        if not group.registered:
            last = np.zeros(len(group.targets))
            for nets in group.sources.values():
                last = np.maximum(last, at[nets])
            own = (at[group.targets] - last) * TICKS_PER_FO4 / library.fo4_ps
            ticks[group.targets] = np.maximum(1, own.round())
    return ticks


def timed_changes(
    logic: Logic, settled: Words, ticks: Indices, start: Words | None = None
) -> Indices:
    """Return how often each net changes over all vectors, glitches included.

    Parameters
    ----------
    logic : Logic
    settled : uint64 [nets, words]
        As `Logic.settle` returns.
    ticks : int64 [nets]
        As `delays` returns.
    start : uint64 [nets, words], optional
        The settled values of the clock before; by default those of the vector before.
    """
    start = before(settled) if start is None else start
    total = np.zeros(len(settled), np.int64)
    for k in range(0, settled.shape[1], CHUNK):
        part = slice(k, k + CHUNK)
        total += _Clock(logic, ticks).run(start[:, part].copy(), settled[:, part])
    return total


class _Clock:
    """The ticks of one clock period."""

    def __init__(self, logic: Logic, ticks: Indices) -> None:
        self.groups = _merged(logic.groups)
        registers = [group.targets for group in logic.groups if group.registered]
        self.sources = np.concatenate([logic.inputs, *registers])
        none = np.zeros(0, np.int64)
        self.targets = np.concatenate([none, *(group.targets for group in self.groups)])
        self.delay = ticks[self.targets]
        bits = int(self.delay.max(initial=1)).bit_length()
        # Plane j of the comparison is all ones where bit j of the delay is 0.
        self.zeros: list[npt.NDArray[Any]] = [
            np.where(self.delay >> j & 1, np.uint64(0), ONES)[:, None] for j in range(bits)
        ]

    def run(self, now: Words, settled: Words) -> Indices:
        """Return the changes of each net from `now`, which becomes `settled`."""
        counts = np.zeros(len(now), np.int64)
        flips = now[self.sources] ^ settled[self.sources]
        counts[self.sources] = count_ones(flips)
        now[self.sources] ^= flips
        planes = [np.zeros((len(self.targets), now.shape[1]), np.uint64) for _ in self.zeros]
        want = np.empty_like(planes[0])
        # No path is longer than all delays together.
        for _ in range(int(self.delay.sum()) + 1):
            self._evaluate(now, want)
            differ = want ^ now[self.targets]
            if not differ.any():
                break
            due = self._count(planes, differ)
            now[self.targets] ^= due
            counts[self.targets] += count_ones(due)
        assert np.array_equal(now, settled), "the netlist did not settle to its own function"
        return counts

    def _evaluate(self, now: Words, want: Words) -> None:
        at = 0
        for group in self.groups:
            end = at + len(group.targets)
            want[at:end] = group.values(now)
            at = end

    def _count(self, planes: list[Words], differ: Words) -> Words:
        """Count where the function differs from the output; return where the delay is over."""
        carry, due = differ, differ
        for plane, zero in zip(planes, self.zeros, strict=True):
            held = plane & differ
            np.bitwise_xor(held, carry, out=plane)
            carry = held & carry
            due = due & (plane ^ zero)
        for plane in planes:
            plane &= ~due
        return due


def _merged(groups: list[CellGroup]) -> list[CellGroup]:
    """Return the logic's groups, those of one function as one: within a tick order is nothing."""
    kinds: dict[str, list[CellGroup]] = {}
    for group in groups:
        if not group.registered:
            kinds.setdefault(group.function, []).append(group)
    return [
        CellGroup(
            function,
            {pin: np.concatenate([g.sources[pin] for g in same]) for pin in same[0].sources},
            np.concatenate([g.targets for g in same]),
            registered=False,
        )
        for function, same in kinds.items()
    ]


def activity(
    module: Mapping[str, Any],
    library: Library,
    vectors: Mapping[str, npt.ArrayLike],
    *,
    glitches: bool = True,
) -> dict[Net, float]:
    """Return how often each net changes per clock.

    Parameters
    ----------
    module : mapping
        A flat mapped netlist, feed-forward, as Yosys writes it in JSON.
    library : Library
    vectors : mapping
        By input port, uint8 [vectors, width], one a clock; a multiple of 64.
    glitches : bool
        Whether changes before the nets settle count.

    Raises
    ------
    MubinnError
        On a loop, or a cell that the library lacks or that has no function.
    """
    logic = Logic(module, library)
    settled = logic.settle(vectors)
    if glitches:
        ticks = delays(logic, library, analyse(module, library).arrival_ps)
        total = timed_changes(logic, settled, ticks)
    else:
        total = changes(settled)
    clocks = settled.shape[1] * WORD - 1
    return {net: float(total[row]) / clocks for net, row in logic.nets.items()}
