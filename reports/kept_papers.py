"""Results of ``mubinn papers`` that come along: a page of tables, and pictures."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tabulate import tabulate

from mubinn.reports.curves import Curves, curves_by_epoch, read_curves
from mubinn.reports.figures import LIGHT, drawn, legend_below
from mubinn.reports.measures import MEASURES, Measure
from mubinn.reports.movies import HEADLINE, FrameErrors, errors_by_frame, read_frame_errors
from mubinn.reports.papers import Line, headers, read_papers_csv
from mubinn.train.recipes.papers import FLOAT, TASKS, Task

COMMANDS = "papers.json"
"""By task, the commands that made its table, and the versions of tools."""

FRAMES = "-frames.csv"
"""What the name of a table of errors by frame ends in, behind that of its task."""

CURVES = "-curves.csv"
"""What the name of a table of measures by epoch ends in, behind that of its task."""


@dataclass(frozen=True)
class Kept:
    """What stands in `reports/data` of a task.

    Attributes
    ----------
    name : str
        Of the task; its table is NAME.csv.
    lines : tuple of Line
    commands : tuple of str
    versions : mapping of str to str
    frames : FrameErrors, optional
        Of movies, errors frame by frame, in NAME-frames.csv.
    curves : Curves, optional
        What windows that are set aside had after each epoch, in NAME-curves.csv.
    """

    name: str
    lines: tuple[Line, ...]
    commands: tuple[str, ...]
    versions: Mapping[str, str]
    frames: FrameErrors | None = None
    curves: Curves | None = None

    @property
    def task(self) -> Task:
        """The task."""
        return TASKS[self.name]

    @property
    def measure(self) -> Measure:
        """What it is judged by."""
        return MEASURES[self.task.measure]

    @property
    def tables(self) -> dict[str, str]:
        """The tables of errors by frame and of curves, where there are such, by file name."""
        further = ((FRAMES, self.frames), (CURVES, self.curves))
        return {f"{self.name}{end}": own.to_csv() for end, own in further if own is not None}

    @property
    def lost(self) -> list[Line]:
        """What has a loss, cells of a method behind each other."""
        lines = [line for line in self.lines if line.losses]
        names = list(dict.fromkeys(line.name for line in lines))
        return sorted(lines, key=lambda line: names.index(line.name))


def kept() -> list[Kept]:
    """Return the results that come along, tasks of a paper behind each other.

    Examples
    --------
    >>> [line.name for line in kept()[0].lines if line.cell == "lstm"][:4]
    ['FP', 'QC', 'TC', 'BC']
    """
    data = files("mubinn.reports").joinpath("data")
    made = json.loads(data.joinpath(COMMANDS).read_text())
    found = []
    papers = list(dict.fromkeys(task.paper for task in TASKS.values()))
    for name, task in sorted(TASKS.items(), key=lambda item: papers.index(item[1].paper)):
        if name not in made:
            continue
        measure = MEASURES[task.measure]
        text = data.joinpath(f"{name}.csv").read_text()
        lines = tuple(read_papers_csv(text, task.printed, FLOAT, measure, task.elsewhere))
        frames, curves = (data.joinpath(name + end) for end in (FRAMES, CURVES))
        found.append(
            Kept(
                name,
                lines,
                tuple(made[name]["commands"]),
                made[name]["versions"],
                read_frame_errors(frames.read_text()) if frames.is_file() else None,
                read_curves(curves.read_text(), measure.in_training) if curves.is_file() else None,
            )
        )
    return found


def kept_markdown(found: Sequence[Kept], command: str) -> str:
    """Return the page: by paper a table for each task, and the commands that trained them."""
    parts = [
        "# Tasks of other papers",
        "Each network is trained in full precision, FP, and by every method from there.",
        f"![Losses of every method beside those that the papers print]({PICTURE}.png)",
    ]
    for paper, those in groupby(found, key=lambda own: own.task.paper):
        parts += [f"## {paper}", *(part for own in those for part in _section(own))]
    tools = {name: number for own in found for name, number in own.versions.items()}
    told = ", ".join(f"{name} {number}" for name, number in tools.items())
    parts.append(f"Made by `{command}`, trained with {told}.")
    return "\n\n".join(parts) + "\n"


def _section(own: Kept) -> list[str]:
    table = tabulate(
        [line.row() for line in own.lines], headers(own.measure), "github", disable_numparse=True
    )
    trained = "\n".join(f"    {command}" for command in own.commands)
    return [
        f"### {own.task.title}",
        f"{own.measure.plural} are of the set's {own.task.held}.",
        table,
        *([own.task.notes] if own.task.notes else []),
        *(_shown(HEADLINE, own.frames, f"{own.name}-{ERRORS}") if own.frames else []),
        *(_shown(own.curves.headline, own.curves, f"{own.name}-{BY_EPOCH}") if own.curves else []),
        trained,
    ]


def _shown(headline: str, own: FrameErrors | Curves, picture: str) -> list[str]:
    return [f"{headline}:", own.table(), f"![{headline}]({picture}.png)"]


PICTURE = "losses"

ERRORS = "errors"
"""What the name of a picture of errors by frame ends in, behind that of its task."""

BY_EPOCH = "curves"
"""What the name of a picture of measures by epoch ends in, behind that of its task."""

ROW = 0.22
"""Inches for a method."""

COLUMNS = 2

OURS, THEIRS, PRINTED = "MuBiNN2, here", "the paper's methods, here", "what the paper prints"
MARKS = {OURS: ("o", LIGHT.bars[0]), THEIRS: ("o", LIGHT.bars[3]), PRINTED: ("D", LIGHT.ink)}
"""Marks and colours."""


def kept_pictures(found: Sequence[Kept]) -> dict[str, bytes]:
    """Return the pictures by file name, as png and svg: losses, errors by frame, and curves."""
    pictures: dict[str, Callable[[], Figure]] = {PICTURE: partial(losses, found)}
    for own in found:
        if own.frames:
            pictures[f"{own.name}-{ERRORS}"] = partial(errors_by_frame, own.frames)
        if own.curves:
            pictures[f"{own.name}-{BY_EPOCH}"] = partial(curves_by_epoch, own.curves)
    return {
        f"{name}.{kind}": drawn(draw, name, kind)
        for name, draw in pictures.items()
        for kind in ("png", "svg")
    }


def losses(found: Sequence[Kept]) -> Figure:
    """Return a picture: what each method loses to floats, each seed, and what papers print."""
    rows = [found[k : k + COLUMNS] for k in range(0, len(found), COLUMNS)]
    heights = [max(len(own.lost) for own in row) + 3 for row in rows]
    figure = Figure(
        figsize=(10, ROW * sum(heights) + 0.6), layout="constrained", facecolor=LIGHT.paper
    )
    axes = figure.subplots(
        len(rows), COLUMNS, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for axis, own in zip(axes.flat, found, strict=False):
        _losses(axis, own)
    first = axes.flat[0]
    for label, (mark, colour) in MARKS.items():
        filled = "none" if label == PRINTED else colour
        first.plot([], [], mark, color=colour, mfc=filled, label=label)
    legend_below(figure, first, LIGHT, len(MARKS), 9)
    return figure


def _losses(axis: Axes, own: Kept) -> None:
    several = len(own.task.cells) > 1
    for place, line in enumerate(own.lost):
        values = list(line.losses.values())
        mark, colour = MARKS[OURS if line.name.startswith("MuBiNN") else THEIRS]
        mean = statistics.mean(values)
        axis.plot(values, [place] * len(values), ".", color=colour, ms=4, alpha=0.5)
        axis.plot(mean, place, mark, color=colour, ms=6)
        if line.printed_loss is not None:
            mark, colour = MARKS[PRINTED]
            axis.plot(line.printed_loss, place, mark, mfc="none", color=colour, ms=5)
        axis.text(
            1.01,
            place,
            f"{mean:.2f}",
            transform=axis.get_yaxis_transform(),
            fontsize=7,
            va="center",
        )
    names = [f"{line.name}, {line.cell.upper()}" if several else line.name for line in own.lost]
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.axvline(0, color=LIGHT.ink, lw=0.8, zorder=0)
    axis.grid(axis="x", color=LIGHT.grid, lw=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(axis="y", length=0)
    axis.set_title(f"{own.task.title.split(',')[0]} ({own.name})", fontsize=9, loc="left")
    axis.set_xlabel(f"{own.measure.name}: {own.measure.headers[0].lower()}", fontsize=8)
