"""Keras 3 ``.keras`` files: LSTM or GRU layers, and a Dense layer above them.

Such a file is a zip archive of ``config.json``, the layers in order, and ``model.weights.h5``,
where each layer's variables stand under its class in snake case, numbered from the second one on.
"""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.archive import DAMAGED, member
from mubinn.golden.model.float_model import FloatLayer, FloatModel, Readout

SILENT = ("InputLayer", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout")
"""Layers that do nothing once a model is trained."""

RECURRENT = {"LSTM": "ifgo", "GRU": "zrn"}
"""Gate order of each."""

SETTINGS = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "go_backwards": False,
    "return_state": False,
    "stateful": False,
    "time_major": False,
}
"""What a recurrent layer must be set to."""

POOLING = {"data_format": "channels_last", "keepdims": False}

OUTPUTS = ("linear", "softmax", "sigmoid")
"""Activations of the classifier, none of which changes the order of the classes."""

Layer = Mapping[str, Any]


def of_keras(archive: zipfile.ZipFile, options: parts.ImportOptions) -> FloatModel:
    """Return the model of a ``.keras`` archive.

    Raises
    ------
    MubinnError
        For other layers than these, or other settings of them; a file that is damaged; weights of
        the wrong shape, or NaN; no recurrent layer, or no Dense one after it.
    """
    if options.head is not None or options.recurrent:
        raise parts.not_open("a Keras model", "--head", "--recurrent")
    layers = _chain(_config(member(archive, "config.json")))
    weights = Weights(member(archive, "model.weights.h5"))
    recurrent: list[FloatLayer] = []
    head: tuple[Floats, Floats] | None = None
    readout: Readout | None = None
    for layer in layers:
        kind, config = _kind(layer), layer["config"]
        variables = weights.next(kind, "cell/vars" if kind in RECURRENT else "vars")
        name = f"{config.get('name', kind)}"
        if kind in SILENT:
            continue
        if kind in RECURRENT and readout is None:
            recurrent.append(_recurrent(kind, name, config, variables))
            if not config.get("return_sequences"):
                readout = "last"
        elif kind == "GlobalAveragePooling1D" and recurrent and readout is None:
            _demand(name, config, POOLING)
            readout = "mean"
        elif kind == "Dense" and readout is not None and head is None:
            head = _dense(name, config, variables)
        elif kind not in ("Softmax", "Activation") or head is None or not _is_output(config):
            raise MubinnError(
                f"its layer {name} of class {kind} cannot stand there: give a model of LSTM or GRU "
                "layers, then GlobalAveragePooling1D or none, then one Dense layer."
            )
    if not recurrent:
        raise MubinnError("it has no LSTM or GRU layer: give a model with one.")
    if head is None:
        raise parts.no_head(recurrent[-1].hidden)
    return parts.assemble(recurrent, head, readout, options, "a Keras model")


def _config(data: bytes) -> Layer:
    try:
        config = json.loads(data)
    except (ValueError, RecursionError):
        raise MubinnError(DAMAGED) from None
    if not isinstance(config, dict) or config.get("class_name") not in ("Sequential", "Functional"):
        kind = config.get("class_name") if isinstance(config, dict) else None
        raise MubinnError(
            f"its model is of class {kind}, whose layers the file does not name: build it as "
            "keras.Sequential or keras.Model(inputs, outputs)."
        )
    return config


def _chain(model: Layer) -> list[Layer]:
    """Return the layers in order; raise `MubinnError` where they are no chain."""
    config = model.get("config")
    layers = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(layers, list) or not all(_is_layer(layer) for layer in layers):
        raise MubinnError(DAMAGED)
    if model["class_name"] == "Functional":
        for below, layer in zip([None, *layers], layers, strict=False):
            found = re.findall(r'"keras_history": \["([^"]*)"', json.dumps(layer["inbound_nodes"]))
            if found != ([] if below is None else [below["config"].get("name")]):
                raise MubinnError(
                    f"its layer {layer['config'].get('name')} does not read the one before it "
                    "alone: give a model whose layers are one chain."
                )
    return layers


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


def _is_output(config: Layer) -> bool:
    return config.get("activation", "softmax") in OUTPUTS


class Weights:
    """The variables in ``model.weights.h5`` of layers asked for in the order of the model.

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
        self._h5: Any = h5py
        try:
            self._file = h5py.File(io.BytesIO(data), "r")
        except (OSError, ValueError, RuntimeError):
            raise MubinnError(DAMAGED) from None
        self._seen: Counter[str] = Counter()

    def next(self, kind: str, place: str) -> list[Floats]:
        """Return the variables of the next layer of class `kind`, kept under `place`."""
        stem = re.sub(r"\W+", "", kind)
        stem = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", stem)
        stem = re.sub(r"([a-z])([A-Z])", r"\1_\2", stem).lower()
        count = self._seen[stem]
        self._seen[stem] += 1
        group = f"layers/{stem}{f'_{count}' if count else ''}/{place}"
        variables: list[Floats] = []
        while (array := self._array(f"{group}/{len(variables)}")) is not None:
            variables.append(array)
        return variables

    def _array(self, path: str) -> Floats | None:
        """Return the dataset `path` of the file itself, not of another one that it links to."""
        try:
            node: Any = self._file
            for part in path.split("/"):
                if not isinstance(node, self._h5.Group) or part not in node:
                    return None
                if not isinstance(node.get(part, getlink=True), self._h5.HardLink):
                    raise MubinnError(f"its weights {path} are a link: save the model again.")
                node = node[part]
            if not isinstance(node, self._h5.Dataset) or node.external or node.is_virtual:
                raise MubinnError(f"its weights {path} are no plain numbers: save the model again.")
            if node.nbytes > parts.MAX_SIZE:
                raise MubinnError(f"its weights {path} are larger than any model's.")
            return parts.checked(path, np.asarray(node[()]))
        except (OSError, KeyError, ValueError, RuntimeError):
            raise MubinnError(DAMAGED) from None


def _recurrent(kind: str, name: str, config: Layer, variables: list[Floats]) -> FloatLayer:
    _demand(name, config, SETTINGS)
    gates = len(RECURRENT[kind])
    biased = bool(config.get("use_bias", True))
    if len(variables) != 2 + biased or any(v.ndim != 2 for v in variables[:2]):
        raise MubinnError(f"its layer {name} lacks weights: save the model again.")
    wx, wh = (kernel.T for kernel in variables[:2])
    after = kind == "GRU" and bool(config.get("reset_after", True))
    b = variables[2] if biased else np.zeros((2, len(wx)) if after else len(wx))
    if b.ndim != 1 + after or (after and len(b) != 2):
        raise MubinnError(f"its layer {name} has biases of shape {b.shape}: save the model again.")
    parts.check_shapes(name, gates, wx, wh, *(b if after else [b]))
    if kind == "LSTM":
        return parts.lstm_layer(wx, wh, b, RECURRENT[kind])
    bx, bh = b if after else (b, np.zeros_like(b))
    return parts.gru_layer(wx, wh, bx, bh, RECURRENT[kind], "after" if after else "before")


def _dense(name: str, config: Layer, variables: list[Floats]) -> tuple[Floats, Floats]:
    biased = bool(config.get("use_bias", True))
    if len(variables) != 1 + biased or variables[0].ndim != 2:
        raise MubinnError(f"its layer {name} lacks weights: save the model again.")
    if config.get("activation", "linear") not in OUTPUTS:
        raise MubinnError(
            f"its layer {name} has the activation {config['activation']!r}: the classifier is to "
            "end in linear, softmax or sigmoid."
        )
    return parts.classifier(name, variables[0].T, variables[1] if biased else None)
