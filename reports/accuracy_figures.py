"""Pictures of accuracy in the manner of the paper's Figures 4 and 5."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import nan

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mubinn.reports.accuracy import PAPER_FLOAT, TITLES, Group
from mubinn.reports.figures import LIGHT, drawn

FIGURES = {"figure4": ("b_lstm", "mubinn1"), "figure5": ("mubinn1", "mubinn2")}
"""Name of each picture and the methods that it compares."""

_COLOURS = {"b_lstm": "#CC79A7", "mubinn1": "#E69F00", "mubinn2": "#0072B2"}
_FLOAT, _PAPER = "#009E73", "#1b2330"
_ROOM = 2.0
"""Percentage points above and below the values."""


def accuracy_pictures(found: Sequence[Group]) -> dict[str, bytes]:
    """Return PNG and SVG by file name; a picture without runs of its methods is left out."""
    plain = {group.method for group in found if not group.variant}
    return {
        f"{name}.{kind}": drawn(partial(accuracy_figure, found, methods), name, kind)
        for name, methods in FIGURES.items()
        if plain & set(methods)
        for kind in ("png", "svg")
    }


def accuracy_figure(found: Sequence[Group], methods: Sequence[str]) -> Figure:
    """Return bars of the methods over (A, W), the float model as a line, the paper's as marks.

    Error bars are the standard deviation over the folds. A bar says how many folds it is of where
    others have more. Variants are left to the tables.
    """
    figure = Figure(figsize=(8.4, 4.2), layout="constrained", facecolor=LIGHT.paper)
    axis = figure.subplots()
    plain = [group for group in found if not group.variant]
    bars = [group for group in plain if group.method in methods]
    pairs = sorted({group.pair for group in bars}, key=lambda pair: (pair[0] or 0, pair[1] or 0))
    methods = [method for method in methods if any(group.method == method for group in bars)]
    most = max((len(group.by_fold) for group in plain), default=0)
    for k, method in enumerate(methods):
        own = [group for group in bars if group.method == method]
        places = [
            pairs.index(group.pair) + (k - (len(methods) - 1) / 2) * 0.8 / len(methods)
            for group in own
        ]
        _bars(axis, places, own, 0.8 / len(methods), method, most)
    values = [value for group in bars for value in _ends(group)]
    for group in plain:
        if group.method == "float":
            axis.axhline(group.mean, color=_FLOAT, lw=1.5, label=f"float, {group.mean:.1f}")
            values.append(group.mean)
    if "mubinn2" in methods:
        marked = [group for group in bars if group.paper is not None]
        places = [pairs.index(group.pair) for group in marked]
        paper = [group.paper or 0.0 for group in marked]
        axis.plot(places, paper, "D", color=_PAPER, ms=5, label="MuBiNN2, the paper", zorder=4)
        values += paper
    axis.axhline(PAPER_FLOAT, color=_PAPER, lw=1, ls=":", label=f"float, the paper, {PAPER_FLOAT}")
    values.append(PAPER_FLOAT)
    axis.set_ylim(max(0.0, min(values) - _ROOM), min(100.0, max(values) + _ROOM))
    axis.set_xlim(-0.7, max(len(pairs), 3) - 0.3)
    axis.set_xticks(range(len(pairs)), [f"({a},{w})" for a, w in pairs])
    axis.set_xlabel("levels (A, W)")
    axis.set_ylabel("accuracy on held-out subjects, %")
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def _ends(group: Group) -> tuple[float, float]:
    spread = group.spread or 0.0
    return group.mean - spread, group.mean + spread


def _bars(
    axis: Axes,
    places: Sequence[float],
    own: Sequence[Group],
    width: float,
    method: str,
    most: int,
) -> None:
    means = [group.mean for group in own]
    axis.bar(
        places,
        means,
        width * 0.92,
        yerr=[nan if group.spread is None else group.spread for group in own],
        color=_COLOURS[method],
        error_kw={"ecolor": LIGHT.ink, "lw": 1, "capsize": 3},
        label=TITLES[method],
    )
    for place, group in zip(places, own, strict=True):
        folds = len(group.by_fold)
        few = "" if folds == most else f"\n{folds} fold{'s' * (folds > 1)}"
        axis.annotate(
            f"{group.mean:.1f}{few}",
            (place, 0.02),
            xycoords=("data", "axes fraction"),
            ha="center",
            color="#ffffff",
            fontsize=8.5,
            fontweight="bold",
        )
