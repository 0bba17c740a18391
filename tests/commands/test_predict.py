"""``mubinn predict``: the bit-true class and scores of each window, as CSV and JSON."""

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
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.model_file import save_model
from mubinn.golden.quantize import quantize
from mubinn.train.data.recordings import prepare

NAMES = ["shut", "wide, open", "other"]
RECIPE = json.dumps({"fold": 1, "centre": "none"})


def exact(model, x):
    """Return scores and classes by the model that defines the hardware, not the fast one."""
    return bit_true.run(model, model.encode_input(x))[1:]


@pytest.fixture
def made(tmp_path, random_float, monkeypatch):
    """Models and windows of three classes and two people in the folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (20, 12, 4)).astype(np.float32)
    notes = {"classes": json.dumps(NAMES), "recipe": RECIPE, "data": "my.npz"}
    start = replace(random_float(features=4, hidden=5, classes=3), meta=notes)
    model = replace(quantize(start, Levels.of(2, 2), prepare(x).astype(float)), meta=notes)
    save_model("a.safetensors", start)
    save_model("a.mubinn", model)
    people = np.repeat(["ann", "bob"], 10)
    np.savez("plain.npz", X=x, subject=people)
    truth = exact(model, prepare(x))[1].copy()
    truth[:3] = (truth[:3] + 1) % 3
    fold = np.repeat([0, 1], 10)
    np.savez("my.npz", X=x, y=truth, classes=NAMES, subject=people, fold=fold)
    np.save("y.npy", truth)
    np.savez("named.npz", X=x, y=np.array(NAMES[::-1])[2 - truth], classes=NAMES[::-1])
    return start, model, x, truth


def run(*arguments, status=0):
    result = CliRunner().invoke(mubinn, ["predict", *map(str, arguments)])
    assert result.exit_code == status, (result.output, result.stderr)
    return result


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_table_holds_what_the_hardware_decides(made):
    _, model, x, _ = made
    result = run("a.mubinn", "plain.npz")
    rows = table(result.stdout)
    want, classes = exact(model, prepare(x))
    assert [list(row) for row in rows] == [
        ["window", "subject", "class", *(f"score_{name}" for name in NAMES)]
    ] * 20
    assert [row["class"] for row in rows] == [NAMES[code] for code in classes]
    scores = [[int(row[f"score_{name}"]) for name in NAMES] for row in rows]
    assert (np.array(scores) == want).all()
    assert [row["subject"] for row in rows] == ["ann"] * 10 + ["bob"] * 10
    assert result.stderr == ""


def test_a_float_model_stands_beside_it_or_alone(made):
    start, _, x, _ = made
    want = reference.logits(start, prepare(x))
    rows = table(run("a.mubinn", "plain.npz", "--float", "a.safetensors").stdout)
    alone = table(run("a.safetensors", "plain.npz").stdout)
    for name, scores in zip(NAMES, want.T, strict=True):
        for mark, found in (("float_", rows), ("", alone)):
            assert [float(row[f"{mark}score_{name}"]) for row in found] == scores.tolist()
    classes = [NAMES[code] for code in want.argmax(axis=1)]
    assert [row["float_class"] for row in rows] == classes == [row["class"] for row in alone]


def test_json_says_the_same(made):
    rows = table(run("a.mubinn", "my.npz", "--float", "a.safetensors").stdout)
    about = json.loads(run("a.mubinn", "my.npz", "--float", "a.safetensors", "--json").stdout)
    assert about["classes"] == NAMES
    for row, own in zip(rows, about["windows"], strict=True):
        for name in ("window", "subject", "label", "class"):
            assert row[name] == str(own[name])
        assert row["float_class"] == own["float"]["class"]
        for name in NAMES:
            assert row[f"score_{name}"] == str(own["scores"][name])
            assert row[f"float_score_{name}"] == str(own["float"]["scores"][name])


def test_labels_are_measured_apart_where_training_saw_them(made):
    result = run("a.mubinn", "my.npz", "-o", "out.csv")
    assert "fold 1, held out in training: accuracy 100.00 %" in result.stdout
    assert "the other folds, trained on: accuracy 70.00 %" in result.stdout
    assert len(table(Path("out.csv").read_text())) == 20
    (all_of,) = json.loads(run("a.mubinn", "plain.npz", "--labels", "y.npy", "--json").stdout)[
        "measured"
    ]
    assert (all_of["of"], all_of["accuracy"]) == ("all 20 windows", 0.85)
    assert list(all_of["f1"]) == NAMES
    assert np.array(all_of["confusion"]).sum() == 20
    shown = run("a.mubinn", "plain.npz", "--labels", "y.npy")
    assert "accuracy 85.00 %" in shown.stderr
    assert len(table(shown.stdout)) == 20


def test_classes_of_data_in_another_order_are_matched_by_name(made):
    (all_of,) = json.loads(run("a.mubinn", "named.npz", "--json").stdout)["measured"]
    assert all_of["accuracy"] == 0.85


def test_labels_of_some_classes_alone_keep_their_numbers(made):
    _, _, x, truth = made
    np.savez("part.npz", X=x, y=np.where(truth == 0, 2, 1))
    rows = table(run("a.mubinn", "part.npz").stdout)
    assert {row["label"] for row in rows} == {"wide, open", "other"}


def test_input_normalised_by_subject_takes_the_subjects_of_the_data(made):
    _, model, x, _ = made
    by = Preprocessing("subject", 1)
    save_model("s.mubinn", replace(model, preprocessing=by))
    rows = table(run("s.mubinn", "plain.npz").stdout)
    whose = np.repeat([0, 1], 10)
    wanted = exact(model, prepare(x, normalise="subject", decimate=1, subject=whose))[1]
    assert [row["class"] for row in rows] == [NAMES[code] for code in wanted]
    np.save("x.npy", x)
    assert "not known here" in str(run("s.mubinn", "x.npy", status=2).stderr)


def test_scores_that_training_calibrated_are_told(made):
    _, model, _, _ = made
    recipe = json.dumps({"fold": 1, "centre": "trained"})
    save_model("c.mubinn", replace(model, meta={**model.meta, "recipe": recipe}))
    assert "run mubinn calibrate" in run("c.mubinn", "plain.npz").stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a.safetensors", "plain.npz", "--float", "a.safetensors"), "is a float model"),
        (("a.safetensors", "plain.npz", "--datapath", "threshold"), "is a float model"),
        (("a.mubinn", "plain.npz", "--float", "a.mubinn"), "holds a quantized model"),
        (("a.mubinn", "plain.npz", "--float", "b.safetensors"), "2 outputs"),
        (("a.mubinn", "odd.npz"), "has the label 'strange', which is no class of the model"),
        (("a.mubinn", "wide.npy"), "has 5 channels"),
        (("a.mubinn", "plain.npz", "-o", "no/out.csv"), "does not exist"),
    ],
)
def test_faults_end_in_a_sentence(made, random_float, arguments, words):
    _, _, x, _ = made
    save_model("b.safetensors", random_float(features=4, hidden=5, classes=2))
    np.savez("odd.npz", X=x, y=["shut", "strange"] * 10)
    np.save("wide.npy", np.zeros((3, 12, 5), np.float32) + np.arange(12)[:, None])
    result = CliRunner().invoke(mubinn, ["predict", *arguments])
    assert result.exit_code == 2 or isinstance(result.exception, MubinnError)
    assert words in " ".join((result.stderr + str(result.exception)).split())
