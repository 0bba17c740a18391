"""Energy of a step and average power of a layer, by library and by what holds its weights."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from matplotlib.figure import Figure
from tabulate import tabulate

from mubinn.reports.csv_text import csv_text
from mubinn.reports.figures import LIGHT, Theme, drawn, legend_below, past_end

COLUMNS = (
    *(
        "library",
        "A,W",
        "units",
        "clock gates",
        "memories",
        "logic nJ",
        "clock pins nJ",
        "memory nJ",
    ),
    *("step nJ", "window uJ", "logic leaks uW", "memory leaks uW", "average uW"),
    *("logic um2", "memory um2"),
)
PARTS = {
    "logic_nj": ("logic", "#0072B2"),
    "clock_nj": ("clock pins", "#CC79A7"),
    "memory_nj": ("memory of weights, biases, c", "#D55E00"),
    "rest_nj": ("leakage until the next step", "#1b2330"),
}
"""Parts of a step at a rate, what they are called, and colours."""


@dataclass(frozen=True)
class PowerRow:
    """A layer with its memories in one form.

    Attributes
    ----------
    library, levels : str
    units : int
        XNOR multipliers.
    form, about : str
        Of the memories.
    loadable : bool
        Whether weights may be loaded.
    cycles : int
        A step.
    steps : int
        A window.
    rate_hz : float
        Steps a second.
    logic_nj, clock_nj, memory_nj, leakage_nj : float
        A step; clock pins apart from the logic, leakage of the logic in the step's own clocks.
    logic_uw, memory_uw : float
        Leakage; None where nothing is published of the process.
    logic_um2, memory_um2 : float
        Area; of SRAM that of its cells, None where nothing is published.
    gates : int
        Clock gates; 0 without.
    """

    library: str
    levels: str
    units: int
    form: str
    about: str
    loadable: bool
    cycles: int
    steps: int
    rate_hz: float
    logic_nj: float
    clock_nj: float
    memory_nj: float
    leakage_nj: float
    logic_uw: float
    memory_uw: float | None
    logic_um2: float
    memory_um2: float | None
    gates: int

    @property
    def dynamic_nj(self) -> float:
        """Of a step."""
        return self.logic_nj + self.clock_nj + self.memory_nj

    @property
    def step_nj(self) -> float:
        """Of a step, from its first clock to its last."""
        return self.dynamic_nj + self.leakage_nj

    @property
    def window_uj(self) -> float:
        """Of the steps of a window."""
        return self.step_nj * self.steps / 1000

    @property
    def rest_nj(self) -> float | None:
        """Leakage from one step to the next; None where the memories' is not known."""
        if self.memory_uw is None:
            return None
        return 1000 * (self.logic_uw + self.memory_uw) / self.rate_hz

    @property
    def average_uw(self) -> float | None:
        """At the rate, the clock stopped between steps; None where the memories' is not known."""
        rest = self.rest_nj
        return None if rest is None else (self.dynamic_nj + rest) * self.rate_hz / 1000


@dataclass(frozen=True)
class Published:
    """What others publish, in their words.

    Attributes
    ----------
    name, what, process, energy, power, source : str
    """

    name: str
    what: str
    process: str
    energy: str
    power: str
    source: str


PUBLISHED = (
    Published(
        *("DeltaKWS", "GRU with temporal sparsity, 12 words, measured", "65 nm chip"),
        *("36 nJ a decision", "-", "arXiv 2405.03905"),
    ),
    Published(
        *("SparrowSNN", "spiking network, heartbeats", "ASIC design"),
        *("31.39 nJ an inference", "6.1 uW", "arXiv 2406.06543v1"),
    ),
    Published(
        *("Chipmunk", "LSTM of 96 cells a tile, 8-bit weights, measured", "65 nm chip"),
        *("3.08 Gop/s/mW", "1.24 mW at its peak", "arXiv 1711.05734"),
    ),
    Published(
        *("SYNtzulu", "spiking network and RISC-V", "iCE40 UP5K"),
        *("-", "1.45 mW average, 12.05 mW at most", "10.1109/TCSI.2024.3450966"),
    ),
    Published(
        *("elastic-ai LSTM", "LSTM, traffic speed", "XC7S15"),
        *("3.8 uJ an inference", "-", "arXiv 2310.16842"),
    ),
)
PUBLISHED_COLUMNS = ("design", "what", "made of", "energy", "power", "source")


def power_texts(rows: Sequence[PowerRow]) -> list[tuple[str, ...]]:
    """Return the table as text, `COLUMNS`; a dash where nothing is published."""
    return [
        (
            *(row.library, row.levels, f"{row.units}", f"{row.gates or '-'}", row.about),
            *(f"{nj:.3g}" for nj in (row.logic_nj, row.clock_nj, row.memory_nj, row.step_nj)),
            f"{row.window_uj:.3g}",
            *(_text(uw) for uw in (row.logic_uw, row.memory_uw, row.average_uw)),
            *(_text(area, ",.0f") for area in (row.logic_um2, row.memory_um2)),
        )
        for row in rows
    ]


def _text(value: float | None, form: str = ".3g") -> str:
    return "-" if value is None else format(value, form)


def published_texts() -> list[tuple[str, ...]]:
    """Return `PUBLISHED` as text, `PUBLISHED_COLUMNS`."""
    return [tuple(asdict(one).values()) for one in PUBLISHED]


def power_files(rows: Sequence[PowerRow], about: Mapping[str, Any]) -> dict[str, bytes]:
    """Return ``power`` as Markdown, CSV, JSON, PNG and SVG, by file name; JSON holds `about`."""
    texts = power_texts(rows)
    markdown = tabulate(texts, headers=COLUMNS, tablefmt="github", disable_numparse=True)
    derived = ("step_nj", "window_uj", "average_uw")
    whole = [{**asdict(row), **{name: getattr(row, name) for name in derived}} for row in rows]
    tables = {
        "power.csv": csv_text(COLUMNS, texts),
        "power.md": markdown + "\n",
        "power.json": json.dumps({**about, "rows": whole}, indent=2) + "\n",
    }
    pictures = {
        f"power.{kind}": drawn(lambda: power_figure(rows, LIGHT), "power", kind)
        for kind in ("png", "svg")
    }
    return {name: text.encode() for name, text in tables.items()} | pictures


def power_figure(rows: Sequence[PowerRow], theme: Theme) -> Figure:
    """Return stacked bars of a step, leakage until the next one among it, a panel a model.

    Rows whose leakage is not known are left out.
    """
    known = [row for row in rows if row.rest_nj is not None]
    panels = list(dict.fromkeys((row.levels, row.units) for row in known))
    heights = [sum((row.levels, row.units) == panel for row in known) for panel in panels]
    figure = Figure(
        figsize=(9.2, 1.3 + 0.28 * sum(heights) + 0.55 * len(panels)),
        layout="constrained",
        facecolor=theme.paper,
    )
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        own = [row for row in known if (row.levels, row.units) == panel]
        names = [
            f"{row.library.split(' ')[0]}: {row.about}{', clock gates' * bool(row.gates)}"
            for row in own
        ]
        start = [0.0] * len(own)
        for part, (label, colour) in PARTS.items():
            values = [float(getattr(row, part)) for row in own]
            axis.barh(names, values, left=start, color=colour, label=label, height=0.7)
            start = [before + value for before, value in zip(start, values, strict=True)]
        for place, (row, end) in enumerate(zip(own, start, strict=True)):
            past_end(axis, f"{end:.3g} nJ, {row.average_uw:.3g} uW", end, place, theme)
        axis.invert_yaxis()
        axis.margins(x=0.22)
        axis.set_facecolor(theme.paper)
        axis.tick_params(colors=theme.ink, labelsize=8)
        axis.grid(axis="x", color=theme.grid)
        axis.set_axisbelow(True)
        words = f"({panel[0]}), {panel[1]} XNOR multiplier{'s' * (panel[1] > 1)}"
        axis.set_title(words, loc="left", color=theme.ink, fontsize=9)
    rate = known[0].rate_hz if known else 0
    axes[-1].set_xlabel(f"nJ a step of {rate:g} a second", color=theme.ink, fontsize=9)
    legend_below(figure, axes[-1], theme, ncols=4, fontsize=8)
    return figure
