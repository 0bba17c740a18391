"""A recording that was played to a board, as a picture: signal, scores and decisions over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mubinn.reports.figures import LIGHT, Theme, drawn, legend_below

CHANNELS = 6
"""Most channels that are drawn."""

CLASSES = 5
"""Most classes, or values, that are drawn: those with the largest scores."""

POINTS = 2000
"""Points of a line: beyond, what lies between the least and the greatest of each is filled."""

# Neighbours differ by more than their lightness.
_ORDER = (0, 3, 2, 4, 1)


@dataclass(frozen=True, eq=False)
class Played:
    """What was played and what came back.

    Attributes
    ----------
    title : str
    unit : str
        Of the time: ``s`` or ``steps``.
    signal : [n, k]
        Samples of some channels, from time 0 to `end`.
    channels : sequence of str
        Their names.
    end : float
    time : [m]
        Of each result.
    scores : [m, C]
    labels : int [m] or None
        Classes; None of a regression.
    names : sequence of str
        Of the classes or values.
    gaps : sequence of (float, float)
        When there was no decision.
    """

    title: str
    unit: str
    signal: NDArray[Any]
    channels: Sequence[str]
    end: float
    time: NDArray[Any]
    scores: NDArray[Any]
    labels: NDArray[Any] | None
    names: Sequence[str]
    gaps: Sequence[tuple[float, float]]


def played_picture(played: Played, kind: str = "png") -> bytes:
    """Return the picture as ``png`` or ``svg``, the same bytes each time."""
    return drawn(partial(_figure, played, LIGHT), "played", kind)


def _figure(played: Played, theme: Theme) -> Figure:
    decided = played.labels is not None
    heights = [3.2, 1.8, 0.7] if decided else [3.2, 1.8]
    figure = Figure(figsize=(9.2, 6.2), layout="constrained", facecolor=theme.paper)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    figure.suptitle(played.title, color=theme.ink, fontsize=10)
    shown = np.sort(np.argsort(-np.abs(played.scores).max(axis=0, initial=0))[:CLASSES])
    _signal(axes[0], played, theme)
    _scores(axes[1], played, shown, theme)
    if decided:
        _decisions(axes[2], played, shown, theme)
    for axis in axes:
        axis.set_facecolor(theme.paper)
        axis.tick_params(colors=theme.ink, length=0)
        axis.set_xlim(0, played.end)
        for spine in axis.spines.values():
            spine.set_color(theme.grid)
    axes[-1].set_xlabel(f"time, {played.unit}", color=theme.ink)
    legend_below(figure, axes[1], theme, ncols=CLASSES, fontsize=8)
    return figure


def _line(axis: Axes, time: NDArray[Any], values: NDArray[Any], **how: Any) -> None:
    """Draw a line, or where it has more points than can be seen, its band and its middle."""
    count = -(-len(values) // POINTS)
    if count <= 2:
        axis.plot(time, values, lw=0.7, **how)
        return
    whole = len(values) // count * count
    parts, middle = values[:whole].reshape(-1, count), time[:whole:count]
    band = {**how, "label": None}
    axis.fill_between(middle, parts.min(axis=1), parts.max(axis=1), alpha=0.25, lw=0, **band)
    axis.plot(middle, parts.mean(axis=1), lw=0.7, **how)


def _signal(axis: Axes, played: Played, theme: Theme) -> None:
    """Draw channels one below the other, each about its mean."""
    signal = played.signal.astype(float)
    signal -= signal.mean(axis=0)
    # All but the rare ones have room.
    apart = 2 * float(np.percentile(np.abs(signal), 99.5)) or 1.0
    time = np.arange(len(signal)) * (played.end / max(1, len(signal)))
    places = -apart * np.arange(signal.shape[1])
    for place, column in zip(places, signal.T, strict=True):
        _line(axis, time, np.clip(column, -apart, apart) + place, color=theme.ink)
    axis.set_yticks(places, list(played.channels))
    axis.set_ylim(places[-1] - apart, apart)
    axis.set_title("samples as they are sent", color=theme.ink, fontsize=9, loc="left")


def _scores(axis: Axes, played: Played, shown: NDArray[Any], theme: Theme) -> None:
    for place, column in enumerate(shown):
        colour = theme.bars[_ORDER[place]]
        values = played.scores[:, column].astype(float)
        _line(axis, played.time, values, color=colour, label=played.names[column])
    axis.grid(axis="y", color=theme.grid, lw=0.6)
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))
    axis.yaxis.get_offset_text().set_color(theme.ink)
    axis.set_title("scores of the board", color=theme.ink, fontsize=9, loc="left")


def _decisions(axis: Axes, played: Played, shown: NDArray[Any], theme: Theme) -> None:
    """Draw which class was decided on, each in a row of its own, and where there was none.

    Of more decisions than can be seen a row has the share of its class.
    """
    assert played.labels is not None
    count = -(-len(played.labels) // POINTS)
    whole = len(played.labels) // count * count
    for place, column in enumerate(shown):
        own = played.labels == column
        colour = theme.bars[_ORDER[place]]
        if count <= 2:
            time = played.time[own]
            axis.eventplot(time, lineoffsets=-place, linelengths=0.8, linewidths=0.8, colors=colour)
            continue
        share = own[:whole].reshape(-1, count).mean(axis=1)
        foot = np.full(len(share), -place - 0.4)
        time = played.time[:whole:count]
        axis.fill_between(time, foot, foot + 0.8 * share, color=colour, lw=0, step="mid")
    rows = [str(played.names[k]) for k in shown]
    for begin, end in played.gaps:
        axis.fill_between([begin, end], -len(rows) - 0.4, -len(rows) + 0.4, color=theme.ink, lw=0.4)
    rows += ["none: lost"] if played.gaps else []
    axis.set_yticks([-k for k in range(len(rows))], rows)
    axis.set_ylim(0.5 - len(rows), 0.5)
    title = "decisions" if count <= 2 else "shares of the decisions"
    axis.set_title(title, color=theme.ink, fontsize=9, loc="left")
