"""Keras models: LSTM, GRU, SimpleRNN, ConvLSTM2D, Conv1D and Dense layers, one after the other.

A ``.keras`` file is a zip archive of ``config.json``, the layers in order, and
``model.weights.h5``, where each layer's variables stand under its class in snake case, numbered
from the second one on. The older ``.h5`` file holds the same configuration as an attribute, and the
variables under the names of the layers. Keras 2 and 3 write both.
"""

import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.archive import DAMAGED, member
from mubinn.golden.importers.chain import Activation, Chain, Linear
from mubinn.golden.importers.keras_layers import (
    OVER_PIXELS,
    RECURRENT,
    Activations,
    Frame,
    Layer,
    conv_lstm,
    convolution,
    demand,
    dense,
    normalisation,
    pixels,
    recurrent,
    setting_of,
)
from mubinn.golden.importers.keras_weights import Weights
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.head import Readout

SILENT = {
    *("InputLayer", "Dropout", "SpatialDropout1D", "SpatialDropout3D", "AlphaDropout"),
    *("GaussianNoise", "GaussianDropout", "ActivityRegularization"),
}
"""Layers that do nothing once a model is trained."""

PREPARING = ("Normalization", "Rescaling")
"""Layers that prepare the input."""

INNER = {
    "TimeDistributed": ["layer/"],
    "Bidirectional": ["forward_layer/cell/", "backward_layer/cell/"],
}
"""Where the variables of layers within a layer stand."""

POOLING = {"data_format": "channels_last", "keepdims": False}

STEPWISE = ("Dense", "Conv2D", "BatchNormalization", "Activation", "ReLU", "Softmax", "Dropout")
"""Layers that do at every step what TimeDistributed has them do there."""

IN_FRAMES = "TimeDistributed Conv2D"
"""A Conv2D that does so."""

CLASSES = ("Sequential", "Functional", "Model")
"""Models whose layers the file names; the last one is what functional ones were called before."""

Read = Callable[[], list[Floats]]
"""Returns the variables of a layer."""


def of_archive(archive: zipfile.ZipFile, options: parts.ImportOptions) -> FloatModel:
    """Return the model of a ``.keras`` archive; raise `MubinnError` as `of_layers` does."""
    layers = _chain(_config(member(archive, "config.json")))
    weights = Weights(member(archive, "model.weights.h5"))
    places = list(_places(layers, weights))
    known = "metadata.json" in archive.namelist()
    about = json.loads(member(archive, "metadata.json")) if known else {}
    activations = Activations(about.get("keras_version"), options)

    def read(index: int) -> list[Floats]:
        return [array for place in places[index] for array in weights.numbered(place)]

    return of_layers(layers, read, options, activations)


def of_h5(data: bytes, options: parts.ImportOptions) -> FloatModel:
    """Return the model of an ``.h5`` file; raise `MubinnError` as `of_layers` does."""
    weights = Weights(data)
    config = weights.config()
    if config is None:
        raise MubinnError("it holds weights alone: save the model with model.save('x.keras')")
    layers = _chain(_config(config))
    activations = Activations(weights.text("keras_version"), options)
    return of_layers(
        layers, lambda index: weights.named(_name(layers[index])), options, activations
    )


def of_layers(
    layers: Sequence[Layer],
    read: Callable[[int], list[Floats]],
    options: parts.ImportOptions,
    activations: Activations,
) -> FloatModel:
    """Return the model of a chain of layers, of which `read` returns the variables.

    Raises
    ------
    MubinnError
        For other layers than these, or other settings of them; a file that is damaged; weights of
        the wrong shape, or NaN; no layer that reads several steps, or no Dense one after it; one
        linear output, where the options do not say what it is.
    """
    options.demand_absent(
        "a Keras model", "head", "recurrent", "first", "last", "nonlinearity", "describe"
    )
    stack = Stack(activations, _frame(layers))
    for index, layer in enumerate(layers):
        name = _name(layer)
        kind, config = _at_each_step(layer, stack.chain.readout)
        if kind in SILENT or (kind == "Flatten" and stack.chain.readout == "last"):
            continue
        if kind not in STEPS:
            raise _misplaced(kind, name)
        STEPS[kind](stack, kind, name, config, partial(read, index))
    chain = stack.chain
    top = chain.top()
    if not chain.layers or not (stack.timed or chain.readout):
        raise MubinnError(
            "it has no LSTM, GRU, SimpleRNN or ConvLSTM2D layer: give a model with one."
        )
    if top is None:
        raise parts.no_head(parts.cells_on_top(chain.layers))
    return parts.assemble(chain.layers, top, chain.readout or "every", options, "a Keras model")


def _at_each_step(layer: Layer, readout: Readout | None) -> tuple[str, Layer]:
    """Return the class and the configuration of a layer, of what it does at every step."""
    kind, config = _kind(layer), layer["config"]
    inner = config.get("layer")
    if kind != "TimeDistributed" or readout is not None or not _is_layer(inner):
        return kind, config
    if _kind(inner) not in STEPWISE:
        raise MubinnError(
            f"its layer {_name(layer)} has a layer of class {_kind(inner)} at every step: give a "
            f"model with {parts.in_words(STEPWISE)} in TimeDistributed."
        )
    own: Layer = inner["config"]
    if "axis" in own:  # within, steps are no axis
        axes = np.ravel(own["axis"]).tolist()
        own = {**own, "axis": [axis + (axis >= 0) for axis in axes]}
    return IN_FRAMES if _kind(inner) == "Conv2D" else _kind(inner), own


def _frame(layers: Sequence[Layer]) -> Frame | None:
    """Return the frames that the model reads, where the file says their size."""
    first: Layer = layers[0]["config"] if layers else {}
    shape = first.get("batch_shape") or first.get("batch_input_shape") or []
    if not isinstance(shape, list) or len(shape) != 5:
        return None
    height, width = shape[2:4]
    return (height, width) if type(height) is type(width) is int else None


LINEAR: dict[str, Callable[[str, Layer, list[Floats], Frame | None], Linear]] = {
    "Dense": lambda name, config, variables, frame: dense(name, config, variables),
    "Conv1D": lambda name, config, variables, frame: convolution(name, config, variables),
    IN_FRAMES: pixels,
}
"""Layers without a state, by their classes."""


class Stack:
    """The layers of a model as they come, from the bottom up.

    Attributes
    ----------
    chain : Chain
    timed : bool
        Whether one of them reads steps of a window, and not one step alone.
    """

    def __init__(self, activations: "Activations", frame: Frame | None = None) -> None:
        self.chain = Chain()
        self.timed = False
        self._activations = activations
        self._frame = frame

    def recurrent(self, kind: str, name: str, config: Layer, read: Read) -> None:
        """Add a layer with a state."""
        if self.chain.readout is not None:
            raise _misplaced(kind, name)
        self._recurrent(name, config, [self._made(kind, name, config, read())])

    def over_pixels(self, kind: str, name: str, config: Layer, read: Read) -> None:
        """Add a layer with a state at each pixel of a frame."""
        if self.chain.readout is not None:
            raise _misplaced(kind, name)
        self.timed = True
        self.chain.recurrent(name, conv_lstm(name, config, read(), self._activations, self._frame))

    def both(self, kind: str, name: str, config: Layer, read: Read) -> None:
        """Add two directions of a layer with a state, side by side."""
        inner: Layer = config.get("layer") or {}
        if self.chain.readout is not None or not _is_layer(inner) or _kind(inner) not in RECURRENT:
            raise _misplaced(kind, name)
        setting_of(name, config, "merge_mode")
        demand(name, config, {"merge_mode": "concat"})
        demand(name, inner["config"], {"go_backwards": False})
        backward: Layer = config.get("backward_layer") or inner
        if not _is_layer(backward) or _kind(backward) != _kind(inner):
            raise MubinnError(f"its layer {name} has directions of two kinds: train it with one.")
        variables = read()
        half = len(variables) // 2
        made = [
            self._made(_kind(inner), name, own["config"], part)
            for own, part in ((inner, variables[:half]), (backward, variables[half:]))
        ]
        self._recurrent(name, inner["config"], made)

    def _made(self, kind: str, name: str, config: Layer, variables: list[Floats]) -> FloatLayer:
        return recurrent(kind, name, config, variables, self._activations)

    def _recurrent(self, name: str, config: Layer, layers: list[FloatLayer]) -> None:
        """Add one direction, or two, of which each step or where they end goes on."""
        self.timed = True
        goes_on, backward = setting_of(name, config, "return_sequences"), config.get("go_backwards")
        if goes_on and backward:
            raise MubinnError(
                f"its layer {name} has go_backwards=True and gives its steps in that order: train "
                "it with Bidirectional, or return_sequences=False."
            )
        self.chain.recurrent(name, *parts.directed(layers, backward=bool(backward)))
        if not goes_on:
            self.chain.read(name, "last")

    def linear(self, kind: str, name: str, config: Layer, read: Read) -> None:
        """Have a dense layer or a convolution wait."""
        if kind != "Dense" and self.chain.readout is not None:
            raise _misplaced(kind, name)
        self.timed = self.timed or kind != "Dense"
        make = LINEAR[kind]
        activation = self._activation(name, config, setting_of(name, config, "activation"))
        self.chain.linear(make(name, config, read(), self._frame), activation)

    def activation(self, kind: str, name: str, config: Layer, read: Read) -> None:
        """Give the layer that waits its activation."""
        if not self.chain.is_open:
            raise _misplaced(kind, name)
        own: Layer = config
        if kind == "ReLU":
            own = {"activation": {"class_name": "ReLU", "config": config}}
        if kind == "Softmax":
            own = {"activation": "softmax"}
        self.chain.activate(self._activation(name, own, own["activation"]))

    def _activation(self, name: str, config: Layer, word: Any) -> Activation:
        kind = partial(self._activations.kind, name, config, "activation")
        return Activation(word if isinstance(word, str) else str(word), kind)

    def normalisation(self, kind: str, name: str, config: Layer, read: Read) -> None:
        """Fold a layer into the one below, which has no activation yet, or the one above."""
        axes = 2 if self._frame is None else 4
        last = axes if self.chain.readout is None else 1
        self.chain.normalise(name, *normalisation(name, config, read(), last))

    def mean(self, kind: str, name: str, config: Layer, read: Read) -> None:
        """Read the mean over the steps."""
        demand(name, config, POOLING)
        if self.chain.readout is not None:
            raise _misplaced(kind, name)
        self.chain.read(name, "mean")
        if not self.chain.layers:
            raise _misplaced(kind, name)


STEPS = {
    **dict.fromkeys(RECURRENT, Stack.recurrent),
    "Bidirectional": Stack.both,
    **dict.fromkeys(OVER_PIXELS, Stack.over_pixels),
    **dict.fromkeys(LINEAR, Stack.linear),
    **dict.fromkeys(("Activation", "ReLU", "Softmax"), Stack.activation),
    "BatchNormalization": Stack.normalisation,
    **dict.fromkeys(("GlobalAveragePooling1D", "GlobalAveragePooling3D"), Stack.mean),
}
"""What a layer of a class does."""


def _misplaced(kind: str, name: str) -> MubinnError:
    if kind in PREPARING:
        return MubinnError(
            f"its layer {name} of class {kind} prepares the input, which our models read as it is: "
            "apply it to the recordings, and give a model of the layers after it."
        )
    return MubinnError(
        f"its layer {name} of class {kind} cannot stand there: give a model of LSTM, GRU, "
        "SimpleRNN, ConvLSTM2D, Conv1D and Dense layers, then GlobalAveragePooling1D, of frames "
        "GlobalAveragePooling3D, or none, then Dense."
    )


def _config(data: bytes | str) -> Layer:
    try:
        config = json.loads(data)
    except (ValueError, RecursionError):
        raise MubinnError(DAMAGED) from None
    if not isinstance(config, dict) or config.get("class_name") not in CLASSES:
        kind = config.get("class_name") if isinstance(config, dict) else None
        raise MubinnError(
            f"its model is of class {kind}, whose layers the file does not name: build it as "
            "keras.Sequential or keras.Model(inputs, outputs)."
        )
    return config


def _chain(model: Layer) -> list[Layer]:
    """Return the layers in order; raise `MubinnError` where they are no chain."""
    config = model.get("config")
    # Sequential models were once no more than their layers.
    layers = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(layers, list) or not all(_is_layer(layer) for layer in layers):
        raise MubinnError(DAMAGED)
    if model["class_name"] != "Sequential":
        for below, layer in zip([None, *layers], layers, strict=False):
            if _read(layer) != ([] if below is None else [_name(below)]):
                raise MubinnError(
                    f"its layer {_name(layer)} does not read the one before it alone: give a model "
                    "whose layers are one chain."
                )
    return layers


def _read(layer: Layer) -> list[str]:
    """Return the layers whose outputs `layer` reads, as Keras 3 writes them, or Keras 2."""
    text = json.dumps(layer["inbound_nodes"])
    return re.findall(r'"keras_history": \["([^"]*)"', text) or re.findall(
        r'\["([^"]*)", \d+, \d+[],]', text
    )


def _name(layer: Layer) -> str:
    return str(layer["config"].get("name", layer["class_name"]))


def _is_layer(layer: object) -> bool:
    return (
        isinstance(layer, dict)
        and isinstance(layer.get("class_name"), str)
        and isinstance(layer.get("config"), dict)
        and isinstance(layer.get("inbound_nodes", []), list)
    )


def _kind(layer: Layer) -> str:
    """Return the class of a layer, with its module where it is not Keras's own."""
    module = str(layer.get("module", "keras"))
    name = str(layer["class_name"])
    return name if module.split(".")[0] == "keras" else f"{module}.{name}"


def _places(layers: Sequence[Layer], weights: Weights) -> Iterator[list[str]]:
    """Yield where the variables of each layer stand in ``model.weights.h5``."""
    # Versions differ in what is a word of ConvLSTM2D.
    word = "[A-Z][a-z0-9]+" if weights.has("layers/conv_lst_m2d") else "[A-Z][a-z]+"
    seen: Counter[str] = Counter()
    for layer in layers:
        kind = _kind(layer)
        stem = re.sub(r"\W+", "", kind)
        stem = re.sub(f"(.)({word})", r"\1_\2", stem)
        stem = re.sub(r"([a-z])([A-Z])", r"\1_\2", stem).lower()
        number = f"_{seen[stem]}" if seen[stem] else ""
        seen[stem] += 1
        inner = ["cell/"] if kind in {**RECURRENT, **OVER_PIXELS} else INNER.get(kind, [""])
        yield [f"layers/{stem}{number}/{part}vars" for part in inner]
