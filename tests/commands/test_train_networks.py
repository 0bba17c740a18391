"""`mubinn train` of networks of one's own: layers, heads, readouts, encoders."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.commands import train_runs
from mubinn.cli.main import mubinn
from mubinn.golden.binarize.rules import parse_encoders
from mubinn.golden.cells.frames import Frames
from mubinn.golden.model.model_file import load_float, load_model
from mubinn.train.recipes.stack import parse_layers
from mubinn.train.recipes.tuned import tuned

STACK = "conv 4x3/2 causal relu, both gru 3"


def run(*args, status=0):
    result = CliRunner().invoke(mubinn, [str(arg) for arg in args])
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture
def windows(tmp_path):
    """A file of 60 windows of two classes, which differ in their first channel."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = rng.normal(0, 1, (60, 12, 3)).astype(np.float32)
    x[:, :, 0] += 2 * y[:, None] - 1
    path = tmp_path / "windows.npz"
    np.savez(path, X=x, y=y)
    return path


SHORT = ("--epochs", 2, "--batch", 8, "--decimate", 1, "--normalise", "none")


def test_layers_train_to_models_that_other_commands_take(windows, tmp_path):
    start, made = tmp_path / "a.safetensors", tmp_path / "a.mubinn"
    run("train", windows, "--layers", STACK, *SHORT, "-o", start)
    model = load_float(start)
    assert [layer.hidden for layer in model.layers] == [4, 3, 3]
    assert model.layers[0].frames == Frames(3, 2, 2)
    assert json.loads(model.meta["recipe"])["layers"] == STACK.split(", ")
    binarized = ("--method", "mubinn2", "--levels", "2,2", "--float-model", start)
    said = run("train", windows, "--layers", STACK, *binarized, *SHORT, "-o", made, "--json")
    assert json.loads(said)["agreement"] == 1
    assert load_model(made).layers[0].frames == Frames(3, 2, 2)
    told = json.loads(run("info", made, "--json"))["layers"]
    assert told[2]["place"] == "backward, beside the layer before it"
    run("quantize", start, "--levels", "2,2", "--data", windows, "-o", tmp_path / "b.mubinn")
    run("predict", made, windows)


def test_normalised_rows_train_to_models_like_others(windows, tmp_path):
    start, made = tmp_path / "a.safetensors", tmp_path / "a.mubinn"
    layers = "lstm 4, gru 3"
    run("train", windows, "--layers", layers, "--batch-norm", *SHORT, "-o", start)
    assert json.loads(load_float(start).meta["recipe"])["method"]["batch_norm"]
    binarized = ("--method", "mubinn2", "--levels", "1,1", "--batch-norm", "--float-model", start)
    said = run("train", windows, "--layers", layers, *binarized, *SHORT, "-o", made, "--json")
    assert json.loads(said)["agreement"] == 1
    assert [len(layer.wx.scales) for layer in load_model(made).layers] == [16, 12]
    more = ("--batch-norm", "--cell", "gru_before", *SHORT, "-o", made)
    assert "leave --batch-norm out" in run("train", windows, *more, status=2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--layers", "gru"), "'gru' is no layer"),
        (("--layers", STACK, "--cell", "gru"), "leave --cell out"),
        (("--layers", STACK, "--hidden", 4), "leave --hidden out"),
        (("--layers", STACK, "--c-clip", 1), "have no state to clip as c of an LSTM"),
    ],
)
def test_what_layers_do_not_take(windows, tmp_path, options, words):
    assert words in " ".join(
        run("train", windows, *options, "-o", tmp_path / "a.safetensors", status=2).split()
    )


@pytest.fixture
def numbers(tmp_path):
    """A file of 60 windows, each with the mean of two of its channels."""
    x = np.random.default_rng(0).normal(0, 0.2, (60, 12, 3)).astype(np.float32)
    x += np.linspace(-1, 1, 60, dtype=np.float32)[:, None, None]
    path = tmp_path / "numbers.npz"
    np.savez(path, X=x, y=x.mean(axis=1)[:, :2], fold=np.arange(60) % 2)
    return path


def test_a_regression_tells_errors_and_no_accuracy(numbers, tmp_path):
    start, made = tmp_path / "a.safetensors", tmp_path / "a.mubinn"
    small = *SHORT, "--hidden", 4, "--head", "regression"
    said = run("train", numbers, *small, "--curve", tmp_path / "a.svg", "-o", start)
    assert re.search(r"R\^2 -?\d\.\d{4} on the windows of fold 0 \(float\), after 2 epochs", said)
    assert re.search(r"Of the 30: mean absolute error [\d.]+, R\^2 ", said)
    binarized = *small, "--method", "mubinn2", "--levels", "3,3", "--float-model", start
    found = json.loads(run("train", numbers, *binarized, "-o", made, "--json"))
    assert set(found["measured"]) == {"windows", "r2", "mean_absolute_error"}
    assert found["agreement"] == 1
    assert "accuracy" not in str(found)
    model = load_model(made)
    assert (model.head, model.outputs) == ("regression", 2)
    assert model.meta["float_r2"] == load_float(start).meta["test_r2"]
    assert "accuracy" not in str(model.meta)
    run("info", made)
    run("predict", made, numbers)


def test_one_sigmoid_at_every_step(windows, tmp_path):
    path = tmp_path / "a.safetensors"
    options = *SHORT, "--hidden", 3, "--head", "sigmoid", "--readout", "running"
    said = run("train", windows, *options, "-o", path)
    assert "% of the windows of fold 0 right (float)" in said
    assert "whatever the input" not in said
    model = load_float(path)
    assert (model.head, model.outputs, model.readout) == ("sigmoid", 1, "running")
    run("predict", path, windows)


def test_a_network_that_tells_nothing_apart_is_told(windows, tmp_path):
    with np.load(windows) as held:
        np.savez(windows, X=np.zeros_like(held["X"]), y=held["y"])
    said = run("train", windows, *SHORT, "--hidden", 3, "-o", tmp_path / "a.safetensors")
    assert re.search(r"mubinn: all \d+ decisions are '[01]', whatever the input: the network", said)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"y": np.array(["a", "b"] * 30)}, "a regression is of numbers: store y as some"),
        ({"y": np.arange(60), "classes": np.array(["a"])}, "leave classes out of the file"),
        ({"y": np.ones((60, 2, 2))}, "a regression needs [windows] or [windows, numbers]"),
        ({"y": np.full(60, np.nan)}, "labels that are NaN, infinite or beyond 1e+09"),
    ],
)
def test_what_a_regression_does_not_take(tmp_path, fields, words):
    path = tmp_path / "odd.npz"
    np.savez(path, X=np.zeros((60, 12, 3), np.float32), **fields)
    options = "--head", "regression", "-o", tmp_path / "a.safetensors"
    assert words in " ".join(run("train", path, *options, status=2).split())


def test_a_regression_is_of_files_of_windows_and_of_one_run(numbers, tmp_path, monkeypatch):
    monkeypatch.setenv("MUBINN_SHARED", str(tmp_path))
    options = "train", "--head", "regression"
    said = run(*options, "-o", tmp_path / "a.safetensors", status=2)
    assert "windows that are labelled with numbers" in said
    said = run(*options, numbers, "--runs", tmp_path / "runs", status=2)
    assert "train one run with -o FILE" in said


def test_encoders_reach_the_recipe(windows, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(train_runs, "single", lambda _, *recipes, **__: seen.extend(recipes[:2]))
    encoders = "--encoder", "w=tc", "--encoder", "h=qc:0.674"
    binarized = "--method", "mubinn2", "--levels", "2,2", *encoders
    run("train", windows, *binarized, "--thresholds", "learned", "-o", tmp_path / "a.mubinn")
    binary, start = seen
    assert dict(binary.method.encoders) == parse_encoders(["w=tc", "h=qc:0.674"])
    assert binary.method.thresholds == "learned"
    assert start.method.encoders == ()
    for options, words in (
        (encoders, "--encoder is of binarized training: leave it out, or name mubinn2"),
        (("--method", "mubinn2", "--levels", "3,3", *encoders), "w is to have 3: give w 2"),
        (("--method", "mubinn2", "--levels", "2,2", "--encoder", "b=tc"), "unknown tensor 'b'"),
    ):
        said = run("train", windows, *options, "-o", tmp_path / "a.mubinn", status=2)
        assert words in " ".join(said.split())


def test_clips_reach_the_recipes(windows, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(train_runs, "single", lambda _, *recipes, **__: seen.extend(recipes[:2]))
    options = "--method", "mubinn2", "--levels", "3,3"
    for said in ((), ("--c-clip", 0.5), ("--c-clip", 0)):
        run("train", windows, *options, *said, "-o", tmp_path / "a.mubinn")
    assert [recipe.c_clip for recipe in seen] == [None, None, 0.5, 0.5, 0, 0]


def test_layers_reach_the_recipes(windows, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(train_runs, "single", lambda _, *recipes, **__: seen.extend(recipes[:2]))
    options = "--method", "mubinn2", "--levels", "1,1", "--layers", STACK
    run("train", windows, *options, "-o", tmp_path / "a.mubinn")
    assert [recipe.layers for recipe in seen] == [parse_layers(STACK)] * 2
    assert seen[1] == tuned("float", layers=parse_layers(STACK))
    assert seen[0].method.h_offset == "none"


def test_files_that_decide_otherwise_than_was_measured_are_told_of(windows, tmp_path):
    """Of signs of x and h, which no float model takes; binarized weights are in the file."""
    start, made = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    small = "--hidden", 4, *SHORT
    assert "before" not in run("train", windows, *small, "-o", start)
    for method, told in (("xnor", True), ("weights", False)):
        binarized = "--method", method, "--levels", "1,1", "--float-model", start
        said = run("train", windows, *small, *binarized, "-o", made)
        assert (f"weights as they were before {method} binarized them" in said) == told
        assert len(np.unique(np.abs(load_float(made).layers[0].wx))) == (12 * 4 if told else 1)
