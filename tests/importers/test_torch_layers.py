"""State dictionaries whose layers a description names, against the outputs of PyTorch."""

import warnings
from pathlib import Path

import described as described_models
import numpy as np
import pytest
from click.testing import CliRunner
from described import MODELS, state, windows
from safetensors.numpy import save_file
from torch_files import archive

from mubinn.cli.main import mubinn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.any_file import import_model
from mubinn.golden.importers.parts import ImportOptions
from mubinn.golden.model import reference

FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH = MODELS
RECORDED = {
    FIRST: [0.2947556, -0.1104254, 0.3026091, -0.096737],
    SECOND: [0.2107463, 0.3324722],
    THIRD: [
        *(0.5416704, -0.2758497, 0.4384188, -0.2252683, 0.4868543, -0.1796301, 0.3850245),
        *(-0.1683731, 0.4754828, -0.162756, 0.3797385, -0.1535495, 0.4411843, -0.1330378),
        *(0.5472019, -0.285498, 0.4642757, -0.2594174, 0.5257562, -0.2151896, 0.4017256),
        *(-0.2174603, 0.5470326, -0.1873472, 0.3554576, -0.1804321, 0.5106775, -0.1557401),
    ],
    FOURTH: [0.5728283, 0.5781367, 0.3720959, 0.5728517, 0.5683845, 0.3744499],
    FIFTH: [-0.6123482, 0.0578981, -0.6043684, 0.0945393],
    SIXTH: [0.4220055, -0.5326144, 0.422469, -0.5317435],
}
"""What PyTorch 2.13 gives, as described.py prints it."""

FOUND = {
    FIRST: "dense_ramp_lstm last classes",
    SECOND: "dense_gru mean sigmoid",
    THIRD: "dense_ramp_rnn_ramp_rnn every regression",
    FOURTH: "dense_sigmoid_lstm_dense_ramp last classes",
    FIFTH: "gru_lstm last classes",
    SIXTH: "lstm_projected mean classes",
}


def written(folder, text, tensors):
    """A state dictionary and its description; return the paths of both."""
    path, described = folder / "m.safetensors", folder / "m.toml"
    save_file(tensors, path)
    described.write_text(text)
    return path, described


def read(folder, text, tensors, **options):
    path, described = written(folder, text, tensors)
    return import_model(path, ImportOptions(describe=described, **options))


def ceiling(name):
    return {"ceiling": 8.0} if name == THIRD else {}


def check(model, name, y):
    scores = reference.logits(model, windows(name).astype(np.float64))
    y = np.reshape(y, scores.shape)
    got = 1 / (1 + np.exp(-scores)) if model.head == "sigmoid" else scores
    np.testing.assert_allclose(got, y, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_described_models_give_what_pytorch_gives(tmp_path, name):
    tensors = state(name) | {"norm.num_batches_tracked": np.array(7)}
    model = read(tmp_path, MODELS[name], tensors, **ceiling(name))
    assert f"{model.cell} {model.readout} {model.head}" == FOUND[name]
    assert set(model.meta) == {"imported_from"} | ({"last"} if name == FIFTH else set())
    check(model, name, RECORDED[name])


@pytest.mark.interop
@pytest.mark.parametrize("name", MODELS)
def test_live_models_give_what_pytorch_gives(tmp_path, name):
    path, described = written(tmp_path, MODELS[name], state(name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oneDNN has no projections
        y = described_models.run(name, path)
    options = ImportOptions(describe=described, **ceiling(name))
    check(import_model(path, options), name, y)
    np.testing.assert_allclose(y.ravel(), RECORDED[name], rtol=1e-5, atol=1e-6)


@pytest.mark.interop
@pytest.mark.parametrize("form", ["opset 9", "opset 17", "exported"])
@pytest.mark.parametrize("name", MODELS)
def test_live_graphs_give_what_pytorch_gives(tmp_path, name, form):
    if name == THIRD and form == "exported":
        pytest.skip("PyTorch's exporter unrolls an RNN of relu")
    if name == SIXTH:
        pytest.skip("ONNX has no LSTM with a projection")
    path = tmp_path / "m.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the frameworks' own
        described_models.export(name, path, None if form == "exported" else int(form.split()[1]))
    outputs = {"outputs": "regression"} if name == THIRD else {}
    model = import_model(path, ImportOptions(**ceiling(name), **outputs))
    assert f"{model.cell} {model.readout} {model.head}" == FOUND[name]
    check(model, name, RECORDED[name])


def test_a_checkpoint_may_hold_the_dictionary(tmp_path):
    described = tmp_path / "m.toml"
    described.write_text(MODELS[FOURTH])
    path = tmp_path / "m.pt"
    path.write_bytes(archive({"epoch": 3, "net": state(FOURTH)}))
    check(import_model(path, ImportOptions(describe=described)), FOURTH, RECORDED[FOURTH])


CHANGED = {
    "no TOML": (FIRST, "[[layer]]", "[[layer", "is no TOML: "),
    "another table": (FIRST, "[[layer]]", "[[layers]]", "has 'layers', which is not known"),
    "no layers": (FIRST, None, "layer = []", "has no layers: give [[layer]] entries"),
    "no names": (FIRST, None, "unused = 3\n[[layer]]", "has no names in unused"),
    "another kind": (FIRST, '"lstm"', '"lstm2"', "the kind 'lstm2': give lstm, gru, rnn"),
    "no prefix": (FIRST, 'prefix = "rnn"', "", "layer 3 of its description says no prefix"),
    "another setting": (FIRST, "stride", "strides", "has 'strides', which such a layer has not"),
    "no stride": (FIRST, "stride = 2", "", "does not say its stride: give a number from 1 on"),
    "stride 0": (FIRST, "stride = 2", "stride = 0", "stride = 0: give a number from 1 on"),
    "dilation": (FOURTH, "dilation = 1", "dilation = 2", "dilation = 2: give 1"),
    "padding": (FIRST, '"valid"', '"same"', 'padding = \'same\': give "valid" or "causal"'),
    "no eps": (FIRST, "eps = 1e-3", "", "does not say its eps: give a positive number"),
    "no activation": (
        THIRD,
        'activation = "relu"',
        "",
        "2 (linear '0') of its description does not say its activation: give ",
    ),
    "no nonlinearity": (THIRD, 'nonlinearity = "tanh"', "", "does not say its nonlinearity"),
    "nonlinearity of an LSTM": (
        FIRST,
        'prefix = "rnn"',
        'prefix = "rnn"\nnonlinearity = "tanh"',
        "has 'nonlinearity', which such a layer has not: give its kind and prefix alone",
    ),
    "no head": (FIRST, 'head = "classes"', 'activation = "none"', "layer of its description has"),
    "no linear layer": (FIRST, '[[layer]]\n        kind = "linear"', "[x]", "has 'x', which"),
    "a head that does not fit": (FIRST, '"classes"', '"sigmoid"', "a sigmoid head has 1 output"),
    "another gate count": (FIRST, '"lstm"', '"gru"', "4 gates of 4 cells, where its descr"),
    "another prefix": (
        FIRST,
        'prefix = "fc"',
        'prefix = "head"',
        "the tensor head.weight, which its layer 4 (linear 'head') reads, is missing: there is fc",
    ),
    "no module": (FIRST, '"rnn"', '"lstm"', "tensor lstm.weight_ih_l0, which its layer 3"),
    "a layer less": (
        SECOND,
        '[[layer]]\n        kind = "batchnorm1d"\n        prefix = "norm"\n'
        '        eps = 1e-5\n        activation = "none"',
        "",
        "the tensor norm.running_mean belongs to no layer of its description",
    ),
    "another order": (
        FIRST,
        'kind = "lstm"\n        prefix = "rnn"',
        'kind = "lstm"\n        prefix = "rnn"\n        [[layer]]\n        kind = "linear"\n'
        '        prefix = "fc"\n        activation = "tanh"',
        "its layer 5 (linear 'fc') reads 4 numbers, and what stands below it gives 2",
    ),
    "convolution as dense layer": (
        FIRST,
        'kind = "linear"\n        prefix = "fc"',
        'kind = "linear"\n        prefix = "front.0"',
        "has weights of shape (5, 3, 3) and biases of shape (5,), expected 2 axes",
    ),
    "dense layer as normalisation": (
        FOURTH,
        'prefix = "norm"',
        'prefix = "fc1"',
        "the tensor fc1.running_mean, which its layer 5 (batchnorm1d 'fc1') reads, is missing",
    ),
    "nothing unused": (THIRD, '"spare"', '"spar"', "has 'spar' in unused, where no tensor is"),
    "not all unused": (THIRD, '["spare", "scale"]', '["spare"]', 'give unused = ["scale"]'),
    "activation of a cell": (
        SECOND,
        'kind = "gru"\n        prefix = "rnn"',
        'kind = "gru"\n        prefix = "rnn"\n        [[layer]]\n        kind = "batchnorm1d"\n'
        '        prefix = "norm"\n        eps = 1e-5\n        activation = "relu"',
        "its layer 4 (batchnorm1d 'norm') reads 4 numbers",
    ),
    "activation on an activation": (
        SECOND,
        'eps = 1e-5\n        activation = "none"',
        'eps = 1e-5\n        activation = "tanh"',
        "has an activation, and follows no linear or conv1d layer",
    ),
    "two heads": (
        FOURTH,
        'activation = "hardtanh"',
        'head = "classes"',
        "its layer 4 (linear 'fc2') follows the one with the head",
    ),
    "two readouts": (FOURTH, '"fc2"', '"fc2"\nreadout = "last"', "says a second readout"),
    "mean of two layers": (
        FOURTH,
        'readout = "last"',
        'readout = "mean"',
        "which reads the mean over the steps: give a model with one dense layer after the mean",
    ),
    "leaky mean of two layers": (
        FOURTH,
        'readout = "last"',
        'readout = "leaky"',
        "which reads the mean over the steps: give a model with one dense layer after the mean",
    ),
    "two layers on two ends": (
        FIFTH,
        'prefix = "fc"\n        readout = "last"\n        head = "classes"',
        'prefix = "fc"\n        readout = "last"\n        activation = "tanh"\n'
        '        [[layer]]\n        kind = "linear"\n        prefix = "fc"\n'
        '        head = "classes"',
        "its layer 6 (linear 'fc') reads 6 numbers",
    ),
    "a cell above the readout": (
        THIRD,
        'prefix = "0"',
        'prefix = "0"\nreadout = "last"',
        "its layer 3 (rnn '2') stands above the readout",
    ),
    "relu": (THIRD, "eps", "eps", "has the activation relu, which has no limit"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_a_description_gets_wrong_is_one_sentence(tmp_path, name):
    model, old, new, words = CHANGED[name]
    assert old is None or old in MODELS[model]
    text = new if old is None else MODELS[model].replace(old, new)
    more = {} if name == "relu" else ceiling(model)
    with pytest.raises(MubinnError) as refused:
        read(tmp_path, text, state(model), **more)
    assert words in str(refused.value)
    assert str(refused.value).count(". ") == 0


CHANGED_TENSORS = {
    "half of a direction": (
        "rnn.weight_ih_l0_reverse",
        (16, 5),
        "rnn.weight_hh_l0_reverse is miss",
    ),
    "projection": ("rnn.weight_hr_l0", (2, 4), "which make no layer with a projection of fewer"),
    "weight_norm": ("fc.weight_g", (2, 1), "its weight weight is computed from fc.weight_g"),
    "normalisation of others": ("front.1.running_var", (4,), "which are no batch normalisation"),
}


@pytest.mark.parametrize("name", CHANGED_TENSORS)
def test_tensors_that_do_not_fit_are_one_sentence(tmp_path, name):
    key, shape, words = CHANGED_TENSORS[name]
    tensors = state(FIRST) | {key: np.ones(shape, np.float32)}
    with pytest.raises(MubinnError, match=words):
        read(tmp_path, MODELS[FIRST], tensors)


def test_a_layer_between_two_ends_and_the_top_is_refused(tmp_path):
    """Of every step it would read the ends of the two directions at different steps."""
    layer = """
        [[layer]]
        kind = "linear"
        prefix = "more"
        activation = "tanh"
        readout = "last"
    """
    text = MODELS[FIFTH].replace('readout = "last"', "")
    start = text.rindex("[[layer]]")
    more = {"more.weight": np.ones((6, 6), np.float32)}
    words = "which reads two directions where each ends: give a model with one dense layer there"
    with pytest.raises(MubinnError, match=words):
        read(tmp_path, text[:start] + layer + text[start:], state(FIFTH) | more)


def test_where_two_directions_are_read_is_told(tmp_path):
    path, described = written(tmp_path, MODELS[FIFTH], state(FIFTH))
    command = ["quantize", str(path), "--levels", "1,1", "--normalise", "window", "--windows", "2"]
    command += ["--describe", str(described), "-o", str(tmp_path / "made")]
    result = CliRunner().invoke(mubinn, command)
    assert result.exit_code == 0, result.output
    assert "each direction is read where it ends, as h_n of PyTorch" in result.stdout
    told = MODELS[FIFTH].replace('"last"', '"mean"')
    assert "last" not in read(tmp_path, told, state(FIFTH)).meta


def test_what_the_description_says_is_not_said_again(tmp_path):
    for options, words in [
        ({"head": "fc"}, "leave out --head"),
        ({"outputs": "classes"}, "leave out --outputs"),
        ({"readout": "mean"}, "the model reads out 'last' by itself"),
        ({"ceiling": 2.0}, "leave out --ceiling"),
    ]:
        with pytest.raises(MubinnError, match=words):
            read(tmp_path, MODELS[FIRST], state(FIRST), **options)


def test_a_readout_that_it_does_not_say_is_asked_about(tmp_path):
    text = MODELS[FIRST].replace('readout = "last"', "")
    with pytest.raises(MubinnError, match="give --readout last or --readout mean, or every"):
        read(tmp_path, text, state(FIRST))
    model = read(tmp_path, text, state(FIRST), readout="running")
    assert model.readout == "running"


def test_the_command_line_takes_descriptions(tmp_path):
    path, described = written(tmp_path, MODELS[SECOND], state(SECOND))
    command = ["quantize", str(path), "--levels", "2,2", "--normalise", "window", "--windows", "4"]
    made = str(tmp_path / "made")
    for given, words in [
        (tmp_path / "none.toml", "none.toml"),
        (tmp_path, "cannot be imported"),
    ]:
        result = CliRunner().invoke(mubinn, [*command, "--describe", str(given), "-o", made])
        assert (result.exit_code, words in result.stderr) == (2, True), result.output
    result = CliRunner().invoke(mubinn, [*command, "--describe", str(described), "-o", made])
    assert result.exit_code == 0, result.output
    told = CliRunner().invoke(
        mubinn, [*command, "--describe", str(described), "-o", str(described)]
    )
    assert told.exit_code == 2
    assert "is what --describe names" in told.stderr


def test_other_files_have_no_description(tmp_path):
    folder = Path(__file__).parent / "data" / "frameworks"
    for name in ("node_lstm.onnx", "sequential_lstm.keras"):
        with pytest.raises(MubinnError, match="leave out --describe"):
            import_model(folder / name, ImportOptions(describe=tmp_path / "x.toml"))
