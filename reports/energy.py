"""Energy of an inference by (A, W): a table, and a picture of how much and of what."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tabulate import tabulate

from mubinn.reports.csv_text import csv_text
from mubinn.reports.figures import LIGHT, Theme, drawn, legend_below

CAUSES = {
    "switching": "switching",
    "internal": "cells, internal",
    "inputs": "operands",
    "clock": "clock pins",
    "leakage": "leakage",
    "weights": "memory of weights",
    "state": "memory of x, h, c",
}
"""Parts of the energy and how they are called."""
MEMORY = ("weights", "state")
_COLOURS = dict(
    zip(
        (name for name in CAUSES if name not in MEMORY),
        ("#0072B2", "#56B4E9", "#009E73", "#CC79A7", "#1b2330"),
        strict=True,
    )
)
_LOGIC, _MEMORY = "#0072B2", "#D55E00"


@dataclass(frozen=True)
class EnergyRow:
    """One configuration.

    Attributes
    ----------
    name : str
        Such as ``3,3`` or ``FP,FP``.
    parts_uj : dict of str to float
        Energy of an inference, uJ, by the names of `CAUSES`.
    step_nj : float
        Of a time step.
    settled_uj : float
        Of the logic, had it no glitches.
    """

    name: str
    parts_uj: dict[str, float]
    step_nj: float
    settled_uj: float

    @property
    def logic_uj(self) -> float:
        """Without the memories."""
        return sum(value for name, value in self.parts_uj.items() if name not in MEMORY)

    @property
    def memory_uj(self) -> float:
        """Of the memories."""
        return sum(self.parts_uj[name] for name in MEMORY)

    @property
    def total_uj(self) -> float:
        """Of all parts."""
        return self.logic_uj + self.memory_uj


COLUMNS = (
    "A,W",
    "logic uJ",
    "memory uJ",
    "total uJ",
    "step nJ",
    *(f"{name} %" for name in CAUSES),
    "logic ratio",
    "total ratio",
)


def energy_rows(rows: Sequence[EnergyRow]) -> list[tuple[str, ...]]:
    """Return the table as text, `COLUMNS`; shares are of the total, ratios to the first row."""
    first = rows[0]
    return [
        (
            row.name,
            *(f"{value:.4g}" for value in (row.logic_uj, row.memory_uj, row.total_uj)),
            f"{row.step_nj:.4g}",
            *(f"{100 * row.parts_uj[name] / row.total_uj:.2f}" for name in CAUSES),
            f"{first.logic_uj / row.logic_uj:.1f}",
            f"{first.total_uj / row.total_uj:.1f}",
        )
        for row in rows
    ]


def energy_files(rows: Sequence[EnergyRow]) -> dict[str, bytes]:
    """Return ``energy`` as CSV, Markdown, PNG and SVG, by file name."""
    texts = energy_rows(rows)
    markdown = tabulate(texts, headers=COLUMNS, tablefmt="github", disable_numparse=True)
    pictures = {
        f"energy.{kind}": drawn(lambda: energy_figure(rows, LIGHT), "energy", kind)
        for kind in ("png", "svg")
    }
    tables = {"energy.csv": csv_text(COLUMNS, texts), "energy.md": markdown + "\n"}
    return {name: text.encode() for name, text in tables.items()} | pictures


def energy_figure(rows: Sequence[EnergyRow], theme: Theme) -> Figure:
    """Return bars of the energy of an inference, and of the shares of the logic's parts."""
    figure = Figure(figsize=(9.2, 3.4), layout="constrained", facecolor=theme.paper)
    left, right = figure.subplots(1, 2, sharey=True)
    names = [row.name for row in rows]
    _amounts(left, rows, theme)
    start = [0.0] * len(rows)
    for part, colour in _COLOURS.items():
        shares = [100 * row.parts_uj[part] / row.logic_uj for row in rows]
        right.barh(names, shares, left=start, color=colour, label=CAUSES[part], height=0.7)
        start = [before + share for before, share in zip(start, shares, strict=True)]
    right.set_xlim(0, 100)
    _dress(right, theme, "Parts of the logic's energy", "share, %")
    left.invert_yaxis()
    legend_below(figure, right, theme, ncols=5, fontsize=8)
    return figure


def _amounts(axis: Axes, rows: Sequence[EnergyRow], theme: Theme) -> None:
    for row, found in enumerate(rows):
        for place, value, colour in (
            (row - 0.2, found.logic_uj, _LOGIC),
            (row + 0.2, found.memory_uj, _MEMORY),
        ):
            axis.barh([place], [value], color=colour, height=0.36)
            axis.annotate(
                f"{value:.3g}",
                (value, place),
                (3, 0),
                textcoords="offset points",
                va="center",
                color=theme.ink,
                fontsize=7,
            )
    axis.set_xscale("log")
    axis.margins(x=0.15)
    axis.set_yticks(range(len(rows)), [row.name for row in rows])
    _dress(axis, theme, "Energy of an inference: logic above, memory below", "uJ")


def _dress(axis: Axes, theme: Theme, title: str, label: str) -> None:
    axis.set_facecolor(theme.paper)
    axis.set_title(title, color=theme.ink, fontsize=10)
    axis.set_xlabel(label, color=theme.ink)
    axis.set_axisbelow(True)
    axis.grid(axis="x", color=theme.grid, linewidth=0.7)
    axis.tick_params(colors=theme.ink, length=0)
    for spine in axis.spines.values():
        spine.set_color(theme.grid)
