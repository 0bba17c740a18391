"""Layers of Keras models, each from its configuration and variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mubinn.golden.cells.constants import Reset
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.graph import ramp_kind
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.chain import Linear
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.units.shapes import Kind

RECURRENT = {"LSTM": "ifgo", "GRU": "zrn", "SimpleRNN": "h"}
"""Gate order of each."""

OVER_PIXELS = {"ConvLSTM2D": "ifgo"}
"""Of those that sweep the pixels of frames."""

Frame = tuple[int, int]
"""Rows and columns of pixels."""

KINDS: dict[str, Kind] = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "hard_tanh": ramp_kind(1, 0, -1),
    "relu6": ramp_kind(1, 0, 0, 6),
}
"""Activations by the names that all versions of Keras give them."""

HARD_SIGMOID = {2: ramp_kind(Fraction(1, 5), Fraction(1, 2)), 3: ramp_kind(Fraction(1, 6), 0.5)}
"""What ``hard_sigmoid`` is by the version of Keras."""

SETTINGS = {
    "return_state": False,
    "stateful": False,
    "time_major": False,
}
"""What a recurrent layer must be set to, and is where it does not say."""

Layer = Mapping[str, Any]


@dataclass(frozen=True)
class Activations:
    """What the activations of a file are.

    Attributes
    ----------
    version : str or None
        Of Keras, as the file says it.
    options : ImportOptions
    """

    version: object
    options: parts.ImportOptions

    def kind(self, name: str, config: Layer, setting: str) -> Kind:
        """Return an activation of the layer `name`, which its configuration must say.

        Raises
        ------
        MubinnError
            Where it does not, as defaults differ between versions; for an activation that we do
            not have; for one without a limit where the options give none.
        """
        stated = setting_of(name, config, setting)
        about = stated if isinstance(stated, dict) else {}
        word = stated if isinstance(stated, str) else about.get("class_name")
        if word == "ReLU" and isinstance(about.get("config"), dict):
            return self._relu(name, about["config"])
        if word == "hard_sigmoid":
            return self._hard_sigmoid(name)
        if word in ("relu", "linear"):
            return parts.unlimited(word, f"its layer {name}", self.options)
        if word not in KINDS:
            raise MubinnError(
                f"its layer {name} has {setting}={stated!r}: train it with one of "
                f"{', '.join(KINDS)}, hard_sigmoid, linear, relu or ReLU(max_value)."
            )
        return KINDS[word]

    def _relu(self, name: str, config: Layer) -> Kind:
        """Return the layer ReLU as an activation."""
        demand(f"{name}'s ReLU", config, {"negative_slope": 0.0, "threshold": 0.0})
        most = config.get("max_value")
        if most is None:
            return parts.unlimited("relu", f"its layer {name}", self.options)
        return ramp_kind(1, 0, 0, float(most))

    def _hard_sigmoid(self, name: str) -> Kind:
        """Return the straight line that the version of the file means."""
        number = re.match(r"\d+", str(self.version))
        if number is None:
            raise MubinnError(
                f"its layer {name} has a hard_sigmoid, 0.2 x + 0.5 in Keras 2 and x / 6 + 0.5 in "
                "Keras 3, and the file does not say its version: load the model in the version "
                "that made it, and save it as x.keras."
            )
        return HARD_SIGMOID[3 if int(number[0]) >= 3 else 2]


def demand(name: str, config: Layer, settings: Layer) -> None:
    """Raise `MubinnError` where the layer `name` says another value of one of `settings`."""
    for setting, value in settings.items():
        if config.get(setting, value) != value:
            raise MubinnError(
                f"its layer {name} has {setting}={config[setting]!r}: train it with {value!r}."
            )


def setting_of(name: str, config: Layer, setting: str) -> Any:
    """Return a setting that the layer must say; raise `MubinnError` where it does not."""
    if setting not in config:
        raise MubinnError(
            f"its layer {name} does not say its {setting}, whose default differs between versions "
            "of Keras: load the model in the version that made it, and save it as x.keras."
        )
    return config[setting]


def recurrent(
    kind: str, name: str, config: Layer, variables: list[Floats], activations: Activations
) -> FloatLayer:
    """Return a layer of the class `kind`, one of `RECURRENT`; raise `MubinnError` on others."""
    inner = activations.kind(name, config, "activation")
    gate = inner if kind == "SimpleRNN" else activations.kind(name, config, "recurrent_activation")
    demand(name, config, SETTINGS)
    gates = len(RECURRENT[kind])
    biased = bool(setting_of(name, config, "use_bias"))
    if len(variables) != 2 + biased or any(v.ndim != 2 for v in variables[:2]):
        raise MubinnError(f"its layer {name} lacks weights: save the model again.")
    wx, wh = (kernel.T for kernel in variables[:2])
    after = kind == "GRU" and bool(setting_of(name, config, "reset_after"))
    b = variables[2] if biased else np.zeros((2, len(wx)) if after else len(wx))
    if b.ndim != 1 + after or (after and len(b) != 2):
        raise MubinnError(f"its layer {name} has biases of shape {b.shape}: save the model again.")
    parts.check_shapes(name, gates, wx, wh, *(b if after else [b]))
    if kind == "SimpleRNN":
        return parts.rnn_layer(wx, wh, b, inner)
    if kind == "LSTM":
        return parts.lstm_layer(wx, wh, b, RECURRENT[kind], (gate, inner, inner))
    bx, bh = b if after else (b, np.zeros_like(b))
    form: Reset = "after" if after else "before"
    return parts.gru_layer(wx, wh, bx, bh, RECURRENT[kind], form, (gate, inner))


def conv_lstm(
    name: str,
    config: Layer,
    variables: list[Floats],
    activations: Activations,
    frame: Frame | None,
) -> FloatLayer:
    """Return a ConvLSTM2D, an LSTM at each pixel that reads x and h of the pixels around it.

    Raises
    ------
    MubinnError
        Of other settings than ours has, weights of another shape, or without a frame.
    """
    inner = activations.kind(name, config, "activation")
    gate = activations.kind(name, config, "recurrent_activation")
    demand(name, config, {**SETTINGS, "go_backwards": False})
    if not setting_of(name, config, "return_sequences"):
        raise MubinnError(
            f"its layer {name} gives its last frame alone, where ours give all of them: train it "
            "with return_sequences=True."
        )
    biased = bool(setting_of(name, config, "use_bias"))
    if len(variables) != 2 + biased or any(v.ndim != 4 for v in variables[:2]):
        raise MubinnError(f"its layer {name} lacks weights: save the model again.")
    kernel, recurrent_kernel = variables[:2]
    *around, filters, rows = recurrent_kernel.shape
    b = variables[2] if biased else np.zeros(rows)
    order = OVER_PIXELS["ConvLSTM2D"]
    fits = kernel.shape[:2] == (*around,) and kernel.shape[3] == rows == len(order) * filters
    if not fits or b.shape != (rows,):
        raise MubinnError(
            f"its layer {name} has weights of shapes {kernel.shape}, {recurrent_kernel.shape} and "
            f"{b.shape}, which do not fit: save the model again."
        )
    wx, wh = (w.reshape(-1, rows).T for w in (kernel, recurrent_kernel))
    sweep = _sweep(name, config, kernel, frame)
    return parts.lstm_layer(wx, wh, b, order, (gate, inner, inner), sweep)


def pixels(name: str, config: Layer, variables: list[Floats], frame: Frame | None) -> Linear:
    """Return what a Conv2D does in every frame; raise `MubinnError` as `conv_lstm` does."""
    kernel, b = _kernel(name, config, variables, 4)
    sweep = _sweep(name, config, kernel, frame)
    w = kernel.reshape(-1, len(b)).T
    return Linear(name, w, b) if sweep.taps == 1 else Linear(name, w, b, sweep)


def _sweep(name: str, config: Layer, kernel: Floats, frame: Frame | None) -> Sweep:
    """Return the pixels that a kernel [rows, columns, I, n] reads."""
    demand(name, config, {"groups": 1, "data_format": "channels_last"})
    padding = setting_of(name, config, "padding")
    ones = [
        np.ravel(setting_of(name, config, own)).tolist() for own in ("strides", "dilation_rate")
    ]
    alone = kernel.shape[:2] == (1, 1)
    if padding not in (("same", "valid") if alone else ("same",)) or ones != [[1, 1], [1, 1]]:
        raise MubinnError(
            f"its layer {name} has padding={padding!r}, strides={ones[0]}, "
            f"dilation_rate={ones[1]}: train it with padding 'same', strides and a dilation of 1."
        )
    if frame is None:
        raise MubinnError(
            f"its layer {name} reads frames whose size the file does not say: build the model with "
            "Input((steps, rows, columns, channels)), rows and columns as numbers."
        )
    return Sweep(*frame, *kernel.shape[:2])


def dense(name: str, config: Layer, variables: list[Floats]) -> Linear:
    """Return a dense layer; raise `MubinnError` where its variables are none."""
    kernel, b = _kernel(name, config, variables, 2)
    return Linear(name, kernel.T, b)


def convolution(name: str, config: Layer, variables: list[Floats]) -> Linear:
    """Return a convolution, each filter a row: taps from the oldest step on, inputs of each.

    Raises
    ------
    MubinnError
        Of other settings than ours has, or weights of another shape.
    """
    demand(name, config, {"groups": 1, "data_format": "channels_last"})
    kernel, b = _kernel(name, config, variables, 3)
    taps = len(kernel)
    stride, dilation = (
        int(np.ravel(setting_of(name, config, own))[0]) for own in ("strides", "dilation_rate")
    )
    padding = setting_of(name, config, "padding")
    before = {"valid": 0, "causal": taps - 1} | ({"same": 0} if taps == 1 else {})
    if dilation != 1 or padding not in before:
        raise MubinnError(
            f"its layer {name} has padding={padding!r}, dilation_rate={dilation}: train it with "
            "padding 'valid' or 'causal', and a dilation of 1."
        )
    frames = Frames(taps, stride, before[padding])
    return Linear(name, kernel.transpose(2, 0, 1).reshape(kernel.shape[2], -1), b, frames)


def _kernel(name: str, config: Layer, variables: list[Floats], axes: int) -> tuple[Floats, Floats]:
    biased = bool(setting_of(name, config, "use_bias"))
    if len(variables) != 1 + biased or variables[0].ndim != axes:
        raise MubinnError(f"its layer {name} lacks weights: save the model again.")
    kernel = variables[0]
    b = variables[1] if biased else np.zeros(kernel.shape[-1])
    if b.shape != kernel.shape[-1:]:
        raise MubinnError(f"its layer {name} has biases of shape {b.shape}: save the model again.")
    return kernel, b


def normalisation(
    name: str, config: Layer, variables: list[Floats], last: int = 2
) -> tuple[Floats, Floats]:
    """Return s and t of ``s x + t``, what a trained batch normalisation along axis `last` is.

    Raises
    ------
    MubinnError
        Where it is along another axis than the last, or its variables are none.
    """
    axis = np.ravel(setting_of(name, config, "axis")).tolist()
    if axis not in ([-1], [last]):
        raise MubinnError(f"its layer {name} normalises along axis {axis}: take the last axis.")
    scaled, centred = (bool(setting_of(name, config, part)) for part in ("scale", "center"))
    if len(variables) != 2 + scaled + centred or len({v.shape for v in variables}) != 1:
        raise MubinnError(f"its layer {name} lacks weights: save the model again.")
    mean, variance = variables[-2:]
    if mean.ndim != 1 or (variance < 0).any():
        raise MubinnError(f"its layer {name} has no variances: save the model again.")
    scale = 1 / np.sqrt(variance + float(setting_of(name, config, "epsilon")))
    if scaled:
        scale = scale * variables[0]
    return scale, (variables[scaled] if centred else 0) - scale * mean
