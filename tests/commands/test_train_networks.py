"""`mubinn train` of networks of one's own: layers, heads, readouts, encoders."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.commands import train_runs
from mubinn.cli.main import mubinn
from mubinn.golden.cells.frames import Frames
from mubinn.golden.model.model_file import load_float, load_model
from mubinn.train.recipes.stack import parse_layers
from mubinn.train.recipes.tuned import tuned

STACK = "conv 4x3/2 causal, gru 3"


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
    assert [(layer.cell.name, layer.hidden) for layer in model.layers] == [("dense", 4), ("gru", 3)]
    assert model.layers[0].frames == Frames(3, 2, 2)
    assert json.loads(model.meta["recipe"])["layers"] == ["conv 4x3/2 causal", "gru 3"]
    binarized = ("--method", "mubinn2", "--levels", "2,2", "--float-model", start)
    said = run("train", windows, "--layers", STACK, *binarized, *SHORT, "-o", made, "--json")
    assert json.loads(said)["agreement"] == 1
    assert load_model(made).layers[0].frames == Frames(3, 2, 2)
    run("info", made)
    run("quantize", start, "--levels", "2,2", "--data", windows, "-o", tmp_path / "b.mubinn")
    run("predict", made, windows)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--layers", "gru"), "'gru' is no layer"),
        (("--layers", STACK, "--cell", "gru"), "leave --cell out"),
        (("--layers", STACK, "--hidden", 4), "leave --hidden out"),
    ],
)
def test_what_layers_do_not_take(windows, tmp_path, options, words):
    assert words in " ".join(
        run("train", windows, *options, "-o", tmp_path / "a.safetensors", status=2).split()
    )


def test_layers_reach_the_recipes(windows, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(train_runs, "single", lambda _, *recipes, **__: seen.extend(recipes[:2]))
    options = "--method", "mubinn2", "--levels", "1,1", "--layers", STACK
    run("train", windows, *options, "-o", tmp_path / "a.mubinn")
    assert [recipe.layers for recipe in seen] == [parse_layers(STACK)] * 2
    assert seen[1] == tuned("float", layers=parse_layers(STACK))
    assert seen[0].method.h_offset == "none"
