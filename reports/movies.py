"""Movies that models continue: their errors frame by frame, as table and picture, and frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tabulate import tabulate

from mubinn.reports.figures import LIGHT, drawn

Errors = Mapping[str, Mapping[int, NDArray[Any]]]
"""Squared errors a pixel [t] of the frames that are made, by model and seed."""

Known = Mapping[str, NDArray[Any]]
"""The same of what knows no motion, by name."""

Frames = Mapping[str, NDArray[Any]]
"""Whole movies [T, H, W] in [0, 1], by what has made them."""

BEFORE = 3
"""Given frames that are drawn."""

HEADLINE = "Squared error of a pixel by frame, in thousandths"


def movies_markdown(errors: Errors, known: Known, given: int, movies: int) -> tuple[str, str]:
    """Return the table of errors by frame, and the lines that show the pictures."""
    rows = {name: np.mean(list(seeds.values()), axis=0) for name, seeds in errors.items()}
    count = len(next(iter(known.values())))
    header = ["frame", *(str(given + 1 + k) for k in range(count))]
    table = tabulate(
        [[name, *(f"{1000 * one:.1f}" for one in own)] for name, own in {**rows, **known}.items()],
        header,
        "github",
        disable_numparse=True,
    )
    notes = f"{HEADLINE}, of {movies} movies of which {given} frames are given:\n\n{table}"
    shown = f"\n![{HEADLINE}](errors.png)\n\n![A movie that is continued](frames.png)\n"
    return notes, shown


def movies_csv(errors: Errors, known: Known, given: int) -> str:
    """Return the errors, a line for each frame of each run; seeds are empty where none matters."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["method", "seed", "frame", "squared error"])
    runs = [(name, seed, own) for name, seeds in errors.items() for seed, own in seeds.items()]
    for name, seed, own in [*runs, *((name, "", own) for name, own in known.items())]:
        for k, value in enumerate(own, given + 1):
            writer.writerow([name, seed, k, f"{value:.6f}"])
    return out.getvalue()


def movies_pictures(errors: Errors, known: Known, frames: Frames, given: int) -> dict[str, bytes]:
    """Return the pictures by file name: errors by frame, and the frames of one movie."""
    return {
        f"{name}.{kind}": drawn(make, name, kind)
        for name, make in (
            ("errors", partial(_errors, errors, known, given)),
            ("frames", partial(_frames, frames, given)),
        )
        for kind in ("png", "svg")
    }


def _errors(errors: Errors, known: Known, given: int) -> Figure:
    figure = Figure(figsize=(7.2, 4), layout="constrained", facecolor=LIGHT.paper)
    axis = figure.subplots()
    for k, (name, seeds) in enumerate(errors.items()):
        own = 1000 * np.stack(list(seeds.values()))
        numbers = np.arange(own.shape[1]) + given + 1
        colour = LIGHT.bars[k % len(LIGHT.bars)]
        axis.plot(numbers, own.mean(axis=0), "o-", color=colour, label=name, ms=4)
        if len(own) > 1:
            axis.fill_between(numbers, own.min(axis=0), own.max(axis=0), color=colour, alpha=0.2)
    for style, (name, one) in zip((":", "--", "-."), known.items(), strict=False):
        numbers = np.arange(len(one)) + given + 1
        axis.plot(numbers, 1000 * one, style, color=LIGHT.ink, label=name, lw=1)
    axis.set_xlabel("frame")
    axis.set_ylabel("squared error of a pixel, thousandths")
    axis.set_ylim(bottom=0)
    axis.grid(axis="y", color=LIGHT.grid, lw=0.6)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def _frames(frames: Frames, given: int) -> Figure:
    first = max(0, given - BEFORE)
    count = len(next(iter(frames.values()))) - first
    figure = Figure(
        figsize=(1.4 + 0.8 * count, 0.4 + 0.82 * len(frames)),
        layout="constrained",
        facecolor=LIGHT.paper,
    )
    axes = figure.subplots(len(frames), count, squeeze=False)
    for line, (name, movie) in enumerate(frames.items()):
        for k, axis in enumerate(axes[line]):
            axis.imshow(movie[first + k], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            if line == 0:
                of = ", given" if first + k < given else ""
                axis.set_title(f"{first + k + 1}{of}", fontsize=8)
        axes[line][0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    return figure
