"""``mubinn calibrate``: the classifier's biases for one person, and faults in one sentence."""

import json

import numpy as np
import pytest
from click import Context
from click.testing import CliRunner

from mubinn.cli.commands.calibrate import calibrate
from mubinn.cli.main import mubinn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model.model_file import load_model, save_model
from mubinn.train.data.windows import prepare
from mubinn.train.subject.calibration import calibrated

STEPS = 16


@pytest.fixture
def folder(tmp_path, random_of, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model("model.mubinn", random_of(seed=3, features=4, hidden=6, classes=2))
    rng = np.random.default_rng(0)
    subject = np.repeat([3, 8], 40)
    x = rng.normal(0, 1, (80, 2 * STEPS, 4)) + 0.4 * (subject == 8)[:, None, None]
    np.savez("all.npz", X=x.astype(np.float32), subject=subject)
    np.save("one.npy", x[:40].astype(np.float32))
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(calibrate, arguments, catch_exceptions=False)


@pytest.mark.parametrize("subject", [3, 8])
def test_decisions_are_those_of_calibrated_scores(folder, subject):
    result = run("model.mubinn", "all.npz", "--subject", str(subject), "-o", "own.mubinn", "--json")
    made, model = load_model("own.mubinn"), load_model("model.mubinn")
    x = np.load("all.npz")["X"][np.load("all.npz")["subject"] == subject]
    x = prepare(x)
    assert x.shape == (40, STEPS, 4)
    before, after = infer(model, x), infer(made, x)
    wanted = calibrated(before.scores, np.zeros(len(x)))
    lead = np.abs(wanted[:, 1] - wanted[:, 0])
    sure = lead > 4 * STEPS  # a bias is rounded to a unit of one step
    assert sure.mean() > 0.8
    assert (after.classes == wanted.argmax(axis=1))[sure].all()
    assert abs(after.classes.mean() - 0.5) <= 0.05
    changed = int((before.classes != after.classes).sum())
    assert json.loads(result.output)["decided_otherwise"] == changed
    assert made.meta["calibrated_on"] == f"40 windows of all.npz, subject {subject}"
    for own, other in zip(made.layers, model.layers, strict=True):
        assert (own.wh.bits == other.wh.bits).all()
    assert (made.dense.w.bits == model.dense.w.bits).all()
    assert (made.dense.b.values != model.dense.b.values).any()


def test_one_person_needs_no_subject(folder):
    result = run("model.mubinn", "one.npy", "-o", "own.mubinn")
    assert "calibrated on 40 windows of one.npy" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("all.npz",), "holds 2 people: name one with --subject"),
        (("all.npz", "--subject", "4"), "has no subject 4: its people are 3, 8"),
        (("few.npy",), "has 9 windows of the person, too few for a median"),
        (("wide.npy",), "has 5 channels, the model reads 4"),
        (("none.npz",), "has no array 'X'"),
        (("some.txt",), "does not exist; check the path"),
        (("absent.npy",), "does not exist"),
        (("uneven.npz",), "has 40 windows but 3 subjects"),
    ],
)
def test_faults_leave_nothing_behind(folder, arguments, words):
    one = np.load("one.npy")
    np.save("few.npy", one[:9])
    np.save("wide.npy", np.zeros((20, 2 * STEPS, 5)))
    np.savez("none.npz", y=np.zeros(3))
    np.savez("uneven.npz", X=one, subject=np.arange(3))
    with pytest.raises(MubinnError, match=words):
        run("model.mubinn", *arguments, "-o", "own.mubinn")
    assert not (folder / "own.mubinn").exists()


def test_the_old_name_is_a_hidden_alias():
    assert mubinn.get_command(Context(mubinn), "wearer") is calibrate
    shown = CliRunner().invoke(mubinn, ["--help"]).output
    assert "calibrate" in shown
    assert "wearer" not in shown
