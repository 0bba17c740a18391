"""A picture of a cell, made of its units: what the paper's Figure 3 shows of an LSTM, for any cell.

From left to right what forms the sums of the rows, then the units of the datapath, a column for
each that follows another within a clock cycle, and a line wherever a register is. Units that gates
share stand once. Numbers at the arrows are bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.operations import (
    Activate,
    Add,
    Decode,
    Encode,
    Operation,
    Products,
    Round,
    Scale,
    Search,
    Table,
    Unit,
)
from mubinn.hw.cells.stages import Stages
from mubinn.reports.figures import FORMS, Theme, drawn

TITLES: dict[type[Operation], str] = {
    Round: "round",
    Activate: "LUT",
    Encode: "encoder",
    Decode: "decoder",
    Products: "pointwise XNOR",
    Scale: "MAC",
    Add: "+",
    Search: "thresholds",
    Table: "table",
}
"""What a unit is called in its box."""

WIDTH, HEIGHT, GAP = 1.2, 0.6, 0.72
"""Size of a box and the room between columns, in inches."""

ROW, LANE = 0.85, 0.2
"""From a box to the one below it, and from an arrow that runs beside boxes to the next."""

FRONT = (("XNOR", "multipliers"), ("mult", "level scales"), ("add", "bias"))
"""What forms the sum of a row, as Figure 3 has it."""


@dataclass(frozen=True)
class Box:
    """A unit in the picture: its place, and the names of values that it makes."""

    role: str
    title: str
    column: int
    makes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CellDrawing:
    """Boxes and arrows of a layer's cell."""

    layer: QuantizedLayer

    @cached_property
    def stages(self) -> Stages:
        """When units work."""
        return Stages(self.layer)

    @property
    def units(self) -> tuple[Unit, ...]:
        """The units of the cell."""
        return self.layer.lowered.units

    def stage(self, unit: Unit) -> int:
        """Return the stage in which a unit works."""
        if unit in self.stages.later:
            return self.stages.later[unit]
        early = unit in self.stages.early or isinstance(unit.operation, Encode | Search)
        return self.stages.front if early else 1

    @cached_property
    def places(self) -> dict[str, tuple[int, int]]:
        """Stage and place within it of each role."""
        found: dict[str, tuple[int, int]] = {}
        of_value = {unit.name: unit for unit in self.units}
        for unit in self.units:
            stage, place = self.stage(unit), 0
            for name in unit.operands:
                before = of_value.get(name)
                if before is not None and self.stage(before) == stage:
                    place = max(place, found[before.role][1] + 1)
            found[unit.role] = max(found.get(unit.role, (0, 0)), (stage, place))
        return found

    @cached_property
    def columns(self) -> list[tuple[int, int]]:
        """Stages and places in order, a column each."""
        return sorted(set(self.places.values()))

    @cached_property
    def boxes(self) -> list[Box]:
        """All boxes, those of the units."""
        makes: dict[str, list[str]] = {}
        kinds: dict[str, Operation] = {}
        for unit in self.units:
            makes.setdefault(unit.role, []).append(unit.name)
            kinds.setdefault(unit.role, unit.operation)
        return [
            Box(role, self._title(kinds[role]), self.columns.index(self.places[role]), tuple(names))
            for role, names in makes.items()
        ]

    def _title(self, operation: Operation) -> str:
        own = TITLES[type(operation)]
        return operation.params.kind if isinstance(operation, Activate) else own

    def arrows(self) -> Iterator[tuple[str, str, int]]:
        """Yield from which role, or leaf, to which role, and of how many bits, each once."""
        role = {unit.name: unit.role for unit in self.units}
        seen = set()
        for unit in self.units:
            for name in unit.operands:
                source = role.get(name, "sum" if name.endswith(".z") else name)
                bits = self.layer.lowered.formats[name].width
                if source != unit.role and (source, unit.role) not in seen:
                    seen.add((source, unit.role))
                    yield source, unit.role, bits


def cell_figure(layer: QuantizedLayer, theme: Theme) -> Figure:
    """Return the picture of a layer's cell on its datapath."""
    return _Sheet(CellDrawing(layer), theme).drawn()


Point = tuple[float, float]


class _Sheet:
    """The picture under construction.

    Arrows to the next column are straight steps; those that go further run in lanes of their own
    above the boxes, and those of codes from before the step below them.
    """

    def __init__(self, drawing: CellDrawing, theme: Theme) -> None:
        self.drawing, self.theme = drawing, theme
        self.arrows = list(drawing.arrows())
        self.leaves = sorted({source for source, _, _ in self.arrows if "." in source})
        self.column = {box.role: len(FRONT) + box.column for box in drawing.boxes}
        self.column |= {"sum": len(FRONT) - 1}
        self.long = [
            (source, role)
            for source, role, _ in self.arrows
            if source in self.column and self.column[role] - self.column[source] > 1
        ]
        rows: dict[int, list[Box]] = {}
        for box in drawing.boxes:
            rows.setdefault(box.column, []).append(box)
        self.rows = rows
        self.count = len(FRONT) + len(drawing.columns)
        tall = max(map(len, rows.values())) * ROW
        self.bottom = 0.25 + LANE * len(self.leaves) + 0.2
        self.middle = self.bottom + tall / 2
        self.top = self.bottom + tall + 0.1
        self.height = self.top + LANE * len(self.long) + 0.5
        self.at: dict[str, Point] = {}

    def x(self, column: int) -> float:
        """Return the left edge of a column."""
        return 0.3 + column * (WIDTH + GAP)

    def drawn(self) -> Figure:
        """Draw all of it."""
        drawing, theme = self.drawing, self.theme
        figure = Figure((self.x(self.count), self.height), facecolor=theme.paper)
        self.axes = figure.add_axes((0, 0, 1, 1))
        self.axes.set_xlim(0, self.x(self.count))
        self.axes.set_ylim(0, self.height)
        self.axes.set_axis_off()
        self._boxes()
        self._registers()
        layer = drawing.layer
        bits = layer.dot_width, layer.dot_width + layer.gamma_width
        for (first, _), (second, _), width in zip(FRONT, FRONT[1:], bits, strict=False):
            self._line([self._right(first), self._left(second, 0, 1)], width)
        incoming: dict[str, list[tuple[str, int]]] = {}
        for source, role, width in self.arrows:
            incoming.setdefault(role, []).append((source, width))
        for role, sources in incoming.items():
            sources.sort(key=lambda pair: self._rank(pair[0], role), reverse=True)
            for k, (source, width) in enumerate(sources):
                self._arrow(source, role, (k, len(sources)), width)
        a, w = layer.levels.x, layer.levels.w
        text = f"{layer.cell.name}, ({a}, {w}), {layer.datapath}: {drawing.stages.count} stages"
        where = 0.3, self.height - 0.25
        self.axes.text(*where, text, color=theme.ink, fontsize=11, va="center", weight="bold")
        return figure

    def _rank(self, source: str, role: str) -> float:
        """Return from how far up an arrow comes."""
        if (source, role) in self.long:
            return 100.0
        return -100.0 if source in self.leaves else self.at[source][1]

    def _boxes(self) -> None:
        for column, (title, below) in enumerate(FRONT):
            self.at[title] = (self.x(column), self.middle - HEIGHT / 2)
            self._box(title, title, below, 0)
        self.at["sum"] = self.at[FRONT[-1][0]]
        for column, own in self.rows.items():
            for k, box in enumerate(own):
                y = self.middle - HEIGHT / 2 + ((len(own) - 1) / 2 - k) * ROW
                self.at[box.role] = (self.x(len(FRONT) + column), y)
                names = ", ".join(name.removeprefix("_") for name in box.makes)
                short = names if len(names) < 20 else f"{names[:17]}..."
                lut = box.title not in TITLES.values()
                self._box(box.role, box.title, short, 1 + lut)

    def _box(self, role: str, title: str, below: str, colour: int) -> None:
        (x, y), theme = self.at[role], self.theme
        edge = theme.bars[colour % len(theme.bars)]
        style = "round,pad=0.02"
        patch = FancyBboxPatch(
            (x, y), WIDTH, HEIGHT, boxstyle=style, fc=theme.paper, ec=edge, lw=1.6, zorder=3
        )
        self.axes.add_patch(patch)
        for text, up, size in ((title, 0.4, 9), (below, 0.17, 7)):
            self.axes.text(
                x + WIDTH / 2,
                y + up,
                text,
                color=theme.ink,
                fontsize=size,
                ha="center",
                va="center",
                zorder=4,
            )

    def _registers(self) -> None:
        columns = self.drawing.columns
        for column, (place, following) in enumerate(pairwise(columns)):
            if place[0] != following[0]:
                x = self.x(len(FRONT) + column + 1) - GAP + 0.1
                ends = [0.1, self.height - 0.45]
                self.axes.plot([x, x], ends, color=self.theme.grid, lw=3, zorder=0)

    def _right(self, role: str) -> Point:
        x, y = self.at[role]
        return x + WIDTH + 0.02, y + HEIGHT / 2

    def _left(self, role: str, place: int, count: int) -> Point:
        x, y = self.at[role]
        return x - 0.03, y + HEIGHT * (1 - (place + 1) / (count + 1))

    def _arrow(self, source: str, role: str, place: tuple[int, int], bits: int) -> None:
        end = self._left(role, *place)
        turn = end[0] - 0.14 - 0.1 * place[0]
        if source in self.leaves:
            lane = 0.3 + LANE * self.leaves.index(source)
            name = source.partition(".")[2]
            start = self.x(len(FRONT) - 1), lane
            self.axes.text(
                start[0] - 0.06,
                lane,
                name,
                color=self.theme.ink,
                fontsize=9,
                ha="right",
                va="center",
            )
            self._line([start, (turn, lane), (turn, end[1]), end], bits)
            return
        first = self._right(source)
        if (source, role) in self.long:
            number = self.long.index((source, role))
            lane = self.top + LANE * number
            off = first[0] + 0.08 + 0.05 * (number % 4)
            self._line(
                [first, (off, first[1]), (off, lane), (turn, lane), (turn, end[1]), end], bits
            )
        else:
            self._line([first, (turn, first[1]), (turn, end[1]), end], bits)

    def _line(self, points: list[Point], bits: int) -> None:
        """Draw an arrow along `points`, and its bits at the end."""
        ink = self.theme.ink
        xs, ys = zip(*points, strict=True)
        self.axes.plot(xs[:-1], ys[:-1], color=ink, lw=0.8, zorder=1, solid_joinstyle="round")
        arrow = {"arrowstyle": "-|>", "color": ink, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
        self.axes.annotate("", points[-1], points[-2], arrowprops=arrow, zorder=2)
        x, y = points[-1]
        self.axes.text(
            x - 0.02, y + 0.02, str(bits), color=ink, fontsize=6, ha="right", va="bottom"
        )


def cell_picture(layer: QuantizedLayer, theme: Theme, kind: str) -> bytes:
    """Return the picture of a layer's cell as ``png`` or ``svg``."""
    return drawn(lambda: cell_figure(layer, theme), f"cell {layer.cell.name}", kind)


def cell_pictures(layer: QuantizedLayer) -> dict[str, bytes]:
    """Return the picture by file name, for a report."""
    return {f"cell{end}": cell_picture(layer, theme, kind) for end, kind, theme in FORMS}
