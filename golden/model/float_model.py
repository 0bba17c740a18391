"""The trained float model: what training and importers produce, and quantization starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from mubinn.golden.cells.constants import RESETS, Reset
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, frozen

Readout = Literal["last", "mean"]
READOUTS = ("last", "mean")


def check_array(name: str, array: Floats, shape: tuple[int, ...]) -> None:
    """Raise `MubinnError` where `array` has another shape than `shape`, or a NaN or infinity."""
    if array.shape != shape:
        raise MubinnError(
            f"{name} has shape {array.shape}, expected {shape}: check the model file."
        )
    if not np.isfinite(array).all():
        raise MubinnError(f"{name} holds NaN or infinite values: train or export the model again.")


@dataclass(frozen=True, eq=False)
class _GateRows:
    """What an LSTM's layer and a GRU's share: weights and biases, H rows a gate."""

    wx: Floats
    wh: Floats
    b: Floats

    gates: ClassVar[int]

    def __post_init__(self) -> None:
        """Validate shapes and values; raise `MubinnError`."""
        for name in ("wx", "wh", "b"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.float64))
        rows = len(self.wx)
        if self.wx.ndim != 2 or rows % self.gates or not self.wx.size:
            raise MubinnError(
                f"wx has shape {self.wx.shape}, expected ({self.gates}H, I): check the model file."
            )
        check_array("wx", self.wx, (rows, self.features))
        check_array("wh", self.wh, (rows, self.hidden))
        check_array("b", self.b, (rows,))

    @property
    def features(self) -> int:
        """Inputs I of one time step."""
        return int(self.wx.shape[1])

    @property
    def hidden(self) -> int:
        """Cells H."""
        return int(self.wx.shape[0]) // self.gates


@dataclass(frozen=True, eq=False)
class FloatLstm(_GateRows):
    """One LSTM layer, Eq. (1)-(6), gates stacked in the order of `GATES`.

    Attributes
    ----------
    wx : float64 [4H, I]
    wh : float64 [4H, H]
    b : float64 [4H]
        One bias; frameworks that keep two give their sum.
    c_clip : float or None
        c is clipped hard to [-c_clip, c_clip] after Eq. (5); ``None`` is the paper's literal form.
    """

    c_clip: float | None = None

    gates: ClassVar[int] = 4

    def __post_init__(self) -> None:
        """Validate shapes and values; raise `MubinnError`."""
        super().__post_init__()
        if self.c_clip is not None and not self.c_clip > 0:
            raise MubinnError(f"c_clip is {self.c_clip}, expected a positive number or none.")


@dataclass(frozen=True, eq=False)
class FloatGru(_GateRows):
    """One GRU layer (effective-quantization, Eq. 10-13), gates stacked in the order of `GRU_GATES`.

    ``z = sigmoid(W_z x + U_z h + b_z)``, ``r = sigmoid(W_r x + U_r h + b_r)``,
    ``h' = (1 - z) h + z n`` with, where r resets

    - after the product, ``n = tanh(W_n x + b_n + r (U_n h + bn))``: the form of cuDNN, PyTorch, of
      Keras by default, and of ONNX with ``linear_before_reset``;
    - before the product, ``n = tanh(W_n x + b_n + U_n (r h) + bn)``: Eq. 12, Cho's form.

    Frameworks have z weigh the old state and 1 - z the candidate; their z is 1 - z here, which
    importers get by negating its weights.

    Attributes
    ----------
    wx : float64 [3H, I]
    wh : float64 [3H, H]
    b : float64 [3H]
    bn : float64 [H]
        Bias of the candidate's recurrent sum.
    reset : "after" or "before"
    """

    bn: Floats
    reset: Reset = "after"

    gates: ClassVar[int] = 3

    def __post_init__(self) -> None:
        """Validate shapes and values; raise `MubinnError`."""
        super().__post_init__()
        object.__setattr__(self, "bn", frozen(self.bn, np.float64))
        check_array("bn", self.bn, (self.hidden,))
        if self.reset not in RESETS:
            raise MubinnError(f"unknown reset {self.reset!r}: give after or before.")


FloatLayer = FloatLstm | FloatGru
Cell = Literal["lstm", "gru"]
CELLS = ("lstm", "gru")


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
    """Stacked LSTM or GRU layers and a dense classifier.

    Attributes
    ----------
    layers : tuple of FloatLstm, or of FloatGru
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
            raise MubinnError("the model has no LSTM layer: give at least one.")
        if len({type(layer) for layer in self.layers}) > 1:
            raise MubinnError("the model mixes LSTM and GRU layers: give a model of one kind.")
        for below, above in zip(self.layers, self.layers[1:], strict=False):
            if above.features != below.hidden:
                raise MubinnError(
                    f"a layer expects {above.features} inputs, the one below has {below.hidden} "
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
    def cell(self) -> Cell:
        """What the layers consist of."""
        return "lstm" if isinstance(self.layers[0], FloatLstm) else "gru"

    @property
    def lstm_layers(self) -> tuple[FloatLstm, ...]:
        """The layers, for what works on LSTMs alone; raise `MubinnError` for a GRU."""
        found = tuple(layer for layer in self.layers if isinstance(layer, FloatLstm))
        if len(found) != len(self.layers):
            raise MubinnError("the model is a GRU where an LSTM is needed: give an LSTM.")
        return found

    @property
    def features(self) -> int:
        """Inputs I of the first layer."""
        return self.layers[0].features

    @property
    def classes(self) -> int:
        """Classes C."""
        return int(self.wd.shape[0])
