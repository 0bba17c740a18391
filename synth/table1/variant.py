"""The entries of Table I with a datapath of our own; see :mod:`mubinn.synth.table1.variants`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class VariantEntry:
    """One binarized entry.

    Attributes
    ----------
    x_levels, w_levels : str
    delay_s : float
        As in Table I: of the cells of all steps, seconds.
    cell_ns : float
        Of one cell in one step.
    ratio, over_figure3 : float
        The delay of (FP, FP), and of this entry in Table I, over it.
    area_um2 : float
        Of the units, each once.
    schedule : str
        The sum that gives the delay of a cell.
    delays_ps : dict of str to float
        By unit.
    """

    x_levels: str
    w_levels: str
    delay_s: float
    cell_ns: float
    ratio: float
    over_figure3: float
    area_um2: float
    schedule: str
    delays_ps: dict[str, float]


@dataclass(frozen=True)
class Variant:
    """A datapath, ``thresholds`` or ``merged``, and its entries row by row."""

    name: str
    entries: tuple[VariantEntry, ...]

    def entry(self, x_levels: str, w_levels: str) -> VariantEntry:
        """Return one entry, such as ``("3", "1")``."""
        return next(e for e in self.entries if (e.x_levels, e.w_levels) == (x_levels, w_levels))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Variant":
        """Return the variant of which `data` are the fields."""
        return cls(data["name"], tuple(VariantEntry(**entry) for entry in data["entries"]))
