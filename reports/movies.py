"""Movies that models continue: their errors frame by frame, as table and picture, and frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tabulate import tabulate

from mubinn.reports.csv_text import csv_rows, csv_text
from mubinn.reports.figures import LIGHT, drawn, over_seeds

Frames = Mapping[str, NDArray[Any]]
"""Whole movies [T, H, W] in [0, 1], by what has made them."""

BEFORE = 3
"""Given frames that are drawn."""

HEADLINE = "Squared error of a pixel by frame, in thousandths"

COLUMNS = ("method", "seed", "frame", "squared error")


@dataclass(frozen=True)
class FrameErrors:
    """Squared errors of a pixel, each [t] of the frames that are made.

    Attributes
    ----------
    models : mapping of str to mapping of int to ndarray
        By what has made them and seed.
    known : mapping of str to ndarray
        The same of what knows no motion, by name.
    given : int
        Frames before them, which are given.

    Examples
    --------
    >>> errors = FrameErrors({"FP": {0: np.array([0.25, 0.5])}}, {"black": np.ones(2)}, 7)
    >>> errors.to_csv().splitlines()[1:3]
    ['FP,0,8,0.250000', 'FP,0,9,0.500000']
    >>> read_frame_errors(errors.to_csv()).models["FP"][0]
    array([0.25, 0.5 ])
    """

    models: Mapping[str, Mapping[int, NDArray[Any]]]
    known: Mapping[str, NDArray[Any]]
    given: int

    @property
    def numbers(self) -> range:
        """Numbers of the frames that are made, the first of a movie 1."""
        count = len(next(iter(self.known.values())))
        return range(self.given + 1, self.given + 1 + count)

    def table(self) -> str:
        """Return the means over seeds, in thousandths, a line for each model and what is known."""
        means = {name: np.mean(list(seeds.values()), axis=0) for name, seeds in self.models.items()}
        lines = {**means, **self.known}
        return tabulate(
            [[name, *(f"{1000 * one:.1f}" for one in own)] for name, own in lines.items()],
            ["frame", *map(str, self.numbers)],
            "github",
            disable_numparse=True,
        )

    def to_csv(self) -> str:
        """Return a line for each frame of each run; seeds are empty where none matters."""
        made: dict[str, Mapping[Any, NDArray[Any]]] = dict(self.models)
        made |= {name: {"": own} for name, own in self.known.items()}
        return csv_text(
            COLUMNS,
            (
                (name, seed, number, f"{value:.6f}")
                for name, seeds in made.items()
                for seed, own in seeds.items()
                for number, value in zip(self.numbers, own, strict=True)
            ),
        )


def read_frame_errors(text: str) -> FrameErrors:
    """Return what `FrameErrors.to_csv` wrote.

    Raises
    ------
    MubinnError
        It is another table.
    """
    found: dict[str, dict[str, list[float]]] = {}
    numbers = []
    for row in csv_rows(text, COLUMNS, "frames"):
        numbers.append(int(row["frame"]))
        own = found.setdefault(row["method"], {}).setdefault(row["seed"], [])
        own.append(float(row["squared error"]))
    models, known = {}, {}
    for name, seeds in found.items():
        if "" in seeds:
            known[name] = np.array(seeds[""])
        else:
            models[name] = {int(seed): np.array(own) for seed, own in seeds.items()}
    return FrameErrors(models, known, min(numbers) - 1)


def movies_markdown(errors: FrameErrors, movies: int) -> tuple[str, str]:
    """Return the table of errors by frame, and the lines that show the pictures."""
    notes = (
        f"{HEADLINE}, of {movies} movies of which {errors.given} frames are given:\n\n"
        f"{errors.table()}"
    )
    shown = f"\n![{HEADLINE}](errors.png)\n\n![A movie that is continued](frames.png)\n"
    return notes, shown


def movies_pictures(errors: FrameErrors, frames: Frames) -> dict[str, bytes]:
    """Return the pictures by file name: errors by frame, and the frames of one movie."""
    return {
        f"{name}.{kind}": drawn(make, name, kind)
        for name, make in (
            ("errors", partial(errors_by_frame, errors)),
            ("frames", partial(_frames, frames, errors.given)),
        )
        for kind in ("png", "svg")
    }


def errors_by_frame(errors: FrameErrors) -> Figure:
    """Return a picture: errors of each model, means and range over seeds, and of what is known."""
    figure = Figure(figsize=(7.2, 4), layout="constrained", facecolor=LIGHT.paper)
    axis = figure.subplots()
    for k, (name, seeds) in enumerate(errors.models.items()):
        over_seeds(axis, errors.numbers, [1000 * own for own in seeds.values()], k, name)
    for style, (name, one) in zip((":", "--", "-."), errors.known.items(), strict=False):
        axis.plot(errors.numbers, 1000 * one, style, color=LIGHT.ink, label=name, lw=1)
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
