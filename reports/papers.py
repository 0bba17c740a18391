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
from mubinn.reports.figures import LIGHT, drawn

HEADERS = (
    "Cell",
    "Method",
    "Accuracy, %",
    "Spread over seeds",
    "Loss to float, points",
    "The paper, %",
    "The paper's loss",
    "Measured on",
    "Seeds",
)


@dataclass(frozen=True)
class Line:
    """The runs of one method on one cell, by seed.

    Attributes
    ----------
    cell, name : str
    accuracies : dict of int to float
        Of the test part, in percent, by seed: of the integers where there are such.
    losses : dict of int to float
        Of the float network of the same seed less this one's, in points; empty of the float one.
    printed, printed_loss : float or None
        The paper's.
    bit_true : bool
    """

    cell: str
    name: str
    accuracies: Mapping[int, float]
    losses: Mapping[int, float]
    printed: float | None
    printed_loss: float | None
    bit_true: bool

    def row(self) -> list[str]:
        """Return the line of the table."""
        own = list(self.accuracies.values())
        lost = list(self.losses.values())
        return [
            self.cell,
            self.name,
            _number(statistics.mean(own)),
            _number(statistics.stdev(own) if len(own) > 1 else None),
            _number(statistics.mean(lost) if lost else None),
            _number(self.printed),
            _number(self.printed_loss),
            "integers" if self.bit_true else "training graph" if lost else "float",
            str(len(own)),
        ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def lines_of(
    rows: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]],
    printed: Mapping[str, Mapping[str, float]],
    full: str,
) -> list[Line]:
    """Return the lines of a table.

    Parameters
    ----------
    rows : mapping
        Summaries of runs, `mubinn.train.runs.sweep.summary`, by cell and method.
    printed : mapping
        The paper's accuracies by cell and method.
    full : str
        What the float method is called.

    Raises
    ------
    MubinnError
        A cell has runs of a seed without a float one.
    """
    found = []
    for (cell, name), own in rows.items():
        of = {row["seed"]: row for row in own}
        accuracies = {seed: 100 * _accuracy(row) for seed, row in of.items()}
        floats = {row["seed"]: 100 * _accuracy(row) for row in rows.get((cell, full), ())}
        missing = set(accuracies) - set(floats)
        if missing:
            raise MubinnError(f"Seed {min(missing)} of {cell} has no float run: train it as well.")
        paper = printed.get(cell, {})
        here = paper.get(name)
        losses = {} if name == full else {s: floats[s] - value for s, value in accuracies.items()}
        lost = None if here is None or name == full else paper[full] - here
        exact = all(row["bit_true_accuracy"] is not None for row in own)
        found.append(Line(cell, name, accuracies, losses, here, lost, exact))
    return found


def _accuracy(row: Mapping[str, Any]) -> float:
    exact = row["bit_true_accuracy"]
    return float(row["graph_accuracy"] if exact is None else exact)


def papers_markdown(
    lines: Sequence[Line], title: str, paper: str, command: str, versions: Mapping[str, str]
) -> str:
    """Return the page: the table, where it comes from, and the pictures."""
    table = tabulate([line.row() for line in lines], HEADERS, "github", disable_numparse=True)
    tools = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        f"# {title}\n\nBeside: {paper}.\n\n{table}\n\nMade by `{command}` with {tools}. Accuracies "
        "are of the set's test part; which epoch is kept is decided on windows of the training "
        "part that are set aside.\n\n"
        "![Validation accuracy over the epochs](curves.png)\n\n"
        "![Weights of the first layer, as they are stored](weights.png)\n"
    )


def papers_csv(lines: Sequence[Line]) -> str:
    """Return the table, one line a run."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["cell", "method", "seed", "accuracy", "loss", "paper", "bit_true"])
    for line in lines:
        for seed, value in line.accuracies.items():
            lost = line.losses.get(seed)
            cells = [f"{value:.2f}", "" if lost is None else f"{lost:.2f}", line.printed or ""]
            writer.writerow([line.cell, line.name, seed, *cells, line.bit_true])
    return out.getvalue()


Curves = Mapping[tuple[str, str], Sequence[float]]
Weights = Mapping[tuple[str, str], NDArray[Any]]


def papers_pictures(curves: Curves, weights: Weights) -> dict[str, bytes]:
    """Return the pictures by file name.

    Parameters
    ----------
    curves : mapping
        Validation accuracies in percent, an epoch each, by cell and method.
    weights : mapping
        Weights of the first layer by cell and method.
    """
    return {
        f"{name}.{kind}": drawn(make, name, kind)
        for name, make in (
            ("curves", partial(_curves, curves)),
            ("weights", partial(_weights, weights)),
        )
        for kind in ("png", "svg")
    }


def _curves(curves: Curves) -> Figure:
    cells = list(dict.fromkeys(cell for cell, _ in curves))
    figure = Figure(
        figsize=(1.2 + 4.2 * len(cells), 3.8), layout="constrained", facecolor=LIGHT.paper
    )
    sides = figure.subplots(1, len(cells), squeeze=False, sharey=True)[0]
    names = list(dict.fromkeys(name for _, name in curves))
    for axis, cell in zip(sides, cells, strict=True):
        for k, name in enumerate(names):
            own = curves.get((cell, name))
            if own:
                colour = LIGHT.bars[k % len(LIGHT.bars)]
                axis.plot(range(1, len(own) + 1), own, "o-", color=colour, label=name, ms=4)
        axis.set_title(cell.upper(), fontsize=10)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(axis="y", color=LIGHT.grid, lw=0.6)
    sides[0].set_ylabel("validation accuracy, %")
    sides[-1].legend(frameon=False, fontsize=8)
    return figure


def _weights(weights: Weights) -> Figure:
    cells = list(dict.fromkeys(cell for cell, _ in weights))
    names = list(dict.fromkeys(name for _, name in weights))
    figure = Figure(
        figsize=(1 + 2.1 * len(names), 0.6 + 1.8 * len(cells)),
        layout="constrained",
        facecolor=LIGHT.paper,
    )
    axes = figure.subplots(len(cells), len(names), squeeze=False)
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
                counts, edges = np.histogram(own, 60)
                axis.stairs(counts, edges, fill=True, color=LIGHT.bars[0])
            else:
                reach = float(np.abs(values).max())
                axis.bar(values, counts, 0.05 * reach, color=LIGHT.bars[0])
            axis.set_title(f"{name}, {cell.upper()}", fontsize=8)
            axis.tick_params(labelsize=7)
    figure.supxlabel("weight, W_x and W_h together", fontsize=8)
    return figure
