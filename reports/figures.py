"""Pictures of Table I: heat maps of delay and ratio beside the paper's, and where the time goes."""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mubinn.reports import text
from mubinn.synth.table1.delay_model import GROUPS
from mubinn.synth.table1.table import Entry, Table1, Variant


@dataclass(frozen=True)
class Theme:
    """Colours of a picture."""

    ink: str
    paper: str
    grid: str
    bars: tuple[str, ...]


@dataclass(frozen=True)
class Side:
    """One of several heat maps: its title, its values by (A, W) and how they are written."""

    title: str
    of: Callable[[str, str], float]
    write: Callable[[float], str]


# Okabe and Ito's colours, distinct for all kinds of colour vision.
_BARS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#CC79A7", "#D55E00")
LIGHT = Theme("#1b2330", "#ffffff", "#d9dee6", _BARS)
DARK = Theme("#e6eaf0", "#171c24", "#384252", _BARS)

STYLES = ("-", "--", ":")
"""Of lines: those of one colour have another one each."""

MARKED = 20
"""Most points of a line of which each has a mark."""

FORMS = ((".svg", "svg", LIGHT), (".png", "png", LIGHT), ("-dark.svg", "svg", DARK))
"""The files of a picture: what its name ends in, its kind and its colours."""

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "svg.fonttype": "path",
    "axes.spines.top": False,
    "axes.spines.right": False,
}

Draw = Callable[[Table1, Theme], Figure]


def delay_maps(table: Table1, theme: Theme) -> Figure:
    """Return heat maps of the delay in seconds, ours and the paper's, on one logarithmic scale."""
    sides = (
        Side(f"This synthesis, {table.library}", _each(table, "delay_s"), text.seconds),
        Side("The paper, Table I", _each(table, "paper_delay_s"), text.printed),
    )
    return _maps(theme, sides, "viridis", "cell operation delay, s")


def ratio_maps(table: Table1, theme: Theme) -> Figure:
    """Return heat maps of (FP, FP) over each entry, ours and the paper's, on one scale."""
    sides = (
        Side(f"This synthesis, {table.library}", _each(table, "ratio"), text.ratio),
        Side("The paper, Table I", _each(table, "paper_ratio"), text.ratio),
    )
    return _maps(theme, sides, "cividis", "times faster than (FP, FP)")


def variant_maps(table: Table1, theme: Theme) -> Figure:
    """Return heat maps of the delay of the binarized entries, of Figure 3 and of the variants."""
    sides = (
        Side("Figure 3", _each(table, "delay_s"), text.seconds),
        *(
            Side(text.VARIANT_TEXT[variant.name], _each(variant, "delay_s"), text.seconds)
            for variant in table.variants
        ),
    )
    label = f"cell operation delay, s; {table.library}"
    return _maps(theme, sides, "viridis", label, text.BINARIZED)


def _each(table: Table1 | Variant, name: str) -> Callable[[str, str], float]:
    """Return what gives the value `name` of the entry (A, W), NaN where it was not measured."""
    return lambda a, w: float(getattr(table.find(a, w), name, math.nan))


def _maps(
    theme: Theme,
    sides: tuple[Side, ...],
    colours: str,
    label: str,
    levels: tuple[str, ...] = text.LEVELS,
) -> Figure:
    figure = Figure(figsize=(4.6 * len(sides), 4.1), layout="constrained", facecolor=theme.paper)
    grids = [[[side.of(a, w) for w in levels] for a in levels] for side in sides]
    values = [value for rows in grids for row in rows for value in row if not math.isnan(value)]
    norm = LogNorm(min(values), max(values))
    axes = figure.subplots(1, len(sides), squeeze=False)[0]
    for axis, side, rows in zip(axes, sides, grids, strict=True):
        axis.set_facecolor(theme.paper)
        image = axis.pcolormesh(
            rows, norm=norm, cmap=colours, edgecolors=theme.paper, linewidth=1.5
        )
        axis.invert_yaxis()
        axis.set_title(side.title, color=theme.ink, fontsize=10, pad=8)
        axis.set_xlabel("levels of weights and internals, W", color=theme.ink)
        axis.set_ylabel("levels of the input, A", color=theme.ink)
        for ticks, set_labels in (
            (axis.set_xticks, axis.set_xticklabels),
            (axis.set_yticks, axis.set_yticklabels),
        ):
            ticks([place + 0.5 for place in range(len(levels))])
            set_labels(levels)
        axis.tick_params(length=0, colors=theme.ink)
        axis.spines[:].set_visible(False)
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                if math.isnan(value):
                    continue
                ink = _readable_on(image.cmap(norm(value)))
                axis.text(
                    j + 0.5,
                    i + 0.5,
                    side.write(value),
                    ha="center",
                    va="center",
                    color=ink,
                    fontsize=8.5,
                )
    bar = figure.colorbar(image, ax=list(axes), shrink=0.92, pad=0.015)
    bar.set_label(label, color=theme.ink)
    bar.ax.tick_params(which="both", colors=theme.ink)
    bar.ax.yaxis.set_major_formatter("{x:g}")
    bar.outline.set_visible(False)
    return figure


def _readable_on(colour: tuple[float, ...]) -> str:
    red, green, blue = colour[:3]
    return "#10141a" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#ffffff"


def breakdown(table: Table1, theme: Theme) -> Figure:
    """Return stacked bars: what the delay of each entry is spent on."""
    figure = Figure(figsize=(9.2, 6.6), layout="constrained", facecolor=theme.paper)
    left, right = figure.subplots(1, 2)
    binarized = [e for e in table.entries if "FP" not in (e.x_levels, e.w_levels)]
    full = [e for e in table.entries if "FP" in (e.x_levels, e.w_levels)]
    _bars(left, binarized, theme, "Binarized (A, W)")
    _bars(right, full, theme, "With full precision")
    legend_below(figure, left, theme, ncols=3, fontsize=9)
    return figure


def legend_below(figure: Figure, axis: Axes, theme: Theme, ncols: int, fontsize: int) -> None:
    """Put the legend of an axis below all axes of a picture."""
    handles, labels = axis.get_legend_handles_labels()
    place: Any = {"loc": "outside lower center", "ncols": ncols, "frameon": False}
    legend = figure.legend(handles, labels, fontsize=fontsize, **place)
    for item in legend.get_texts():
        item.set_color(theme.ink)


def over_seeds(
    axis: Axes, x: Sequence[int], runs: Sequence[NDArray[Any]], number: int, name: str
) -> Line2D:
    """Draw the mean of runs, each [len(x)], as a line, and their range where there are several.

    `number` counts the lines of a picture: each has a colour, or a colour and a style, of its own.
    """
    own = np.stack(runs)
    again, place = divmod(number, len(LIGHT.bars))
    style = ("o" if len(x) <= MARKED else "") + STYLES[again % len(STYLES)]
    colour = LIGHT.bars[place]
    (line,) = axis.plot(x, own.mean(axis=0), style, color=colour, label=name, ms=4)
    if len(own) > 1:
        axis.fill_between(x, own.min(axis=0), own.max(axis=0), color=colour, alpha=0.2)
    return line


def past_end(axis: Axes, words: str, end: float, row: int, theme: Theme) -> None:
    """Write words behind the end of a horizontal bar."""
    ink: Any = {"va": "center", "color": theme.ink, "fontsize": 8}
    axis.annotate(words, (end, row), (4, 0), textcoords="offset points", **ink)


def _bars(axis: Axes, entries: list[Entry], theme: Theme, title: str) -> None:
    names = [entry.name for entry in entries]
    start = [0.0] * len(entries)
    for group, colour in zip(GROUPS, theme.bars, strict=True):
        shares = [entry.shares_s[group] for entry in entries]
        axis.barh(names, shares, left=start, color=colour, label=text.GROUP_TEXT[group], height=0.8)
        start = [before + share for before, share in zip(start, shares, strict=True)]
    for row, entry in enumerate(entries):
        past_end(axis, text.seconds(entry.delay_s), entry.delay_s, row, theme)
    axis.invert_yaxis()
    axis.margins(x=0.16, y=0.01)
    axis.set_xlim(left=0)
    axis.set_facecolor(theme.paper)
    axis.set_title(title, color=theme.ink, fontsize=10)
    axis.set_xlabel("cell operation delay, s", color=theme.ink)
    axis.set_axisbelow(True)
    axis.grid(axis="x", color=theme.grid, linewidth=0.7)
    axis.tick_params(colors=theme.ink, length=0)
    for spine in axis.spines.values():
        spine.set_color(theme.grid)


PICTURES: dict[str, tuple[Draw, str]] = {
    "delay": (
        delay_maps,
        "Heat maps of the cell operation delay in seconds over A and W, ours and the paper's.",
    ),
    "ratio": (
        ratio_maps,
        "Heat maps of the delay of (FP, FP) over that of each entry, ours and the paper's.",
    ),
    "breakdown": (breakdown, "Stacked bars: what the delay of each entry is spent on."),
    "variants": (
        variant_maps,
        "Heat maps of the cell operation delay in seconds over A and W, with the datapath of "
        "Figure 3, with thresholds after its sums, and with merged sums and thresholds.",
    ),
}
"""Pictures by file stem, with their alternative text."""


def render(name: str, table: Table1, kind: str, theme: Theme = LIGHT) -> bytes:
    """Return picture `name` as ``png`` or ``svg``, the same bytes each time."""
    return drawn(lambda: PICTURES[name][0](table, theme), name, kind)


def pictures(table: Table1) -> dict[str, bytes]:
    """Return all pictures by file name: each as ``svg`` and ``png``, and as ``-dark.svg``."""
    return {
        f"{name}{end}": render(name, table, kind, theme)
        for name in PICTURES
        for end, kind, theme in FORMS
    }


def drawn(make: Callable[[], Figure], name: str, kind: str) -> bytes:
    """Return the figure that `make` draws as ``png`` or ``svg``, the same bytes each time."""
    style: Any = {**STYLE, "svg.hashsalt": name}
    with matplotlib.rc_context(style):
        figure = make()
        buffer = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(
            buffer, format=kind, dpi=160, facecolor=figure.get_facecolor(), metadata=metadata
        )
    return buffer.getvalue()
