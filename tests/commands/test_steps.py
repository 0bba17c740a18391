"""Labels of steps at the command line: measured at every step, and refused where none are read."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.cli.shared.fitting import classified
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.model_file import save_model
from mubinn.golden.quantize import quantize
from mubinn.train.data.files import load_labelled

NAMES = ["a", "b", "c"]


def run(*arguments, status=0):
    result = CliRunner().invoke(mubinn, list(map(str, arguments)))
    assert result.exit_code == status, (result.output, result.stderr)
    return result


@pytest.fixture
def made(tmp_path, random_float, monkeypatch):
    """A float model, its integers, windows and their labels, in the folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (10, 5, 4)).astype(np.float32)
    start = replace(
        random_float(features=4, hidden=5, classes=3),
        readout="every",
        meta={"classes": json.dumps(NAMES)},
        preprocessing=Preprocessing("none", 1),
    )
    model = quantize(start, Levels.of(2, 2), x.astype(float))
    model = replace(model, meta=start.meta)
    save_model("a.safetensors", start)
    save_model("a.mubinn", model)
    y = rng.integers(-1, 3, (10, 5))
    np.savez("my.npz", X=x, y=y, classes=NAMES)
    return start, model, x, y


def test_every_step_with_a_label_is_compared(made):
    start, model, x, y = made
    result = run("predict", "a.mubinn", "my.npz", "--float", "a.safetensors", "--json")
    about = json.loads(result.stdout)
    scores = bit_true.run(model, model.encode_input(x))[1]
    known = y >= 0
    for values, measured in zip(
        (model.values(scores, 5), reference.logits(start, x)), about["measured"], strict=True
    ):
        own = values[known] - np.log(np.exp(values[known]).sum(axis=1, keepdims=True))
        nats = -own[np.arange(known.sum()), y[known]].mean()
        right = values[known].argmax(axis=1) == y[known]
        assert measured["accuracy"] == right.mean()
        assert measured["perplexity"] == pytest.approx(np.exp(nats))
        assert (measured["steps"], measured["of"][-18:]) == (known.sum(), "steps with a label")
    labels = [row["label"] for row in about["windows"]]
    assert labels == [NAMES[code] if code >= 0 else None for code in y.ravel()]
    rows = list(csv.DictReader(io.StringIO(run("predict", "a.mubinn", "my.npz").stdout)))
    assert [row["label"] for row in rows] == [label or "" for label in labels]


def test_classes_in_another_order_are_those_of_the_model(made):
    _, model, x, y = made
    turned = np.where(y < 0, -1, 2 - y)
    np.savez("turned.npz", X=x, y=turned, classes=NAMES[::-1])
    assert (classified(load_labelled("turned.npz"), "", model).y == y).all()
    shown = [run("predict", "a.mubinn", name, "--json").stdout for name in ("my.npz", "turned.npz")]
    assert shown[0] == shown[1]


def test_a_model_of_one_class_a_window_is_not_compared(made):
    start, *_ = made
    for changes in ({"readout": "mean"}, {"preprocessing": Preprocessing("none", 5)}):
        save_model("other.safetensors", replace(start, **changes))
        result = run("predict", "other.safetensors", "my.npz", status=2)
        assert "has labels of 5 steps, and the model does not decide at each" in result.stderr


def test_commands_of_one_label_a_window_refuse(made):
    start, *_ = made
    save_model("one.safetensors", replace(start, readout="mean"))
    about = ("--levels", "2,2", "--measure", "-o", "b.mubinn")
    result = run("quantize", "one.safetensors", "--data", "my.npz", *about, status=2)
    assert "this command compares one label a window" in result.stderr


def test_more_scores_than_a_table_holds(made, monkeypatch):
    monkeypatch.setattr("mubinn.cli.commands.predict.MOST_SCORES", 149)
    result = run("predict", "a.mubinn", "my.npz", status=2)
    assert "10 windows of 5 steps with 3 scores each are more than the 149" in result.stderr


def test_a_text_becomes_a_language_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for part, count in (("train", 40), ("valid", 10)):
        (tmp_path / f"{part}.txt").write_text("a b c\n" * count)
    about = ("--context", 2, "--steps", 3)
    told = run("convert", "text", ".", *about, "-o", "lm.npz").stdout
    assert "5 classes, " in told
    assert "3 of 5 steps labelled" in told
    model = ("--embedding", 3, "--hidden", 6, "--readout", "every", "--batch", 8, "--epochs", 1)
    result = run("train", "lm.npz", *model, "--validation", 0.1, "-o", "lm.safetensors")
    assert "perplexity" in result.stdout
    assert "steps with a label of fold 0 right" in result.stdout
    assert "best on the people set aside (perplexity" in result.stdout
    result = run("train", "lm.npz", "--embedding", 3, "-o", "no.safetensors", status=2)
    assert "give --readout every" in result.stderr


def test_a_long_list_of_classes_is_not_shown_whole(made):
    start, *_ = made
    notes = {"classes": json.dumps(list(map(str, range(300))))}
    save_model("many.safetensors", replace(start, meta=notes))
    shown = run("info", "many.safetensors").stdout
    assert '"7" and 292 more' in " ".join(shown.split())
    np.savez("many.npz", X=np.zeros((300, 2, 1), np.float32), y=np.arange(300))
    assert "7 1 and 292 more" in " ".join(run("info", "many.npz").stdout.split())
    assert '"299"' in run("info", "many.npz", "--json").stdout
