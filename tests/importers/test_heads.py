"""What the outputs of imported models are, and of which steps they are given."""

import json
import re
import zipfile
from itertools import pairwise

import h5py
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from keras_files import FOLDER, h5, packed
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from mubinn.cli.main import mubinn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.any_file import import_model
from mubinn.golden.importers.parts import ImportOptions
from mubinn.golden.model import reference
from mubinn.golden.model.model_file import load_model

FEATURES, HIDDEN = 3, 4
node = helper.make_node


def weights(outputs):
    rng = np.random.default_rng(outputs)
    shapes = {
        "rnn.weight_ih_l0": (4 * HIDDEN, FEATURES),
        "rnn.weight_hh_l0": (4 * HIDDEN, HIDDEN),
        "fc.weight": (outputs, HIDDEN),
        "fc.bias": (outputs,),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def state(path, outputs):
    save_file(weights(outputs), path)
    return path


def graph(path, outputs, *ends):
    """An LSTM, a dense layer on its last state, and nodes above it, each an output."""
    made = weights(outputs)
    given = {
        "W": made["rnn.weight_ih_l0"][None],
        "R": made["rnn.weight_hh_l0"][None],
        "D": made["fc.weight"],
        "E": made["fc.bias"],
        "zero": np.array([0], np.int64),
    }
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("LSTM", ["t", "W", "R"], ["", "h"], hidden_size=HIDDEN),
        node("Squeeze", ["h", "zero"], ["s"]),
        node("Gemm", ["s", "D", "E"], ["y"], transB=1),
        *(node(kind, ["y"], [kind]) for kind in ends),
    ]
    kind = TensorProto.FLOAT
    whole = helper.make_graph(
        nodes,
        "hand",
        [helper.make_tensor_value_info("x", kind, ("n", "t", FEATURES))],
        [helper.make_tensor_value_info(end, kind, None) for end in ("y", *ends)],
        [numpy_helper.from_array(array, name) for name, array in given.items()],
    )
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save_model(model, path)
    return path


def keras(path, units, activation):
    """The recorded LSTM whose Dense has one unit, or the one whose has two."""
    name = "functional_lstm.keras" if units == 1 else "sequential_lstm.keras"

    def change(config):
        config["config"]["layers"][-1]["config"]["activation"] = activation

    return packed(path, name, change)


FOUND = {
    "a sigmoid of Keras": (lambda p: keras(p, 1, "sigmoid"), None, "sigmoid"),
    "a linear unit of Keras": (lambda p: keras(p, 1, "linear"), "regression", "regression"),
    "a logit of Keras": (lambda p: keras(p, 1, "linear"), "sigmoid", "sigmoid"),
    "softmax of Keras": (lambda p: keras(p, 2, "softmax"), None, "classes"),
    "two sigmoids of Keras": (lambda p: keras(p, 2, "sigmoid"), "classes", "classes"),
    "two numbers of Keras": (lambda p: keras(p, 2, "linear"), "regression", "regression"),
    "a sigmoid of ONNX": (lambda p: graph(p, 1, "Sigmoid"), None, "sigmoid"),
    "a linear unit of ONNX": (lambda p: graph(p, 1), "regression", "regression"),
    "softmax of ONNX": (lambda p: graph(p, 3, "Softmax"), None, "classes"),
    "log of softmax of ONNX": (lambda p: graph(p, 3, "LogSoftmax"), None, "classes"),
    "numbers of ONNX": (lambda p: graph(p, 3), "regression", "regression"),
    "numbers of PyTorch": (lambda p: state(p, 3), "regression", "regression"),
    "one number of PyTorch": (lambda p: state(p, 1), "regression", "regression"),
}


@pytest.mark.parametrize("name", FOUND)
def test_outputs_are_what_the_file_or_the_option_says(tmp_path, name):
    make, outputs, head = FOUND[name]
    path = make(tmp_path / "m")
    readout = "last" if "PyTorch" in name else None
    model = import_model(path, ImportOptions(readout, outputs=outputs))
    assert model.head == head
    assert "outputs" not in model.meta


TAKEN = {
    "keras": lambda p: keras(p, 2, "linear"),
    "onnx": lambda p: graph(p, 2),
    "torch": lambda p: state(p, 2),
}


@pytest.mark.parametrize("name", TAKEN)
def test_several_numbers_are_logits_of_classes_and_a_note_says_so(tmp_path, name):
    options = ImportOptions("last" if name == "torch" else None)
    model = import_model(TAKEN[name](tmp_path / "m"), options)
    assert (model.head, model.outputs) == ("classes", 2)
    assert model.meta["outputs"] == "the 2 outputs are taken as logits of classes"


def test_one_row_of_a_state_dictionary_is_the_logit_of_a_sigmoid(tmp_path):
    model = import_model(state(tmp_path / "m", 1), ImportOptions("mean"))
    assert (model.wd == weights(1)["fc.weight"]).all()
    assert model.head == "sigmoid"
    assert model.meta["outputs"] == "the one output is taken as the logit of a sigmoid"


REFUSED = {
    "a linear unit of Keras": (lambda p: keras(p, 1, "linear"), None, "give --outputs sigmoid or"),
    "a linear unit of ONNX": (lambda p: graph(p, 1), None, "give --outputs sigmoid or"),
    "softmax": (lambda p: keras(p, 2, "softmax"), "regression", "leave out --outputs regression"),
    "a sigmoid": (lambda p: graph(p, 1, "Sigmoid"), "classes", "its outputs are sigmoid"),
    "two sigmoids": (lambda p: graph(p, 2, "Sigmoid"), "sigmoid", "its outputs are classes"),
    "two logits": (lambda p: graph(p, 2), "sigmoid", "a sigmoid head has 1 output"),
    "one class": (lambda p: graph(p, 1), "classes", "the classifier has one class"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_outputs_cannot_be_is_one_sentence(tmp_path, name):
    make, outputs, words = REFUSED[name]
    with pytest.raises(MubinnError, match=words) as refused:
        import_model(make(tmp_path / "m"), ImportOptions(outputs=outputs))
    assert "to cut it out" not in str(refused.value)


def test_the_command_line_says_what_it_took_them_for(tmp_path):
    path, out = state(tmp_path / "m", 1), tmp_path / "made"
    command = ["quantize", str(path), "--readout", "every", "--levels", "1,1"]
    command += ["--normalise", "window", "--windows", "4", "-o", str(out)]
    result = CliRunner().invoke(mubinn, command)
    assert result.exit_code == 0, result.output
    assert "is taken as the logit of a sigmoid (--outputs)" in result.stdout
    listed = json.loads(CliRunner().invoke(mubinn, [*command, "--json"]).stdout)
    assert listed["outputs"] == "the one output is taken as the logit of a sigmoid"
    told = CliRunner().invoke(mubinn, [*command, "--outputs", "regression"])
    assert told.exit_code == 0, told.output
    assert "--outputs" not in told.stdout
    model = load_model(out)
    assert (model.head, model.readout) == ("regression", "every")


def each_step(path, write=packed, timed=True, **inner):
    """The recorded LSTM, whose Dense answers at every step, within TimeDistributed or not."""

    def change(config):
        lstm, top = config["config"]["layers"][-2:]
        lstm["config"]["return_sequences"] = True
        if timed:
            layer = {"class_name": "Dense", "config": dict(top["config"]), **inner}
            top["config"] = {"name": top["config"]["name"], "layer": layer}
            top["class_name"] = "TimeDistributed"

    return write(path, "functional_lstm.keras", change)


def renamed(path):
    """Move a Dense layer's variables to where those within TimeDistributed stand."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    weights_file = path.with_suffix(".weights")
    weights_file.write_bytes(held["model.weights.h5"])
    with h5py.File(weights_file, "a") as file:
        file.move("layers/dense", "layers/time_distributed/layer")
    held["model.weights.h5"] = weights_file.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in held.items():
            archive.writestr(name, data)
    return path


EACH = {
    "Dense": lambda p: each_step(p, timed=False),
    "TimeDistributed": lambda p: renamed(each_step(p)),
    "TimeDistributed in .h5": lambda p: each_step(p, h5),
}


@pytest.mark.parametrize("name", EACH)
def test_a_dense_layer_at_every_step_is_read_there(tmp_path, name):
    model, last = import_model(EACH[name](tmp_path / "m")), FOLDER / "functional_lstm.keras"
    x = np.random.default_rng(0).normal(size=(2, 5, FEATURES))
    scores = reference.logits(model, x)
    assert (model.readout, model.head, scores.shape) == ("every", "sigmoid", (2, 5, 1))
    np.testing.assert_allclose(scores[:, -1], reference.logits(import_model(last), x))


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_the_mean_of_a_dense_layer_is_that_of_its_inputs(tmp_path, activation):
    """The layers change places: GRU, mean, Dense as recorded, and GRU, Dense, mean."""

    def change(config):
        layers = config["config"]["layers"]
        layers[-2:] = layers[:-3:-1]
        for below, layer in pairwise(layers):
            if layer.get("inbound_nodes"):
                text = json.dumps(layer["inbound_nodes"])
                name = re.search(r'"keras_history": \["([^"]*)"', text)[1]
                text = text.replace(f'"{name}"', f'"{below["config"]["name"]}"')
                layer["inbound_nodes"] = json.loads(text)
        if activation:
            layers[-2]["config"]["activation"] = activation

    path = packed(tmp_path / "m", "functional_gru.keras", change)
    if activation:
        with pytest.raises(MubinnError, match="softmax"):
            import_model(path)
        return
    model, other = import_model(path), import_model(FOLDER / "functional_gru.keras")
    assert (model.readout, other.readout) == ("mean", "mean")
    assert (model.wd == other.wd).all()
    assert model.cell == "gru"


def test_other_layers_at_every_step_are_named(tmp_path):
    for kind, words in [("LSTM", "a layer of class LSTM at every"), ("Dense", "cannot stand")]:

        def change(config, kind=kind):
            layers = config["config"]["layers"]
            own = {"class_name": kind, "config": layers[-1]["config"]}
            layers[-1]["class_name"] = "TimeDistributed"
            layers[-1]["config"] = {"name": "top", "layer": own}
            layers[-2]["config"]["return_sequences"] = kind == "LSTM"

        with pytest.raises(MubinnError, match=words):
            import_model(packed(tmp_path / "m", "sequential_lstm.keras", change))


def test_dense_layers_alone_read_no_steps(tmp_path):
    """Keras applies them to windows of one axis as well, which no file of ours has."""

    def change(config):
        config["config"]["layers"] = [
            layer
            for layer in config["config"]["layers"]
            if layer["class_name"] not in ("Conv1D", "SimpleRNN")
        ]

    with pytest.raises(MubinnError, match="no LSTM, GRU, SimpleRNN or ConvLSTM2D"):
        import_model(packed(tmp_path / "m", "stack_dense.keras", change))
