"""What networks have learned by epoch: a measure of the validation part, as table and picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from tabulate import tabulate

from mubinn.reports.csv_text import csv_rows, csv_text
from mubinn.reports.figures import LIGHT, over_seeds
from mubinn.reports.measures import Measure

RUN = ("cell", "method", "seed", "epoch")
"""Columns of a table beside that of the measure."""


@dataclass(frozen=True)
class Curves:
    """A measure of the windows that are set aside, after each epoch of each run.

    Attributes
    ----------
    runs : mapping of (str, str) to mapping of int to ndarray
        By cell and method, and by seed: float64 [epochs], in the unit of tables.
    measure : Measure
        As logs have it of each epoch, `Measure.in_training`.

    Examples
    --------
    >>> from mubinn.reports.measures import MEASURES
    >>> own = Curves({("gru", "FP"): {0: np.array([50.0, 60.0]), 1: np.array([52.0, 64.0])}},
    ...              MEASURES["accuracy"])
    >>> print(own.table())
    | Cell   | Method   | 1     | 2     |
    |--------|----------|-------|-------|
    | gru    | FP       | 51.00 | 62.00 |
    >>> read_curves(own.to_csv(), own.measure).runs["gru", "FP"][1]
    array([52., 64.])
    """

    runs: Mapping[tuple[str, str], Mapping[int, NDArray[np.float64]]]
    measure: Measure

    @property
    def headline(self) -> str:
        """What the table and the picture show."""
        return f"Validation {self.measure.title}, over the epochs"

    @property
    def epochs(self) -> list[int]:
        """Epochs that the table has: 1, 2, 5, 10, 20, 50 and so on, and the last of each method."""
        ends = {len(own) for seeds in self.runs.values() for own in seeds.values()}
        longest = max(ends)
        steps = {digit * 10**power for power in range(len(str(longest))) for digit in (1, 2, 5)}
        return sorted(ends | {epoch for epoch in steps if epoch <= longest})

    def table(self) -> str:
        """Return means over seeds, a line for each cell and method; no number after its end."""
        epochs, lines = self.epochs, []
        for (cell, name), seeds in self.runs.items():
            mean = np.mean(list(seeds.values()), axis=0)
            own = (f"{mean[epoch - 1]:.2f}" if epoch <= len(mean) else "" for epoch in epochs)
            lines.append([cell, name, *own])
        columns = ["Cell", "Method", *map(str, epochs)]
        return tabulate(lines, columns, "github", disable_numparse=True)

    def to_csv(self) -> str:
        """Return a line for each epoch of each run, with four digits behind the point."""
        return csv_text(
            (*RUN, self.measure.name),
            (
                (*key, seed, epoch, f"{value:.4f}")
                for key, seeds in self.runs.items()
                for seed, own in seeds.items()
                for epoch, value in enumerate(own, 1)
            ),
        )


def read_curves(text: str, measure: Measure) -> Curves:
    """Return what `Curves.to_csv` wrote.

    Raises
    ------
    MubinnError
        It is another table, or one of another measure.
    """
    found: dict[tuple[str, str], dict[int, list[float]]] = {}
    for row in csv_rows(text, (*RUN, measure.name), "curves"):
        seeds = found.setdefault((row["cell"], row["method"]), {})
        seeds.setdefault(int(row["seed"]), []).append(float(row[measure.name]))
    runs = {
        key: {seed: np.array(own) for seed, own in seeds.items()} for key, seeds in found.items()
    }
    return Curves(runs, measure)


def curves_by_epoch(curves: Curves) -> Figure:
    """Return a picture: a panel for each cell, of each method means and range over seeds."""
    cells = list(dict.fromkeys(cell for cell, _ in curves.runs))
    names = list(dict.fromkeys(name for _, name in curves.runs))
    figure = Figure(
        figsize=(2.4 + 4.2 * len(cells), 3.8), layout="constrained", facecolor=LIGHT.paper
    )
    axes = figure.subplots(1, len(cells), squeeze=False, sharey=True)[0]
    lines: dict[str, Line2D] = {}
    for axis, cell in zip(axes, cells, strict=True):
        for k, name in enumerate(names):
            own = list(curves.runs.get((cell, name), {}).values())
            if own:
                lines[name] = over_seeds(axis, range(1, len(own[0]) + 1), own, k, name)
        axis.set_title(cell.upper(), fontsize=10)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(axis="y", color=LIGHT.grid, lw=0.6)
    axes[0].set_ylabel(f"validation {curves.measure.title}")
    handles = [lines[name] for name in names]
    figure.legend(handles, names, loc="outside right upper", frameon=False, fontsize=8)
    return figure
