"""Pictures of models that go on: what they are worth, how they react, what disturbs them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mubinn.reports.continuous import CARRIED, SHARE, WAYS, Pooled
from mubinn.reports.figures import LIGHT, drawn

_COLOURS = {"reset": "#E69F00", "k6": "#56B4E9", "k7": "#0072B2"}
_BESIDE = {"k6": (-4, 5), "k7": (5, -12)}
"""Where the seconds of a reaction stand beside its point."""


def continuous_pictures(found: Sequence[Pooled]) -> dict[str, bytes]:
    """Return PNG and SVG by file name."""
    return {
        f"continuous.{kind}": drawn(partial(continuous_figure, found), "continuous", kind)
        for kind in ("png", "svg")
    }


def continuous_figure(found: Sequence[Pooled]) -> Figure:
    """Return bars over (A, W), reactions of the most levels, and what disturbances leave of them.

    Below, the bars of a disturbance begin where the undisturbed recordings are.
    """
    figure = Figure(figsize=(9.6, 6.6), layout="constrained", facecolor=LIGHT.paper)
    (left, right), (below, _) = figure.subplots(2, 2, height_ratios=(1.0, 1.1))
    grid = below.get_gridspec()
    for axis in (below, _):
        axis.remove()
    _accuracies(left, found)
    _reactions(right, found[-1])
    _losses(figure.add_subplot(grid[1, :]), found[-1])
    handles, names = left.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def _accuracies(axis: Axes, found: Sequence[Pooled]) -> None:
    width = 0.8 / len(WAYS)
    for k, (way, name) in enumerate(WAYS.items()):
        places = [place + (k - 1) * width for place in range(len(found))]
        shares = [one.share(way) for one in found]
        axis.bar(places, shares, width * 0.92, color=_COLOURS[way], label=name)
        for place, share in zip(places, shares, strict=True):
            axis.annotate(
                f"{share:.1f}",
                (place, share),
                (0, 2),
                textcoords="offset points",
                ha="center",
                color=LIGHT.ink,
                fontsize=8,
            )
    shares = [one.share(way) for one in found for way in WAYS]
    axis.set_ylim(max(0.0, min(shares) - 4), min(100.0, max(shares) + 2))
    axis.set_xlim(-0.7, max(len(found), 2) - 0.3)
    axis.set_xticks(range(len(found)), [one.levels for one in found])
    _dressed(axis, "levels (A, W)", "windows decided right, %")


def _reactions(axis: Axes, one: Pooled) -> None:
    for way in CARRIED:
        if not one.changes:
            continue
        seconds, shares = one.curve(way)
        axis.plot(seconds, shares, color=_COLOURS[way], lw=1.6)
        reached = one.reacted(way)
        if reached is not None:
            axis.plot([reached], [100 * SHARE], "o", color=_COLOURS[way], ms=5)
            axis.annotate(
                f"{reached:.1f} s",
                (reached, 100 * SHARE),
                _BESIDE[way],
                textcoords="offset points",
                ha="right" if _BESIDE[way][0] < 0 else "left",
                color=_COLOURS[way],
                fontsize=9,
                fontweight="bold",
            )
    axis.axhline(100 * SHARE, color=LIGHT.ink, lw=0.8, ls=":")
    axis.set_ylim(0, 100)
    axis.set_xlim(0)
    _dressed(axis, f"seconds after a change of class, {one.levels}", "right, %")


def _losses(axis: Axes, one: Pooled) -> None:
    names = [name for name in one.right if name != one.recorded]
    ways = ("reset", "k7")
    height = 0.8 / len(ways)
    for k, way in enumerate(ways):
        places = [place + (k - 0.5) * height for place in range(len(names))]
        losses = [-one.loss(way, name) for name in names]
        axis.barh(places, losses, height * 0.9, color=_COLOURS[way])
        for place, loss in zip(places, losses, strict=True):
            axis.annotate(
                f"{loss:+.1f}",
                (loss, place),
                (3 if loss > 0 else -3, 0),
                textcoords="offset points",
                ha="left" if loss > 0 else "right",
                va="center",
                color=LIGHT.ink,
                fontsize=8,
            )
    axis.axvline(0, color=LIGHT.ink, lw=0.8)
    axis.margins(x=0.12)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    _dressed(axis, f"points beside the same recordings undisturbed, {one.levels}", "")


def _dressed(axis: Axes, x: str, y: str) -> None:
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.tick_params(length=0)
    axis.spines[["top", "right"]].set_visible(False)
