"""Runs of another paper's task beside the numbers that it prints: table and pictures."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tabulate import tabulate

from mubinn.golden.ground.errors import MubinnError
from mubinn.reports.csv_text import csv_text
from mubinn.reports.curves import Curves, curves_by_epoch
from mubinn.reports.figures import LIGHT, drawn
from mubinn.reports.measures import MEASURES, Measure


def headers(measure: Measure) -> tuple[str, ...]:
    """Return what stands above the columns of a table."""
    lost, paper, paper_lost = measure.headers
    own = measure.title.capitalize()
    return (
        *("Cell", "Method", own, "Spread over seeds", lost, paper, paper_lost),
        *("Measured on", "Seeds"),
    )


@dataclass(frozen=True)
class Line:
    """The runs of one method on one cell, by seed.

    Attributes
    ----------
    cell, name : str
    values : dict of int to float
        Of the measure on the test part, by seed: of the integers where there are such.
    losses : dict of int to float
        Against the float network of the same seed, `Measure.loss`; empty of the float one.
    printed, printed_loss : float or None
        The paper's.
    bit_true : bool
    on : str
        What was measured.
    """

    cell: str
    name: str
    values: Mapping[int, float]
    losses: Mapping[int, float]
    printed: float | None
    printed_loss: float | None
    bit_true: bool
    on: str

    def row(self) -> list[str]:
        """Return the line of the table."""
        own = list(self.values.values())
        lost = list(self.losses.values())
        return [
            self.cell,
            self.name,
            _number(statistics.mean(own)),
            _number(statistics.stdev(own) if len(own) > 1 else None),
            _number(statistics.mean(lost) if lost else None),
            _number(self.printed),
            _number(self.printed_loss),
            self.on,
            str(len(own)),
        ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def lines_of(
    rows: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]],
    printed: Mapping[str, Mapping[str, float]],
    full: str,
    measure: Measure = MEASURES["accuracy"],
    elsewhere: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
) -> list[Line]:
    """Return the lines of a table.

    Parameters
    ----------
    rows : mapping
        Summaries of runs, `mubinn.train.runs.sweep.summary`, by cell and method.
    printed : mapping
        The paper's values by cell and method.
    full : str
        What the float method is called.
    measure : Measure
    elsewhere : mapping, optional
        By cell and method, the paper's values of another network, its float one and this: the loss
        between them stands in the table, they do not.

    Raises
    ------
    MubinnError
        A cell has runs of a seed without a float one, or a run was measured otherwise.
    """
    found = []
    paper = _Paper(printed, full, measure, elsewhere or {})
    for (cell, name), own in rows.items():
        values = {row["seed"]: measure.of(row)[0] for row in own}
        floats = {row["seed"]: measure.of(row)[0] for row in rows.get((cell, full), ())}
        missing = set(values) - set(floats)
        if missing:
            raise MubinnError(f"Seed {min(missing)} of {cell} has no float run: train it as well.")
        losses = {seed: measure.loss(floats[seed], value) for seed, value in values.items()}
        exact = all(measure.of(row)[1] for row in own)
        found.append(paper.line(cell, name, values, losses, exact))
    return found


@dataclass(frozen=True)
class _Paper:
    """What a paper prints, `lines_of`."""

    printed: Mapping[str, Mapping[str, float]]
    full: str
    measure: Measure
    elsewhere: Mapping[str, Mapping[str, tuple[float, float]]]

    def line(
        self,
        cell: str,
        name: str,
        values: Mapping[int, float],
        losses: Mapping[int, float],
        exact: bool,
    ) -> Line:
        """Return the line of a method, `exact` where its values are those of integers."""
        own = self.printed.get(cell, {})
        here = own.get(name)
        pair = self.elsewhere.get(cell, {}).get(name)
        if here is not None:
            pair = (own[self.full], here)
        of_floats = name == self.full
        lost = None if pair is None or of_floats else self.measure.loss(*pair)
        on = "integers" if exact else "float" if of_floats else self.measure.on
        lost_here = {} if of_floats else losses
        return Line(cell, name, values, lost_here, here, lost, exact, on)


def papers_markdown(
    lines: Sequence[Line],
    title: str,
    paper: str,
    command: str,
    versions: Mapping[str, str],
    measure: Measure = MEASURES["accuracy"],
    notes: str = "",
    held: str = "test part",
    shown: str = "",
) -> str:
    """Return the page: the table, where it comes from, and the pictures.

    `notes` are sentences about the paper's numbers, `held` is the part that is measured on, and
    `shown` are further pictures.
    """
    rows = [line.row() for line in lines]
    table = tabulate(rows, headers(measure), "github", disable_numparse=True)
    told = f"{notes}\n\n" if notes else ""
    tools = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        f"# {title}\n\nBeside: {paper}.\n\n{table}\n\n{told}Made by `{command}` with {tools}. "
        f"{measure.plural} are of the set's {held}; which epoch is kept is decided on windows of "
        "the training part that are set aside.\n\n"
        f"![Validation {measure.in_training.name} over the epochs, means and ranges over seeds]"
        "(curves.png)\n\n"
        "![Weights of the first recurrent layer, as they are multiplied](weights.png)\n"
        f"{shown}"
    )


def papers_csv(lines: Sequence[Line], measure: Measure = MEASURES["accuracy"]) -> str:
    """Return the table, one line a run."""
    rows = []
    for line in lines:
        for seed, value in line.values.items():
            lost = line.losses.get(seed)
            cells = [f"{value:.4f}", "" if lost is None else f"{lost:.4f}", line.printed or ""]
            rows.append([line.cell, line.name, seed, *cells, line.bit_true])
    columns = ["cell", "method", "seed", measure.name, "loss", "paper", "bit_true"]
    return csv_text(columns, rows)


def read_papers_csv(
    text: str,
    printed: Mapping[str, Mapping[str, float]],
    full: str,
    measure: Measure = MEASURES["accuracy"],
    elsewhere: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
) -> list[Line]:
    """Return the lines of a table that `papers_csv` wrote, beside what is given as to `lines_of`.

    Raises
    ------
    MubinnError
        The table is of another measure.
    """
    rows: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        if measure.name not in row:
            raise MubinnError(f"The table has no column {measure.name!r}: give one of this task.")
        rows.setdefault((row["cell"], row["method"]), []).append(row)
    paper = _Paper(printed, full, measure, elsewhere or {})
    return [
        paper.line(
            cell,
            name,
            {int(row["seed"]): float(row[measure.name]) for row in own},
            {int(row["seed"]): float(row["loss"]) for row in own if name != full},
            all(row["bit_true"] == "True" for row in own),
        )
        for (cell, name), own in rows.items()
    ]


DRAWN = 0.99
"""Share of the weights that a histogram reaches over: a few far out would leave the rest a line."""

Weights = Mapping[tuple[str, str], NDArray[Any]]


def papers_pictures(curves: Curves, weights: Weights) -> dict[str, bytes]:
    """Return the pictures by file name.

    Parameters
    ----------
    curves : Curves
        Of the windows that are set aside.
    weights : mapping
        Weights of the first recurrent layer by cell and method.
    """
    return {
        f"{name}.{kind}": drawn(make, name, kind)
        for name, make in (
            ("curves", partial(curves_by_epoch, curves)),
            ("weights", partial(_weights, weights)),
        )
        for kind in ("png", "svg")
    }


def _weights(weights: Weights) -> Figure:
    cells = list(dict.fromkeys(cell for cell, _ in weights))
    names = list(dict.fromkeys(name for _, name in weights))
    figure = Figure(
        figsize=(1 + 2.1 * len(names), 0.6 + 1.8 * len(cells)),
        layout="constrained",
        facecolor=LIGHT.paper,
    )
    axes = figure.subplots(len(cells), len(names), squeeze=False)
    cut = False
    for i, cell in enumerate(cells):
        for k, name in enumerate(names):
            axis = axes[i][k]
            own = weights.get((cell, name))
            axis.set_yticks([])
            if own is None:
                axis.set_visible(False)
                continue
            values, counts = np.unique(own, return_counts=True)
            if len(values) > 64:
                reach = float(np.quantile(np.abs(own), DRAWN))
                counts, edges = np.histogram(own, 60, (-reach, reach))
                cut = True
                axis.stairs(counts, edges, fill=True, color=LIGHT.bars[0])
            else:
                reach = float(np.abs(values).max())
                axis.bar(values, counts, 0.05 * reach, color=LIGHT.bars[0])
            axis.set_title(f"{name}, {cell.upper()}", fontsize=8)
            axis.tick_params(labelsize=7)
            axis.locator_params(axis="x", nbins=5)
    left_out = f", but for the greatest {100 * (1 - DRAWN):.2g} %" if cut else ""
    figure.supxlabel(f"weight, W_x and W_h together{left_out}", fontsize=8)
    return figure
