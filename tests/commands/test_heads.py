"""Heads and readouts on the command line: what is told of them, and what is refused."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.bit_true import run
from mubinn.golden.model.model_file import save_model
from mubinn.golden.model.reference import logits
from mubinn.golden.quantize import quantize
from mubinn.train.data.recordings import prepare

OUTPUTS = {"classes": 3, "sigmoid": 1, "regression": 2}
STEPS = 6


@pytest.fixture
def made(tmp_path, random_float, monkeypatch):
    """Return what writes a float and a quantized model, and windows of two classes."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(0, 1, (12, 2 * STEPS, 4)).astype(np.float32)
    np.savez("my.npz", X=x, y=np.arange(12) % 2, subject=np.arange(12) // 4)
    np.savez("plain.npz", X=x)
    np.save("x.npy", x)
    np.save("y.npy", np.arange(12) % 2)

    def write(head, readout="mean"):
        start = random_float(4, features=4, head=head, classes=OUTPUTS[head], readout=readout)
        model = quantize(start, Levels.of(2, 2), prepare(x).astype(float))
        save_model("a.safetensors", start)
        save_model("a.mubinn", model)
        return start, model, prepare(x)

    return write


def said(*arguments):
    result = CliRunner().invoke(mubinn, list(map(str, arguments)))
    assert result.exit_code == 0, (result.output, result.stderr, result.exception)
    return result


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def refused(*arguments):
    result = CliRunner().invoke(mubinn, list(map(str, arguments)))
    assert result.exit_code == 2 or isinstance(result.exception, MubinnError)
    return " ".join((result.stderr + str(result.exception)).split())


@pytest.mark.parametrize("readout", ["last", "mean"])
def test_a_sigmoid_has_a_probability(made, readout):
    start, model, x = made("sigmoid", readout)
    rows = table(said("predict", "a.mubinn", "plain.npz", "--float", "a.safetensors").stdout)
    _, scores, classes = run(model, model.encode_input(x))
    assert [int(row["score"]) for row in rows] == scores[:, 0].tolist()
    assert [int(row["class"]) for row in rows] == classes.tolist()
    shares = 1 / (1 + np.exp(-model.values(scores, STEPS)[:, 0]))
    assert np.allclose([float(row["probability"]) for row in rows], shares)
    own = logits(start, x)[:, 0]
    assert np.allclose([float(row["float_score"]) for row in rows], own)
    assert [row["float_class"] for row in rows] == ["1" if v >= 0 else "0" for v in own]
    told = said("predict", "a.mubinn", "my.npz").stderr
    assert "all 12 windows" in told


@pytest.mark.parametrize("readout", ["last", "mean"])
def test_a_regression_has_values(made, readout):
    start, model, x = made("regression", readout)
    rows = table(said("predict", "a.mubinn", "plain.npz", "--float", "a.safetensors").stdout)
    _, scores, _ = run(model, model.encode_input(x))
    values = np.ldexp(scores.astype(float), -model.dense.b.fraction)
    values /= STEPS if readout == "mean" else 1
    assert list(rows[0]) == [
        *("window", "value_0", "value_1", "score_0", "score_1"),
        *("float_value_0", "float_value_1"),
    ]
    found = [[float(row[f"value_{k}"]) for k in range(2)] for row in rows]
    assert found == values.tolist()
    assert [[int(row[f"score_{k}"]) for k in range(2)] for row in rows] == scores.tolist()
    assert np.allclose([float(row["float_value_1"]) for row in rows], logits(start, x)[:, 1])
    found = said("predict", "a.mubinn", "my.npz", "--json")
    assert "labels are not compared" in found.stderr
    document = json.loads(found.stdout)
    assert document["classes"] == document["measured"] == []
    assert "leave out --labels" in refused("predict", "a.mubinn", "x.npy", "--labels", "y.npy")


@pytest.mark.parametrize("readout", ["every", "running"])
def test_each_step_has_a_line(made, readout):
    _, model, x = made("sigmoid", readout)
    result = said("predict", "a.mubinn", "my.npz", "--float", "a.safetensors")
    rows = table(result.stdout)
    _, scores, classes = run(model, model.encode_input(x))
    assert [(int(row["window"]), int(row["step"])) for row in rows] == list(np.ndindex(12, STEPS))
    assert [int(row["score"]) for row in rows] == scores.ravel().tolist()
    shares = 1 / (1 + np.exp(-model.values(scores, STEPS).ravel()))
    assert np.allclose([float(row["probability"]) for row in rows], shares)
    # Labels that the last steps have right, and others not.
    assert (classes[:, -1:] != classes).any(axis=0)[:-1].all()
    np.save("last.npy", classes[:, -1])
    told = said("predict", "a.mubinn", "x.npy", "--labels", "last.npy").stderr
    assert "bit-true, all 12 windows, at their last steps: accuracy 100.00" in told


def test_a_readout_is_exchanged(made):
    _, model, x = made("classes", "mean")
    for name in ("a.mubinn", "a.safetensors"):
        told = said("readout", name, "leaky:1@4", "-o", f"b{name}").stdout
        assert told == f"b{name}: readout leaky:1@4, trained with mean.\n"
        assert json.loads(said("info", f"b{name}", "--json").stdout)["readout"] == "leaky:1@4"
        said("readout", f"b{name}", "mean@end", "-o", f"c{name}")
        assert Path(f"c{name}").read_bytes() == Path(name).read_bytes()
    rows = table(said("predict", "ba.mubinn", "my.npz", "--float", "ba.safetensors").stdout)
    _, scores, _ = run(replace(model, readout="leaky:1@4"), model.encode_input(x))
    assert [(int(row["window"]), int(row["step"])) for row in rows] == [
        (window, step) for window in range(12) for step in (3, 5)
    ]
    assert [int(row["score_0"]) for row in rows] == scores[..., 0].ravel().tolist()
    assert "has the readout mean already: give another" in refused(
        *("readout", "a.mubinn", "mean@end", "-o", "d")
    )
    assert "unknown readout 'leak': give last" in refused("readout", "a.mubinn", "leak", "-o", "d")
    said("generate", "ba.mubinn", "--device", "ecp5", "--state", "carried", "-o", "folder")
    page = Path("folder/README.md").read_text()
    assert "one after every 4 steps of a window and one after its last step" in page
    assert "The leaky mean goes on with the state." in page
    fraction = model.dense.b.fraction + 1
    assert f"multiples of 2^-{fraction}, leaky means over the steps: with each S" in page


def test_info_names_the_head(made):
    made("regression", "running")
    for name in ("a.mubinn", "a.safetensors"):
        text = said("info", name).stdout
        assert "regression, 2 values" in text
        assert "running" in text
        about = json.loads(said("info", name, "--json").stdout)
        assert (about["head"], about["outputs"], about["classes"]) == ("regression", 2, 0)


def test_a_folder_of_layers_names_the_head(made):
    made("regression", "running")
    said("generate", "a.mubinn", "-o", "layer")
    assert "regression, 2 outputs" in Path("layer/README.md").read_text()


@pytest.mark.parametrize("head", ["regression", "sigmoid"])
def test_what_is_for_classes_alone(made, head):
    made(head, "mean" if head == "regression" else "every")
    words = "needs one class a window, and this model has the head"
    assert f"--measure {words}" in refused(
        *("quantize", "a.safetensors", "--data", "my.npz", "--measure", "--levels", "2,2"),
        *("-o", "b.mubinn"),
    )
    assert f"the report {words}" in refused("report", "--model", "a.safetensors", "-o", "report")
    told = refused("calibrate", "a.mubinn", "x.npy", "-o", "b.mubinn")
    assert "Calibration takes medians off the scores of classes" in told


def test_another_kind_of_float_model_beside(made, random_float):
    made("sigmoid")
    save_model("b.safetensors", random_float(features=4, classes=2))
    words = refused("predict", "a.mubinn", "plain.npz", "--float", "b.safetensors")
    assert "the head classes and the readout mean, the quantized model sigmoid and mean" in words
