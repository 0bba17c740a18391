"""The trained float model: what training and importers produce, and quantization starts from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

import numpy as np

from mubinn.golden.cells import graph
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import family_of, lstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, frozen
from mubinn.golden.model.float_layer import FloatLayer, check_array

Readout = Literal["last", "mean"]
READOUTS = ("last", "mean")


class _Layer(Protocol):
    @property
    def cell(self) -> "graph.Cell": ...
    @property
    def frames(self) -> Frames: ...


LayerT = TypeVar("LayerT", bound=_Layer)


def all_lstm(layers: tuple[LayerT, ...], cell: str) -> tuple[LayerT, ...]:
    """Return the layers; raise `MubinnError` unless all are LSTMs that read step after step."""
    if all(layer.cell is lstm and layer.frames.plain for layer in layers):
        return layers
    raise MubinnError(f"the model is a {cell.upper()} where an LSTM is needed: give an LSTM.")


def steps_after(layers: Iterable[_Layer], steps: int) -> int:
    """Return the steps of the last of `layers` for a window of so many, `Frames.count` of each."""
    for layer in layers:
        steps = layer.frames.count(steps)
    return steps


def least_steps(layers: Sequence[_Layer]) -> int:
    """Return the steps of the shortest window of which the last of `layers` has a step."""
    steps = 1
    for layer in reversed(layers):
        steps = layer.frames.least(steps)
    return steps


@dataclass(frozen=True)
class Preprocessing:
    """How a recording becomes the input, by `mubinn.train.data.recordings.prepare`.

    Attributes
    ----------
    normalise : str
        ``"window"`` subtracts each channel's mean and divides by one standard deviation;
        ``mubinn train --help`` names the others.
    decimate : int
        Averages this many consecutive time steps into one.
    """

    normalise: str = "window"
    decimate: int = 2


@dataclass(frozen=True, eq=False)
class FloatModel:
    """Stacked layers and a dense classifier.

    Attributes
    ----------
    layers : tuple of FloatLayer
        Layer k + 1 reads the h of layer k.
    wd : float64 [C, H]
    bd : float64 [C]
    readout : "last" or "mean"
        The classifier reads h of the last step, or the mean of h over the steps.
    preprocessing : Preprocessing
    meta : mapping of str to str
        Free notes: data set, held-out fold, accuracy, the command that made the model.
    """

    layers: tuple[FloatLayer, ...]
    wd: Floats
    bd: Floats
    readout: Readout = "mean"
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    meta: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate shapes and values; raise `MubinnError`."""
        for name in ("wd", "bd"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.float64))
        if not self.layers:
            raise MubinnError("the model has no recurrent layer: give at least one.")
        for below, above in zip(self.layers, self.layers[1:], strict=False):
            if above.inputs != below.hidden:
                raise MubinnError(
                    f"a layer expects {above.inputs} inputs, the one below has {below.hidden} "
                    "cells: check the order of the layers."
                )
        if self.wd.ndim != 2 or self.wd.shape[0] < 2:
            raise MubinnError(
                f"wd has shape {self.wd.shape}, expected (classes, cells), 2 classes up."
            )
        check_array("wd", self.wd, (self.classes, self.layers[-1].hidden))
        check_array("bd", self.bd, (self.classes,))
        if self.readout not in READOUTS:
            raise MubinnError(f"unknown readout {self.readout!r}: give last or mean.")

    @property
    def cell(self) -> str:
        """What the layers consist of, each kind once: ``dense_lstm``."""
        return "_".join(dict.fromkeys(family_of(layer.cell) for layer in self.layers))

    @property
    def lstm_layers(self) -> tuple[FloatLayer, ...]:
        """The layers, for what works on LSTMs alone; raise `MubinnError` for others."""
        return all_lstm(self.layers, self.cell)

    @property
    def features(self) -> int:
        """Inputs I of the first layer."""
        return self.layers[0].inputs

    def steps(self, steps: int) -> int:
        """Return the steps of the last layer for a window of so many; raise where it is short."""
        return steps_after(self.layers, steps)

    @property
    def classes(self) -> int:
        """Classes C."""
        return int(self.wd.shape[0])
