"""Keras models of either form made without Keras: those that it wrote, changed or written anew."""

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np

FOLDER = Path(__file__).parent / "importers" / "data" / "frameworks"
KINDS = (
    "LSTM",
    "GRU",
    "SimpleRNN",
    "ConvLSTM2D",
    "Dense",
    "Conv1D",
    "BatchNormalization",
    "TimeDistributed",
    "Bidirectional",
)
FOLDERS = {
    "ConvLSTM2D": "conv_lstm2d",
    "SimpleRNN": "simple_rnn",
    "BatchNormalization": "batch_normalization",
    "TimeDistributed": "time_distributed",
    "Bidirectional": "bidirectional",
}
NAMES = sorted(path.name for path in FOLDER.glob("*.keras"))


def parts(name):
    """The configuration of a recorded model, and the variables of each of its layers by name."""
    with zipfile.ZipFile(FOLDER / name) as archive:
        config = json.loads(archive.read("config.json"))
        stored = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    groups = {}
    stored.visititems(
        lambda path, node: (
            groups.setdefault(path.split("/")[1], []).append(node[()])
            if isinstance(node, h5py.Dataset)
            else None
        )
    )
    layers = [layer for layer in config["config"]["layers"] if layer["class_name"] in KINDS]
    found = {}
    for kind in KINDS:
        own = [layer["config"]["name"] for layer in layers if layer["class_name"] == kind]
        place = FOLDERS.get(kind, kind.lower())
        stored = [f"{place}_{k}" if k else place for k in range(len(own))]
        found |= {name: groups[place] for name, place in zip(own, stored, strict=True)}
    return config, found


def version_of(name):
    """The version of Keras that made a recorded file."""
    with zipfile.ZipFile(FOLDER / name) as archive:
        return json.loads(archive.read("metadata.json"))["keras_version"]


def older(config):
    """The configuration as Keras 2 writes it."""
    for layer in config["config"]["layers"]:
        layer["module"] = "keras.layers"
        if "keras_history" in json.dumps(layer.get("inbound_nodes")):
            below = json.dumps(layer["inbound_nodes"]).split('"keras_history": ["')[1:]
            nodes = [[text.split('"')[0], 0, 0, {}] for text in below]
            layer["inbound_nodes"] = [nodes] if nodes else []


def oldest(config):
    """The configuration of a sequential model before it had a name of its own."""
    older(config)
    config["config"] = config["config"]["layers"]


def h5(path, name, change=lambda config: None, weights="{}:0", version=None):
    """Write what model.save(path) of the older form writes, in the version of the recorded file."""
    version = version_of(name) if version is None else version
    config, groups = parts(name)
    layers = {layer["config"]["name"]: layer["class_name"] for layer in config["config"]["layers"]}
    with h5py.File(path, "w") as file:
        for layer, kind in layers.items():
            group = file.create_group(f"model_weights/{layer}")
            names = ["kernel", "recurrent_kernel", "bias"] if kind in KINDS[:4] else None
            found = groups.get(layer, [])
            if kind == "Bidirectional":  # forward first, not as the alphabet has it
                found = [*found[len(found) // 2 :], *found[: len(found) // 2]]
            others = [f"variable_{k}" for k in range(len(found))]
            names = names or (others if len(found) > 2 else ["kernel", "bias"])
            full = [weights.format(f"{layer}/cell/{names[k]}") for k in range(len(found))]
            group.attrs["weight_names"] = np.array(full, "S") if full else np.zeros(0, "S1")
            for text, array in zip(full, found, strict=True):
                group[text] = array
        change(config)
        if version:
            file.attrs["keras_version"] = version
        file.attrs["model_config"] = json.dumps(config)
    return path


def packed(path, name, change):
    """The recorded .keras file with its configuration changed."""
    with zipfile.ZipFile(FOLDER / name) as source, zipfile.ZipFile(path, "w") as archive:
        config = json.loads(source.read("config.json"))
        change(config)
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", source.read("metadata.json"))
        archive.writestr("model.weights.h5", source.read("model.weights.h5"))
    return path
