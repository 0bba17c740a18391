"""``mubinn import``: float models of other programs, to train on."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.golden.importers.any_file import import_model
from mubinn.golden.model import reference
from mubinn.golden.model.model_file import load_float, load_model
from mubinn.train.recipes.stack import LayerForm, parse_layers

FOLDER = Path(__file__).parents[1] / "importers/data/frameworks"
FILES = sorted([*FOLDER.glob("*.keras"), *FOLDER.glob("*.onnx")])
PREPARED = "--normalise", "none", "--decimate", "1"


def run(*arguments, status=0):
    result = CliRunner().invoke(mubinn, [*map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_file_has_the_model(path, tmp_path):
    out = tmp_path / "made.safetensors"
    told = json.loads(run("import", path, *PREPARED, "-o", out, "--json").stdout)
    made, own = load_float(out), import_model(path)
    assert made.meta == own.meta
    assert told.get("outputs") == made.meta.get("outputs")
    assert (made.readout, made.head) == (own.readout, own.head) == (told["readout"], told["head"])
    x = np.random.default_rng(0).normal(0, 1, (2, own.least_steps + 23, own.features))
    x = x[:, : len(x[0]) // own.least_steps * own.least_steps]
    assert reference.logits(made, x) == pytest.approx(reference.logits(own, x), rel=1e-4, abs=1e-5)
    assert told["trains"] == ("_ramp" not in told["layers"])
    if told["trains"]:
        assert parse_layers(told["layers"]) == tuple(LayerForm.of(layer) for layer in own.layers)


@pytest.fixture
def data(tmp_path):
    """Windows of 3 channels, of two classes."""
    path, rng = tmp_path / "x.npz", np.random.default_rng(0)
    x = rng.normal(0, 1, (60, 12, 3)).astype(np.float32)
    np.savez(path, X=x, y=np.arange(60) % 2)
    return path


def test_training_goes_on_from_it(tmp_path, data):
    out, model = tmp_path / "made.safetensors", tmp_path / "made.mubinn"
    text = run("import", FOLDER / "functional_lstm.keras", *PREPARED, "-o", out).stdout
    assert text == f"{out}: --layers 'lstm 4' --readout last --head sigmoid\n"
    said = ["--layers", "lstm 4", "--readout", "last", "--head", "sigmoid"]
    about = ["--method", "mubinn2", "--levels", "3,3", "--batch", "10", "--epochs", "1"]
    hardly = ["--learning-rate", "1e-9", "--scale-rate", "1e-9"]
    command = ["train", data, *PREPARED, *said, *about, *hardly, "--float-model", out]
    run(*command, "-o", model)
    # Training that moves nothing: what is binarized are the weights of the file.
    (layer,), (floats,) = load_model(model).layers, load_float(out).layers
    for name in ("wx", "wh"):
        made, own = getattr(layer, name).values, getattr(floats, name)
        assert np.corrcoef(made.ravel(), own.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "does not say how its input is prepared: give --normalise none --decimate 1"),
        (("--normalise", "none"), "does not say how its input is prepared"),
        ((*PREPARED, "--readout", "mean"), "leave out --readout mean"),
    ],
)
def test_what_is_not_said_is_asked_about(arguments, words, tmp_path):
    out = tmp_path / "made.safetensors"
    file = FOLDER / "sequential_lstm.keras"
    assert words in run("import", file, *arguments, "-o", out, status=2).stderr
    assert not out.exists()


def test_a_model_of_ours_is_refused(tmp_path):
    out = tmp_path / "made.safetensors"
    run("import", FOLDER / "sequential_lstm.keras", *PREPARED, "-o", out)
    text = run("import", out, *PREPARED, "-o", tmp_path / "again.safetensors", status=2).stderr
    assert "is a model of this program already: use it as it is." in text


def test_activations_that_training_does_not_have_are_told_of(tmp_path, data):
    out = tmp_path / "made.safetensors"
    text = run("import", FOLDER / "functional_lstm_hard.keras", *PREPARED, "-o", out).stdout
    assert "lstm_ramp 4, have activations that training does not have; mubinn quantize" in text
    run("quantize", out, "--levels", "2,2", "--data", data, "-o", tmp_path / "made.mubinn")


def test_training_says_what_to_do_with_a_model_of_another_program(tmp_path):
    file = FOLDER / "sequential_lstm.keras"
    out = tmp_path / "x.mubinn"
    about = "--method", "mubinn2", "--levels", "2,2", "--float-model", file, "-o", out
    assert "or `mubinn import` for a float one." in run("train", *about, status=2).stderr
