"""What a network's layers are, as data and as options say it: ``conv 16x5/2, gru 32``. NumPy only.

A layer is a name and its cells, ``gru 32``. One that reads several steps at once says how many and
how far from one frame to the next, ``conv 16x5/2``: 16 filters of 5 steps, 2 apart. Frames lie
within a window; with ``causal`` steps of 0 come before it, so that the first frame ends in its
first step. ``lstm_projected 32 to 16`` has 16 outputs, which its 32 cells are projected to. ``both
gru 32`` is two layers beside each other, the second of which takes a window ``backward``; either
may be said of one layer, as in ``backward lstm 16`` and in ``lstm 16, beside backward rnn 8``.
``peephole 16 over 32x32`` sweeps frames of 32 x 32 pixels, which are then the steps of windows, row
by row; each reads those around it, ``by 3x3`` where nothing else is said. An activation behind,
``dense 16 relu``, stands in place of tanh; sigmoids of gates stay.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from mubinn.golden.cells.cell_file import cell_from, equations_of
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.graph import (
    Cell,
    Node,
    hard_sigmoid,
    hard_tanh,
    identity,
    relu,
    sigmoid,
    tanh,
    with_activations,
)
from mubinn.golden.cells.layer import check_reads
from mubinn.golden.cells.library import LAYERS, dense, family_of, lstm_projected
from mubinn.golden.cells.place import Place, stages
from mubinn.golden.cells.sizes import Sizes
from mubinn.golden.cells.sweep import Reads, Sweep, check_cell
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.units.shapes import Kind
from mubinn.train.recipes.method import Method

CONVOLUTION = "conv"
"""What a dense layer is called that reads several steps."""

OTHER_WAY = Place(backward=True, beside=True)
"""Where the second of two directions stands."""

_LAYER = re.compile(
    r"(?:(?P<both>both)\s+|(?P<beside>beside\s+)?(?P<backward>backward\s+)?)"
    r"(?P<name>\w+)\s+(?P<cells>\d{1,6})(?:\s+to\s+(?P<projection>\d{1,6}))?"
    r"(?:\s*x\s*(?P<taps>\d{1,6})(?:\s*/\s*(?P<stride>\d{1,6}))?(?:\s+(?P<edge>causal|valid))?)?"
    r"(?:\s+over\s+(?P<height>\d{1,6})\s*x\s*(?P<width>\d{1,6})"
    r"(?:\s+by\s+(?P<rows>\d{1,6})\s*x\s*(?P<columns>\d{1,6}))?)?"
    r"(?:\s+(?P<activation>\w+))?"
)

ACTIVATIONS: dict[str, Kind] = {
    made.__name__: made(Node("input")).kind
    for made in (tanh, sigmoid, hard_tanh, hard_sigmoid, relu, identity)
}
"""Activations by name, ramps with their usual slopes and limits."""


def activated(cell: Cell, name: str) -> Cell:
    """Return a cell with the activation `name` in place of tanh; equal cells are one.

    >>> activated(dense, "relu") is activated(dense, "relu"), activated(dense, "tanh") is dense
    (True, True)
    """
    readers = {node.operands[0]: node.name for node in cell.encoders}
    places = [node.operands[0].name or readers[node] for node in _tanhs(cell)]
    made = with_activations(cell, dict.fromkeys(places, ACTIVATIONS[name]))
    return made if made is cell else cell_from(made.name, equations_of(made))


def _tanhs(cell: Cell) -> list[Node]:
    return [node for node in cell.of("activation") if node.kind == "tanh"]


def _named(cell: Cell) -> tuple[Cell, str]:
    """Return the cell of `LAYERS` that a cell is, and the activation in place of tanh, if any."""
    for base in LAYERS.values() if cell not in LAYERS.values() else ():
        for name in ACTIVATIONS if cell.name.startswith(f"{base.name}_") else ():
            if activated(base, name) is cell:
                return base, f" {name}"
    return cell, ""


class LayerKind(NamedTuple):
    """A layer without its size.

    Attributes
    ----------
    cell : Cell
    frames : Frames or Sweep
        What it reads of its input.
    clips : tuple of (str, float)
        By encoder in order of their names, as `FloatLayer.clips`.
    place : Place
        Whose outputs it reads, and in which order.
    """

    cell: Cell
    frames: Reads = Frames()
    clips: tuple[tuple[str, float], ...] = ()
    place: Place = Place()

    @classmethod
    def of(cls, layer: FloatLayer) -> LayerKind:
        """Return the kind of a float layer."""
        return cls(layer.cell, layer.frames, tuple(sorted(layer.clips.items())), layer.place)


@dataclass(frozen=True)
class LayerForm:
    """One layer.

    Attributes
    ----------
    cell : Cell
    hidden : int
        Cells, the filters of a convolution.
    frames : Frames or Sweep
        What it reads of its input.
    place : Place
        Whose outputs it reads, and in which order.
    projection : int or None
        Outputs P of a cell that projects.
    """

    cell: Cell
    hidden: int
    frames: Reads = field(default_factory=Frames)
    place: Place = field(default_factory=Place)
    projection: int | None = None

    def __post_init__(self) -> None:
        """Raise `MubinnError` on a layer without cells, or of frames where steps are turned."""
        if self.hidden < 1:
            raise MubinnError(f"A layer of {self.hidden} cells is none: give 1 or more.")
        check_cell(self.frames, self.cell)
        if not self.place.plain and not self.frames.plain:
            raise MubinnError(
                f"The layer {str(self)!r} reads several steps at once, which none that is backward "
                "or beside another one does: put such a layer below."
            )
        if (self.projection is not None) != self.cell.projects:
            raise MubinnError(
                f"A layer of {self.cell.name} "
                + (
                    "projects its output: give the numbers of both, such as "
                    f"'{self.cell.name} {self.hidden} to {-(-self.hidden // 3)}'."
                    if self.cell.projects
                    else "has an output for each cell: leave out what its cells are projected to."
                )
            )
        if not 0 < self.outputs <= self.hidden:
            raise MubinnError(
                f"{self.hidden} cells are not projected to {self.outputs} numbers: give 1 to "
                f"{self.hidden}."
            )

    @classmethod
    def of(cls, layer: FloatLayer) -> LayerForm:
        """Return the form of a float layer."""
        projection = layer.outputs if layer.cell.projects else None
        return cls(layer.cell, layer.hidden, layer.frames, layer.place, projection)

    @property
    def outputs(self) -> int:
        """Numbers of h."""
        return self.hidden if self.projection is None else self.projection

    @property
    def sizes(self) -> Sizes:
        """How many there are of each."""
        return Sizes(self.cell, self.hidden, self.outputs, self.frames.around)

    def kind(self, clip: float) -> LayerKind:
        """Return the layer without its size, `clipped_states` of it clipped; ``inf`` for none."""
        names = clipped_states(self.cell) if clip < math.inf else ()
        clips = tuple((name, clip) for name in names)
        return LayerKind(self.cell, self.frames, clips, self.place)

    def __str__(self) -> str:
        """Return how the layer is asked for."""
        own = self.frames
        cell, activation = _named(self.cell)
        time = isinstance(own, Frames)
        name = CONVOLUTION if cell is dense and own.taps > 1 and time else cell.name
        name = "backward " * self.place.backward + name
        name = "beside " * self.place.beside + name
        projected = "" if self.projection is None else f" to {self.projection}"
        if own.plain:
            return f"{name} {self.hidden}{projected}{activation}"
        if isinstance(own, Sweep):
            over = f"over {own.height}x{own.width} by {own.rows}x{own.columns}"
            return f"{name} {self.hidden} {over}{activation}"
        stride = f"/{own.stride}" if own.stride > 1 else ""
        edge = "" if not own.before else " causal"
        if 0 < own.before < own.taps - 1:
            edge = f" after {own.before}"
        return f"{name} {self.hidden}{projected}x{own.taps}{stride}{edge}{activation}"


def layer_words(layers: Sequence[LayerForm]) -> list[str]:
    """Return how layers are asked for, two directions as one.

    >>> layer_words(parse_layers("both gru 32,conv 16 x 5/2 causal, beside dense 4x1"))
    ['both gru 32', 'conv 16x5/2 causal', 'beside dense 4']
    >>> layer_words(parse_layers("peephole 16 over 32x32, dense 4 over 32 x 32 by 1x1"))
    ['peephole 16 over 32x32 by 3x3', 'dense 4 over 32x32 by 1x1']
    """
    texts: list[str] = []
    for layer, before in zip(layers, [None, *layers], strict=False):
        if layer.place == OTHER_WAY and replace(layer, place=Place()) == before:
            texts[-1] = f"both {before}"
        else:
            texts.append(str(layer))
    return texts


def parse_layers(text: str) -> tuple[LayerForm, ...]:
    """Return the layers that a text such as ``conv 16x5/2, both gru 32, dense 16`` asks for.

    Raises
    ------
    MubinnError
        A part of it says no layer.
    """
    return tuple(layer for part in text.split(",") for layer in _layers(part.strip()))


def _layers(text: str) -> tuple[LayerForm, ...]:
    found = _LAYER.fullmatch(text)
    name = found["name"] if found else ""
    known = name in LAYERS or (name == CONVOLUTION and found is not None and found["taps"])
    if found and found["activation"] not in (None, *ACTIVATIONS):
        known = False
    if (
        found is None
        or not known
        or "0"
        in (
            found["cells"],
            found["taps"],
            found["stride"],
        )
    ):
        raise MubinnError(
            f"{text[:60]!r} is no layer: give a name and its cells, such as 'gru 32', or filters, "
            "the steps that each reads and the stride, as in 'conv 16x5', 'conv 16x5/2' and 'conv "
            "16x5 causal', with commas between layers; 'both gru 32' are two directions, "
            f"'{lstm_projected.name} 32 to 16' has fewer outputs than cells. Names are "
            f"{CONVOLUTION}, {', '.join(LAYERS)}; behind may stand {', '.join(ACTIVATIONS)}."
        )
    taps, stride = int(found["taps"] or 1), int(found["stride"] or 1)
    frames: Reads = Frames(taps, stride, taps - 1 if found["edge"] == "causal" else 0)
    if found["height"]:
        if not frames.plain or name == CONVOLUTION:
            raise MubinnError(
                f"{text!r} reads steps of time and sweeps frames: leave one out, as in "
                "'dense 16 over 32x32 by 3x3'."
            )
        sizes = ("height", "width", "rows", "columns")
        frames = Sweep(**{own: int(found[own]) for own in sizes if found[own]})
    place = Place(backward=found["backward"] is not None, beside=found["beside"] is not None)
    cell = LAYERS.get(name, dense)
    if found["activation"]:
        if not _tanhs(cell):
            raise MubinnError(f"{text!r}: {cell.name} has no tanh, leave the activation out.")
        cell = activated(cell, found["activation"])
    projection = None if found["projection"] is None else int(found["projection"])
    form = LayerForm(cell, int(found["cells"]), frames, place, projection)
    return (form, replace(form, place=OTHER_WAY)) if found["both"] else (form,)


def stage_places(layers: Iterable[Any]) -> list[range]:
    """Return the numbers of the layers that are beside each other, stage by stage.

    >>> stage_places(parse_layers("both gru 4, dense 2"))
    [range(0, 2), range(2, 3)]
    """
    ends = accumulate(len(stage) for stage in stages(layers))
    return [range(*pair) for pair in pairwise([0, *ends])]


def clipped_states(cell: Cell) -> tuple[str, ...]:
    """Return the states that are clipped as c of an LSTM is: those that meet no weights.

    >>> from mubinn.golden.cells.library import gru, lstm
    >>> clipped_states(lstm), clipped_states(gru)
    (('c',), ())
    """
    return tuple(sorted(node.name for node in cell.new if cell.tensor(node) == "c"))


def reclipped(layers: Iterable[FloatLayer], clip: float) -> tuple[FloatLayer, ...]:
    """Return layers with `clipped_states` clipped at `clip`, ``inf`` for none; others stay."""
    made = []
    for layer in layers:
        own = dict.fromkeys(clipped_states(layer.cell), clip)
        clips = {name: bound for name, bound in {**layer.clips, **own}.items() if bound < math.inf}
        made.append(replace(layer, clips=clips))
    return tuple(made)


def layer_kinds(layers: Iterable[FloatLayer]) -> tuple[LayerKind, ...]:
    """Return the kinds of a float model's layers."""
    return tuple(LayerKind.of(layer) for layer in layers)


def clip_of(layers: Iterable[FloatLayer]) -> float | None:
    """Return the one bound of all `clipped_states`, ``inf`` for none; None where they differ."""
    states = [(layer, name) for layer in layers for name in clipped_states(layer.cell)]
    bounds = {layer.clip(name) for layer, name in states}
    return bounds.pop() if len(bounds) == 1 else None


def at(place: int, name: str) -> str:
    """Return what parameters call a tensor of layer `place`: the first layer's as it is."""
    return name if place == 0 else f"{place}.{name}"


def have_own_offsets(layers: Iterable[LayerForm | FloatLayer]) -> bool:
    """Return whether the cells of layers can have an offset of h each."""
    return all(layer.cell.own_offsets and not layer.place.beside for layer in layers)


def check_norms(layers: Iterable[LayerForm]) -> None:
    """Raise `MubinnError` where rows read what is no input and no output of their layer."""
    for layer in layers:
        cell, swept = layer.cell, isinstance(layer.frames, Sweep)
        if cell.projects or len(cell.phases) > 1 or (swept and cell.reading("wh")):
            of = f"{family_of(cell).upper()}{' over pixels' if swept else ''}"
            raise MubinnError(
                f"Rows of {of} read more than x and the h of the step before, whose moments batch "
                "normalisation takes: leave --batch-norm out."
            )


def check_integers(method: Method, layers: Sequence[LayerForm | LayerKind]) -> None:
    """Raise `MubinnError` where no integers come out beside a model whose numbers stay.

    They do of a method that is `Known.late`, of one layer all of whose rows read x or h.
    """
    if not method.known.late:
        raise MubinnError(
            f"Method {method.name} has no integers beside its model: leave --integers out, "
            "or train with xnor."
        )
    if len(layers) > 1:
        raise MubinnError(
            "A layer above another would read signs of an h that stays a number: give --integers "
            "with one layer."
        )
    check_reads(layers[0].cell)


def check_own_offsets(layers: Iterable[LayerForm | FloatLayer]) -> None:
    """Raise `MubinnError` where the cells of layers cannot have an offset of h each."""
    for layer in layers:
        if not have_own_offsets([layer]):
            of = "layers beside each other" if layer.place.beside else ""
            raise MubinnError(
                f"The cells of {of or f'a {family_of(layer.cell).upper()}'} share one offset of "
                "h: leave --h-offset out."
            )
