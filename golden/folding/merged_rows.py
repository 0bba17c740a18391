"""Rows whose level pairs differ by powers of two alone: one weighted count, and one unit a row."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mubinn.golden.ground.fixed import Ints
from mubinn.golden.units.merged_dot import DotPart, level_shifts

Shifts = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class MergedRows:
    """``z = units["x"] S_x + units["h"] S_h + bias`` with merged dot products S.

    Attributes
    ----------
    parts : tuple of DotPart
        ``x`` and ``h``.
    units : mapping of str to int64 [R]
        g_ij of each row's last level pair, for ``x``, ``h`` and, with a classifier, ``dense``.
    """

    parts: tuple[DotPart, ...]
    units: Mapping[str, Ints]

    @property
    def constant(self) -> bool:
        """Whether each unit is one power of two for all rows, so that nothing multiplies."""
        return all(
            bool((unit == unit[0]).all()) and int(unit[0]).bit_count() == 1
            for unit in self.units.values()
        )

    def shift(self, source: str) -> int:
        """Return the exponent of a constant unit."""
        return int(self.units[source][0]).bit_length() - 1


def merged_rows(gammas: Mapping[str, Ints], lanes: Mapping[str, int]) -> MergedRows | None:
    """Return how rows merge, None where they do not.

    `gammas` are the g_ij [R, levels, W] of ``x``, ``h`` and, with a classifier, ``dense``, whose
    shifts must be those of h; `lanes` the elements of ``x`` and of ``h``.
    """
    shifts: dict[str, Shifts] = {}
    units: dict[str, Ints] = {}
    for source, gamma in gammas.items():
        found = level_shifts(gamma)
        if found is None:
            return None
        shifts[source], units[source] = found[:2], np.asarray(found[2], np.int64)
    if shifts.get("dense", shifts["h"]) != shifts["h"]:
        return None
    parts = tuple(DotPart(name, lanes[name], *shifts[name]) for name in ("x", "h"))
    return MergedRows(parts, units)
