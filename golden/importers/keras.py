"""Keras models: LSTM, GRU, SimpleRNN, Conv1D and Dense layers, one after the other.

A ``.keras`` file is a zip archive of ``config.json``, the layers in order, and
``model.weights.h5``, where each layer's variables stand under its class in snake case, numbered
from the second one on. The older ``.h5`` file holds the same configuration as an attribute, and the
variables under the names of the layers. Keras 2 and 3 write both.
"""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from mubinn.golden.cells.constants import Reset
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.graph import ramp_kind
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.archive import DAMAGED, member
from mubinn.golden.importers.chain import Activation, Chain, Linear
from mubinn.golden.importers.stored import MAX_NUMBERS
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.head import Readout
from mubinn.golden.units.shapes import Kind

SILENT = {
    *("InputLayer", "Dropout", "SpatialDropout1D", "AlphaDropout"),
    *("GaussianNoise", "GaussianDropout", "ActivityRegularization"),
}
"""Layers that do nothing once a model is trained."""

PREPARING = ("Normalization", "Rescaling")
"""Layers that prepare the input."""

RECURRENT = {"LSTM": "ifgo", "GRU": "zrn", "SimpleRNN": "h"}
"""Gate order of each."""

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

INNER = {
    "TimeDistributed": ["layer/"],
    "Bidirectional": ["forward_layer/cell/", "backward_layer/cell/"],
}
"""Where the variables of layers within a layer stand."""

POOLING = {"data_format": "channels_last", "keepdims": False}

STEPWISE = ("Dense", "BatchNormalization", "Activation", "ReLU", "Softmax", "Dropout")
"""Layers that do at every step what TimeDistributed has them do there."""

CLASSES = ("Sequential", "Functional", "Model")
"""Models whose layers the file names; the last one is what functional ones were called before."""

Layer = Mapping[str, Any]
Read = Callable[[], list[Floats]]
"""Returns the variables of a layer."""


def of_archive(archive: zipfile.ZipFile, options: parts.ImportOptions) -> FloatModel:
    """Return the model of a ``.keras`` archive; raise `MubinnError` as `of_layers` does."""
    layers = _chain(_config(member(archive, "config.json")))
    weights = Weights(member(archive, "model.weights.h5"))
    places = list(_places(layers))
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
        stated = _stated(name, config, setting)
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
        _demand(f"{name}'s ReLU", config, {"negative_slope": 0.0, "threshold": 0.0})
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
    stack = Stack(activations)
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
        raise MubinnError("it has no LSTM, GRU or SimpleRNN layer: give a model with one.")
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
    return _kind(inner), inner["config"]


class Stack:
    """The layers of a model as they come, from the bottom up.

    Attributes
    ----------
    chain : Chain
    timed : bool
        Whether one of them reads steps of a window, and not one step alone.
    """

    def __init__(self, activations: "Activations") -> None:
        self.chain = Chain()
        self.timed = False
        self._activations = activations

    def recurrent(self, kind: str, name: str, config: Layer, read: Read) -> None:
        """Add a layer with a state."""
        if self.chain.readout is not None:
            raise _misplaced(kind, name)
        self._recurrent(name, config, [self._made(kind, name, config, read())])

    def both(self, kind: str, name: str, config: Layer, read: Read) -> None:
        """Add two directions of a layer with a state, side by side."""
        inner: Layer = config.get("layer") or {}
        if self.chain.readout is not None or not _is_layer(inner) or _kind(inner) not in RECURRENT:
            raise _misplaced(kind, name)
        _stated(name, config, "merge_mode")
        _demand(name, config, {"merge_mode": "concat"})
        _demand(name, inner["config"], {"go_backwards": False})
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
        return _recurrent(kind, name, config, variables, self._activations)

    def _recurrent(self, name: str, config: Layer, layers: list[FloatLayer]) -> None:
        """Add one direction, or two, of which each step or where they end goes on."""
        self.timed = True
        goes_on, backward = _stated(name, config, "return_sequences"), config.get("go_backwards")
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
        if kind == "Conv1D" and self.chain.readout is not None:
            raise _misplaced(kind, name)
        self.timed = self.timed or kind == "Conv1D"
        make = _convolution if kind == "Conv1D" else _dense
        activation = self._activation(name, config, _stated(name, config, "activation"))
        self.chain.linear(make(name, config, read()), activation)

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
        self.chain.normalise(name, *_normalisation(name, config, read()))

    def mean(self, kind: str, name: str, config: Layer, read: Read) -> None:
        """Read the mean over the steps."""
        _demand(name, config, POOLING)
        if self.chain.readout is not None:
            raise _misplaced(kind, name)
        self.chain.read(name, "mean")
        if not self.chain.layers:
            raise _misplaced(kind, name)


STEPS = {
    **dict.fromkeys(RECURRENT, Stack.recurrent),
    "Bidirectional": Stack.both,
    **dict.fromkeys(("Conv1D", "Dense"), Stack.linear),
    **dict.fromkeys(("Activation", "ReLU", "Softmax"), Stack.activation),
    "BatchNormalization": Stack.normalisation,
    "GlobalAveragePooling1D": Stack.mean,
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
        "SimpleRNN, Conv1D and Dense layers, then GlobalAveragePooling1D or none, then Dense."
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


def _demand(name: str, config: Layer, settings: Layer) -> None:
    for setting, value in settings.items():
        if config.get(setting, value) != value:
            raise MubinnError(
                f"its layer {name} has {setting}={config[setting]!r}: train it with {value!r}."
            )


def _stated(name: str, config: Layer, setting: str) -> Any:
    """Return a setting that the layer must say; raise `MubinnError` where it does not."""
    if setting not in config:
        raise MubinnError(
            f"its layer {name} does not say its {setting}, whose default differs between versions "
            "of Keras: load the model in the version that made it, and save it as x.keras."
        )
    return config[setting]


def _places(layers: Sequence[Layer]) -> Iterator[list[str]]:
    """Yield where the variables of each layer stand in ``model.weights.h5``."""
    seen: Counter[str] = Counter()
    for layer in layers:
        kind = _kind(layer)
        stem = re.sub(r"\W+", "", kind)
        stem = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", stem)
        stem = re.sub(r"([a-z])([A-Z])", r"\1_\2", stem).lower()
        number = f"_{seen[stem]}" if seen[stem] else ""
        seen[stem] += 1
        inner = ["cell/"] if kind in RECURRENT else INNER.get(kind, [""])
        yield [f"layers/{stem}{number}/{part}vars" for part in inner]


def _check_heaps(data: bytes) -> None:
    """Raise `MubinnError` where texts lie in a damaged heap, in which HDF5 may search for ever.

    A heap is its size and then objects, each with a header of 16 bytes and a multiple of 8 bytes;
    object 0 is the free rest, whose size holds its header.
    """
    for match in re.finditer(rb"GCOL\x01", data):
        start = match.start()
        end = start + int.from_bytes(data[start + 8 : start + 16], "little")
        place = start + 16
        while place + 16 <= min(end, len(data)):
            index = int.from_bytes(data[place : place + 2], "little")
            size = int.from_bytes(data[place + 8 : place + 16], "little")
            if index == 0 and size < 16:
                raise MubinnError(DAMAGED)
            place += size if index == 0 else 16 + (size + 7) // 8 * 8
        if not start + 16 <= place <= end <= len(data):
            raise MubinnError(DAMAGED)


@contextmanager
def _damage_told() -> Iterator[None]:
    """Say of whatever HDF5's library raises that the file is damaged."""
    try:
        yield
    except (OSError, KeyError, ValueError, RuntimeError, TypeError):
        raise MubinnError(DAMAGED) from None


class Weights:
    """The variables in an HDF5 file.

    Raises
    ------
    MubinnError
        Where h5py is absent, or the file is no HDF5 file.
    """

    def __init__(self, data: bytes) -> None:
        try:
            import h5py
        except ImportError:
            raise MubinnError(
                "reading Keras models needs h5py: pip install 'mubinn[keras]'."
            ) from None
        _check_heaps(data)
        self._h5: Any = h5py
        with _damage_told():
            self._file = h5py.File(io.BytesIO(data), "r")

    def config(self) -> str | None:
        """Return the layers of a whole model as JSON, None where there are only weights."""
        return self.text("model_config")

    def text(self, name: str) -> str | None:
        """Return an attribute of the file, None where there is none."""
        found = self._attribute(self._file, name)
        return found if found is None or isinstance(found, str) else str(found, "utf-8")

    def numbered(self, place: str) -> list[Floats]:
        """Return the variables of the group `place`, whose names are numbers."""
        variables: list[Floats] = []
        while (array := self._array(f"{place}/{len(variables)}")) is not None:
            variables.append(array)
        return variables

    def named(self, layer: str) -> list[Floats]:
        """Return the variables of a layer of an ``.h5`` file, in the order that it states."""
        place = f"model_weights/{layer}"
        node = self._node(place)
        names = None if node is None else self._attribute(node, "weight_names")
        if names is None:
            raise MubinnError(f"its layer {layer} lacks weights: save the model again.")
        texts = [n if isinstance(n, str) else str(n, "utf-8") for n in np.ravel(names).tolist()]
        found = [self._array(f"{place}/{text}") for text in texts]
        return [array for array in found if array is not None]

    def _attribute(self, node: Any, name: str) -> Any:
        with _damage_told():
            return node.attrs.get(name)

    def _node(self, path: str) -> Any:
        """Return what stands at `path` of the file itself, not of another one it links to."""
        node: Any = self._file
        with _damage_told():
            for part in path.split("/"):
                if not isinstance(node, self._h5.Group) or part not in node:
                    return None
                if not isinstance(node.get(part, getlink=True), self._h5.HardLink):
                    raise MubinnError(f"its weights {path} are a link: save the model again.")
                node = node[part]
        return node

    def _array(self, path: str) -> Floats | None:
        """Return the dataset `path`, None where there is none."""
        node = self._node(path)
        if node is None:
            return None
        with _damage_told():
            if not isinstance(node, self._h5.Dataset) or node.external or node.is_virtual:
                raise MubinnError(f"its weights {path} are no plain numbers: save the model again.")
            if node.size is None or node.size > MAX_NUMBERS:
                raise MubinnError(f"its weights {path} are larger than any model's.")
            return parts.checked(path, np.asarray(node[()]))


def _recurrent(
    kind: str, name: str, config: Layer, variables: list[Floats], activations: Activations
) -> FloatLayer:
    inner = activations.kind(name, config, "activation")
    gate = inner if kind == "SimpleRNN" else activations.kind(name, config, "recurrent_activation")
    _demand(name, config, SETTINGS)
    gates = len(RECURRENT[kind])
    biased = bool(_stated(name, config, "use_bias"))
    if len(variables) != 2 + biased or any(v.ndim != 2 for v in variables[:2]):
        raise MubinnError(f"its layer {name} lacks weights: save the model again.")
    wx, wh = (kernel.T for kernel in variables[:2])
    after = kind == "GRU" and bool(_stated(name, config, "reset_after"))
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


def _dense(name: str, config: Layer, variables: list[Floats]) -> Linear:
    kernel, b = _kernel(name, config, variables, 2)
    return Linear(name, kernel.T, b)


def _convolution(name: str, config: Layer, variables: list[Floats]) -> Linear:
    """Return a convolution, each filter a row: taps from the oldest step on, inputs of each."""
    _demand(name, config, {"groups": 1, "data_format": "channels_last"})
    kernel, b = _kernel(name, config, variables, 3)
    taps = len(kernel)
    stride, dilation = (
        int(np.ravel(_stated(name, config, setting))[0]) for setting in ("strides", "dilation_rate")
    )
    padding = _stated(name, config, "padding")
    before = {"valid": 0, "causal": taps - 1} | ({"same": 0} if taps == 1 else {})
    if dilation != 1 or padding not in before:
        raise MubinnError(
            f"its layer {name} has padding={padding!r}, dilation_rate={dilation}: train it with "
            "padding 'valid' or 'causal', and a dilation of 1."
        )
    frames = Frames(taps, stride, before[padding])
    return Linear(name, kernel.transpose(2, 0, 1).reshape(kernel.shape[2], -1), b, frames)


def _kernel(name: str, config: Layer, variables: list[Floats], axes: int) -> tuple[Floats, Floats]:
    biased = bool(_stated(name, config, "use_bias"))
    if len(variables) != 1 + biased or variables[0].ndim != axes:
        raise MubinnError(f"its layer {name} lacks weights: save the model again.")
    kernel = variables[0]
    b = variables[1] if biased else np.zeros(kernel.shape[-1])
    if b.shape != kernel.shape[-1:]:
        raise MubinnError(f"its layer {name} has biases of shape {b.shape}: save the model again.")
    return kernel, b


def _normalisation(name: str, config: Layer, variables: list[Floats]) -> tuple[Floats, Floats]:
    """Return s and t of ``s x + t``, what a trained batch normalisation is."""
    axis = np.ravel(_stated(name, config, "axis")).tolist()
    if axis not in ([-1], [2]):
        raise MubinnError(f"its layer {name} normalises along axis {axis}: take the last axis.")
    scaled, centred = (bool(_stated(name, config, part)) for part in ("scale", "center"))
    if len(variables) != 2 + scaled + centred or len({v.shape for v in variables}) != 1:
        raise MubinnError(f"its layer {name} lacks weights: save the model again.")
    mean, variance = variables[-2:]
    if mean.ndim != 1 or (variance < 0).any():
        raise MubinnError(f"its layer {name} has no variances: save the model again.")
    scale = 1 / np.sqrt(variance + float(_stated(name, config, "epsilon")))
    if scaled:
        scale = scale * variables[0]
    return scale, (variables[scaled] if centred else 0) - scale * mean
