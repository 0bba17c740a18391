"""Malformed models of other programs, through the command line: one sentence, exit code 2."""

import contextlib
import io
import json
import pickle
import runpy
import zipfile
from collections import OrderedDict
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save

from mubinn.cli.main import mubinn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.any_file import import_model
from mubinn.golden.importers.parts import ImportOptions

FOLDER = Path(__file__).parent / "data" / "frameworks"
RECORDER = runpy.run_path(str(Path(__file__).parent / "record_frameworks.py"))


def state(kind="lstm", features=3, hidden=4, classes=2, **own):
    """A PyTorch state dictionary."""
    rows = {"lstm": 4, "gru": 3, "rnn": 1}[kind] * hidden
    rng = np.random.default_rng(0)
    shapes = {
        "rnn.weight_ih_l0": (rows, features),
        "rnn.weight_hh_l0": (rows, hidden),
        "rnn.bias_ih_l0": (rows,),
        "rnn.bias_hh_l0": (rows,),
        "fc.weight": (classes, hidden),
        "fc.bias": (classes,),
    }
    made = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    made |= {name.replace("__", "."): value for name, value in own.items()}
    return save({name: value for name, value in made.items() if value is not None})


def zeros(*shape):
    return np.zeros(shape, np.float32)


def nan_weights():
    return np.full((16, 3), np.nan, np.float32)


class Foreign:
    """An object whose loading runs a function."""

    def __reduce__(self):
        return (Path("/nowhere/at/all").touch, ())


def pt(value):
    """A .pt archive whose program is Python's own pickle of `value`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(value, protocol=2))
        archive.writestr("model/byteorder", "little")
    return buffer.getvalue()


def edited_pt(*pairs):
    """The recorded .pt with bytes of its program replaced."""
    with zipfile.ZipFile(FOLDER / "torch_lstm.pt") as source:
        parts = {name: source.read(name) for name in source.namelist()}
    program = next(name for name in parts if name.endswith("data.pkl"))
    for old, new in pairs:
        assert old in parts[program]
        parts[program] = parts[program].replace(old, new)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return buffer.getvalue()


def keras(name="sequential_lstm.keras", change=lambda config: None, drop=()):
    """A recorded .keras file with its configuration changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(FOLDER / name) as source, zipfile.ZipFile(buffer, "w") as archive:
        for part in set(source.namelist()) - set(drop):
            data = source.read(part)
            if part == "config.json":
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            archive.writestr(part, data)
    return buffer.getvalue()


def custom(config):
    config["config"]["layers"][1]["module"] = "my_package"


def of_class(index, name):
    return lambda config: config["config"]["layers"][index].update(class_name=name)


def with_setting(index, **settings):
    return lambda config: config["config"]["layers"][index]["config"].update(settings)


def with_inner(index, **settings):
    """Settings of what a layer does at every step."""
    return lambda config: config["config"]["layers"][index]["config"]["layer"]["config"].update(
        settings
    )


def swapped(one, other):
    def change(config):
        layers = config["config"]["layers"]
        layers[one], layers[other] = layers[other], layers[one]

    return change


frames, movies = (partial(keras, f"stack_{name}.keras") for name in ("frames", "movies"))


def without(index):
    return lambda config: config["config"]["layers"].pop(index)


def onnx_model(name="node_lstm.onnx", change=lambda graph: None):
    """A recorded ONNX graph, changed."""
    model = onnx.load(FOLDER / name)
    change(model.graph)
    return model.SerializeToString()


def recurrent(graph):
    return next(node for node in graph.node if node.op_type in ("LSTM", "GRU"))


def attribute(**values):
    def change(graph):
        for name, value in values.items():
            recurrent(graph).attribute.append(helper.make_attribute(name, value))

    return change


def swap(old, new):
    def change(graph):
        node = next(node for node in graph.node if node.op_type == old)
        node.op_type = new
        del node.attribute[:]

    return change


def set_tensor(name, array):
    def change(graph):
        tensor = next(t for t in graph.initializer if t.name == name)
        tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float32), name))

    return change


def external(graph):
    tensor = graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def started(graph):
    """The recurrence starts from a state that is not 0."""
    graph.initializer.append(numpy_helper.from_array(np.ones((1, 3, 4), np.float32), "h0"))
    recurrent(graph).input.extend(["", "h0"])


def other_input(graph):
    graph.input.append(helper.make_tensor_value_info("h0", TensorProto.FLOAT, [1, 1, 4]))
    recurrent(graph).input.extend(["", "h0"])


def huge(graph):
    graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1 << 40


def wrong_alpha(graph):
    node = next(node for node in graph.node if node.op_type == "Gemm")
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("alpha", "much"))


def seen(graph):
    """Coupled gates that see the state."""
    graph.initializer.append(numpy_helper.from_array(np.ones((1, 12), np.float32), "P"))
    recurrent(graph).input.extend(["", "", "", "P"])
    attribute(input_forget=1)(graph)


def misfit(graph):
    graph.initializer.append(numpy_helper.from_array(np.ones((1, 11), np.float32), "P"))
    recurrent(graph).input.extend(["", "", "", "P"])


LEAKY = {"class_name": "ReLU", "config": {"max_value": 1.0, "negative_slope": 0.5}}
TALL = {"class_name": "ReLU", "config": {"max_value": 20.0}}
READOUT = ("--readout", "last")
TANH, RELU = ("--nonlinearity", "tanh"), ("--nonlinearity", "relu")
COMPUTED = {
    "weights dropped out": (
        state(rnn__weight_hh_l0_raw=zeros(16, 4)),
        "weight_hh_l0 is computed from rnn.weight_hh_l0_raw whenever the model runs",
    ),
    "weights dropped out by a module around": (
        state(weight_hh_l0_raw=zeros(16, 4)),
        "weight_hh_l0 is computed from weight_hh_l0_raw",
        *("--head", "fc"),
    ),
    "weight_norm of old": (
        state(
            rnn__weight_ih_l0=None,
            rnn__weight_ih_l0_g=zeros(16, 1),
            rnn__weight_ih_l0_v=zeros(16, 3),
        ),
        "torch.nn.utils.remove_weight_norm",
    ),
    "a parametrized cell": (
        state(
            rnn__weight_hh_l0=None,
            rnn__parametrizations__weight_hh_l0__original0=zeros(16, 1),
            rnn__parametrizations__weight_hh_l0__original1=zeros(16, 4),
        ),
        "torch.nn.utils.parametrize.remove_parametrizations",
    ),
    "a parametrized head": (
        state(fc__weight=None, fc__parametrizations__weight__original=zeros(2, 4)),
        "weight is computed from fc.parametrizations.weight.original",
    ),
    "a pruned head": (
        state(fc__weight_orig=zeros(2, 4), fc__weight_mask=zeros(2, 4)),
        "torch.nn.utils.prune.remove",
        *("--head", "fc"),
    ),
    "a learned scale": (state(scale=np.array(2, np.float32)), "the weights scale have no place"),
}
FAULTS = COMPUTED | {
    "foreign object": (pt({"model": Foreign()}), "only Python objects, of "),
    "foreign class": (edited_pt((b"torch._utils", b"torch_utils")), "torch_utils._rebuild"),
    "other object": (pt([1, 2]), "no dictionary of weights"),
    "empty dictionary": (pt(OrderedDict([("a", 1)])), "no dictionary of weights"),
    "bare pickle": (pickle.dumps({}), "a pickle, which could run anything"),
    "unknown storage": (edited_pt((b"FloatStorage", b"QuantStorage")), "torch.QuantStorage"),
    "tensor beyond its storage": (edited_pt((b"K\x10K\x03\x86", b"K\x10K\x04\x86")), "damaged"),
    "cut pt": ((FOLDER / "torch_lstm.pt").read_bytes()[:-40], "truncated or damaged"),
    "empty": (b"", "it is empty"),
    "noise": (bytes(range(1, 200)), "nor of PyTorch, Keras or ONNX"),
    "other archive": (keras(drop=("config.json",)), "of neither PyTorch nor Keras"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "truncated or damaged"),
    "no readout": (state(), "give --readout last or --readout mean"),
    "readout of a Keras model": (keras(), "leave out --readout mean", "--readout", "mean"),
    "cut safetensors": (state()[:-9], "truncated or damaged", *READOUT),
    "NaN": (state(rnn__weight_ih_l0=nan_weights()), "weight_ih_l0 holds NaN", *READOUT),
    "integers": (state(fc__bias=np.zeros(2, np.int32)), "fc.bias holds int32", *READOUT),
    "no recurrent weights": (save({"fc.weight": zeros(2, 4)}), "no weights of an LSTM", *READOUT),
    "plain RNN": (state("rnn"), "give --nonlinearity tanh or --nonlinearity relu", *READOUT),
    "RNN of relu": (state("rnn"), "give --ceiling X, up to 8", *READOUT, *RELU),
    "ceiling": (state("rnn"), "leave out --ceiling", *READOUT, *TANH, "--ceiling", "4"),
    "nonlinearity of an LSTM": (state(), "leave out --nonlinearity", *READOUT, *RELU),
    "two gates": (state(rnn__weight_hh_l0=zeros(8, 4)), "neither an LSTM's (4H, H)", *READOUT),
    "rows": (state(rnn__bias_hh_l0=zeros(15)), "which make no layer of 4 gates", *READOUT),
    "missing": (state(rnn__weight_hh_l0=None), "weight_hh_l0 is missing", *READOUT),
    "bias missing": (state(rnn__bias_hh_l0=None), "bias_hh_l0 is missing", *READOUT),
    "half of a direction": (
        state(rnn__weight_ih_l0_reverse=zeros(16, 3)),
        "tensor rnn.weight_hh_l0_reverse is missing",
        *READOUT,
    ),
    "projection": (state(rnn__weight_hr_l0=zeros(2, 4)), "with a projection of fewer", *READOUT),
    "no head": (state(fc__weight=None, fc__bias=None), "no dense layer that reads", *READOUT),
    "two heads": (state(aux__weight=zeros(5, 4)), "name it with --head, or say what", *READOUT),
    "unknown head": (state(), "no dense layer named 'out'", *READOUT, "--head", "out"),
    "more layers": (state(fc2__weight=zeros(2, 2)), "layers are with --describe", *READOUT),
    "head's bias": (state(fc__bias=zeros(3)), "classifier fc has weights of shape", *READOUT),
    "several modules": (
        state(top__weight_ih_l0=zeros(16, 4), top__weight_hh_l0=zeros(16, 4)),
        "--recurrent rnn,top",
        *READOUT,
    ),
    "unknown module": (state(), "no recurrent module is named 'x'", *READOUT, "--recurrent", "x"),
    "stack that does not fit": (
        state(rnn__weight_ih_l1=zeros(16, 5), rnn__weight_hh_l1=zeros(16, 4)),
        "reads 5 numbers, the one below it has 4 cells",
        *READOUT,
    ),
    "preprocessing": (state(), "give --data with windows", *READOUT),
    "clipped GRU": (state("gru"), "leave out --clip-c", *READOUT, "--clip-c", "1"),
    "no ONNX LSTM": (
        onnx_model(change=lambda g: g.node.remove(recurrent(g))),
        "no LSTM, GRU or RNN",
    ),
    "bidirectional": (
        onnx_model(change=attribute(direction="bidirectional")),
        "input 1 of its node LSTM h is no tensor of its directions",
    ),
    "clip": (onnx_model(change=attribute(clip=3.0)), "clips the sums before its sigmoid"),
    "activations": (
        onnx_model(change=attribute(activations=["Elu", "Tanh", "Tanh"])),
        "the activation Elu: train it with Sigmoid, Tanh, HardSigmoid, Relu or Affine",
    ),
    "activations without a limit": (
        onnx_model(change=attribute(activations=["Sigmoid", "Tanh", "Relu"])),
        "the activation relu, which has no limit, as hardware must: give --ceiling",
    ),
    "two activations of three": (
        onnx_model(change=attribute(activations=["Sigmoid", "Tanh"])),
        "names 2 activations, expected 3",
    ),
    "coupled gates of tanh": (
        onnx_model(change=attribute(input_forget=1, activations=["Tanh"] * 3)),
        "a gate of tanh beside 1 less that gate",
    ),
    "coupled gates with peepholes": (onnx_model(change=seen), "train it with either alone"),
    "peepholes that do not fit": (onnx_model(change=misfit), "have the shape (11,)"),
    "ONNX nonlinearity": (onnx_model(), "leave out --nonlinearity", *RELU),
    "ONNX ceiling": (onnx_model(), "leave out --ceiling", "--ceiling", "2"),
    "lengths": (
        onnx_model(change=lambda g: recurrent(g).input.append("lengths")),
        "lengths of sequences",
    ),
    "starts elsewhere": (onnx_model(change=started), "computes something else"),
    "another input": (onnx_model(change=other_input), "it reads x, h0"),
    "external": (onnx_model(change=external), "outside the folder of the model"),
    "unknown node": (onnx_model(change=swap("Squeeze", "If")), "its node If s chooses"),
    "relu above": (
        onnx_model(change=swap("Softmax", "Relu")),
        "MatMul m has the activation 'relu': the classifier is to end in linear, softmax or",
    ),
    "no bias": (onnx_model(change=swap("Add", "Concat")), "computes something else"),
    "no dense node": (onnx_model(change=swap("MatMul", "Gather")), "no dense layer"),
    "ONNX shapes": (onnx_model(change=set_tensor("W", zeros(1, 15, 3))), "no layer of 4 gates"),
    "ONNX biases": (onnx_model(change=set_tensor("B", zeros(1, 31))), "no layer of 4 gates"),
    "ONNX NaN": (onnx_model(change=set_tensor("R", zeros(1, 16, 4) * np.nan)), "R holds NaN"),
    "ONNX scales": (onnx_model(change=set_tensor("squeezed", zeros(1))), "something else"),
    "ONNX alpha": (onnx_model("torch_gru.onnx", wrong_alpha), "truncated or damaged"),
    "ONNX steps": (onnx_model(change=huge), "too large to try"),
    "stateful": (keras(change=with_setting(3, stateful=True)), "stateful=True"),
    "time major": (keras(change=with_setting(1, time_major=True)), "time_major=True"),
    "keras head by name": (keras(), "leave out --head", "--head", "dense"),
    "keras part": (keras(), "leave out --from and --to", "--from", "a", "--to", "b"),
    "state part": (state(), "leave out --to", *READOUT, "--to", "fc"),
    "ONNX modules": (onnx_model(), "leave out --recurrent", "--recurrent", "rnn"),
    "ONNX head": (onnx_model(), "no classifier named 'out': there is p", "--head", "out"),
    "ONNX clip of 0": (onnx_model(change=attribute(clip=0.0)), "clips its sums at 0"),
    "cut keras": (keras()[:-100], "truncated or damaged"),
    "no keras weights": (keras(drop=("model.weights.h5",)), "of neither PyTorch nor Keras"),
    "unknown layer": (keras(change=of_class(2, "MaxPooling1D")), "MaxPooling1D cannot"),
    "custom layer": (keras(change=custom), "my_package.LSTM cannot"),
    "keras bidirectional": (keras(change=of_class(1, "Bidirectional")), "Bidirectional cannot"),
    "frames of no size": (
        frames(change=with_setting(0, batch_shape=[None, None, None, 4, 3])),
        "time_distributed reads frames whose size the file does not say",
    ),
    "the last frame alone": (
        frames(change=with_setting(5, return_sequences=False)),
        "conv_lstm2d_1 gives its last frame alone, where ours give all of them",
    ),
    "frames that shrink": (
        frames(change=with_setting(4, padding="valid")),
        "padding='valid', strides=[1, 1], dilation_rate=[1, 1]: train it with padding 'same'",
    ),
    "pixels left out": (frames(change=with_setting(4, strides=[2, 2])), "strides=[2, 2]"),
    "frames backwards": (frames(change=with_setting(4, go_backwards=True)), "go_backwards=True"),
    "channels first": (
        frames(change=with_setting(4, data_format="channels_first")),
        "data_format='channels_first': train it with 'channels_last'",
    ),
    "normalised rows": (movies(change=with_setting(2, axis=[2])), "along axis [2]: take the last"),
    "normalised columns": (frames(change=with_inner(2, axis=[2])), "along axis [3]: take the last"),
    "shifted frames": (movies(change=swapped(1, 2)), "which puts zeros around frames"),
    "frames of the mean": (movies(change=swapped(1, 3)), "GlobalAveragePooling3D cannot stand"),
    "frames without a top": (frames(change=without(6)), "no dense layer that reads the 2 cells"),
    "sums of directions": (
        keras("stack_directions.keras", change=with_setting(1, merge_mode="sum")),
        "merge_mode='sum': train it with 'concat'",
    ),
    "subclassed": (keras(change=lambda c: c.update(class_name="MyModel")), "is of class MyModel"),
    "no keras LSTM": (
        keras(change=lambda c: c["config"].update(layers=[])),
        "no LSTM, GRU, SimpleRNN or ConvLSTM2D",
    ),
    "keras activation": (keras(change=with_setting(1, activation="elu")), "activation='elu'"),
    "keras relu": (
        keras(change=with_setting(1, activation="relu")),
        "lstm has the activation relu",
    ),
    "keras linear": (keras(change=with_setting(1, activation="linear")), "give --ceiling X"),
    "leaky ReLU": (keras(change=with_setting(1, activation=LEAKY)), "negative_slope=0.5"),
    "relu of 20": (keras(change=with_setting(1, activation=TALL)), "does not rise between limits"),
    "hard_sigmoid of no version": (
        keras(change=with_setting(1, recurrent_activation="hard_sigmoid"), drop=["metadata.json"]),
        "0.2 x + 0.5 in Keras 2 and x / 6 + 0.5 in Keras 3, and the file does not say",
    ),
    "keras nonlinearity": (keras(), "leave out --nonlinearity", *RELU),
    "keras ceiling": (keras(), "leave out --ceiling", "--ceiling", "2"),
    "backwards": (keras(change=with_setting(1, go_backwards=True)), "go_backwards=True"),
    "keras head": (keras(change=with_setting(4, activation="relu")), "the classifier is to end"),
    "no keras head": (keras(change=without(4)), "no dense layer that reads"),
    "keras stack": (keras(change=without(1)), "wd has shape (2, 5)"),
    "keras weights": (keras(change=of_class(1, "GRU")), "lstm lacks weights"),
    "keras biases": (keras(change=with_setting(1, use_bias=False)), "lstm lacks weights"),
    "no chain": (keras("functional_lstm.keras", change=without(1)), "the one before it alone"),
    "damaged keras config": (keras(change=lambda c: c.update(config=3)), "damaged"),
    "pooling": (
        keras("functional_gru.keras", change=with_setting(2, data_format="channels_first")),
        "channels_first",
    ),
}


@pytest.fixture(autouse=True)
def no_shared_data(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("MUBINN_SHARED", str(tmp_path_factory.mktemp("shared")))


def fault(folder, *args):
    """Run quantize, demand a fault and no output, and return its sentence."""
    before = sorted(folder.rglob("*"))
    made = folder / "made.mubinn"
    result = CliRunner().invoke(mubinn, ["quantize", *args, "--levels", "2,2", "-o", str(made)])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("mubinn: ")
    assert lines[0].endswith(".")
    assert sorted(folder.rglob("*")) == before
    return lines[0]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_sentence(tmp_path, name):
    data, words, *options = FAULTS[name]
    path = tmp_path / "model"
    path.write_bytes(data)
    sentence = fault(tmp_path, str(path), *options)
    assert words in sentence
    assert str(path) in sentence


@pytest.mark.parametrize("name", RECORDER["MAKERS"])
def test_a_file_cut_or_altered_anywhere_is_a_fault_or_a_model(tmp_path, name):
    whole = (FOLDER / name).read_bytes()
    path = tmp_path / "model"
    rng = np.random.default_rng(0)
    for length in rng.integers(1, len(whole), 6):
        path.write_bytes(whole[:length])
        fault(tmp_path, str(path), *READOUT)
    for place in rng.integers(0, len(whole), 6):
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        with contextlib.suppress(MubinnError):
            import_model(path, ImportOptions(readout="last"))


def test_options_of_imported_models_do_not_fit_ours(tmp_path, random_float):
    from mubinn.golden.model.model_file import save_model

    path = tmp_path / "ours.safetensors"
    save_model(path, random_float())
    assert "leave out --readout" in fault(tmp_path, str(path), *READOUT)
    assert "leave out --head and --to" in fault(tmp_path, str(path), "--head", "a", "--to", "b")
    assert "leave out --normalise" in fault(tmp_path, str(path), "--decimate", "2")


@pytest.mark.parametrize(("module", "name"), [("onnx", "node_lstm.onnx"), ("h5py", "s.keras")])
def test_an_absent_extra_is_named(tmp_path, monkeypatch, module, name):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    path = FOLDER / (name if module == "onnx" else "sequential_lstm.keras")
    extra = {"onnx": "onnx", "h5py": "keras"}[module]
    assert f"pip install 'mubinn[{extra}]'" in fault(tmp_path, str(path))
