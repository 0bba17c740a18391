"""Subject calibration: by hand, as the trainer decides by it, and as it trains for it."""

from dataclasses import asdict, replace
from statistics import median

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.cli.shared.recordings import prepared
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model.float_layer import lstm_layer
from mubinn.golden.model.float_model import FloatModel, Preprocessing
from mubinn.golden.quantize import quantize
from mubinn.train.data.windows import LabelledSet, prepare, synthetic_eeg
from mubinn.train.graphs.graph import Graph
from mubinn.train.recipes.chance import gains
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import LATER, Recipe, batches, split
from mubinn.train.recipes.tuned import tuned
from mubinn.train.runs.run import Run
from mubinn.train.runs.sweep import run_name
from mubinn.train.runs.trainer import train
from mubinn.train.subject.calibration import calibrated, calibrated_groups, grouped
from mubinn.train.subject.personal import for_subject

# Recipes of equal method and pace share a compilation, which takes most of the time here.
PLAIN = Recipe(epochs=2, hidden=6, batch=16, group=4, learning_rate=2e-2)
BINARIZED = replace(PLAIN, method=Method("mubinn2", Levels.of(2, 1)))
TRAINED = replace(PLAIN, subject_calibration="trained")
BOTH = [replace(one, subject_calibration="trained", gain_spread=0.2) for one in (PLAIN, BINARIZED)]


def small_data():
    return synthetic_eeg(120, steps=32, channels=3, seed=2)


def leaves(params):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]


def alike(one, other):
    return all((a == b).all() for a, b in zip(leaves(one), leaves(other), strict=True))


def run_of(data, recipe, start=None):
    x = prepare(data.x, normalise=recipe.normalise, subject=data.subject)
    return Run(data, x, split(data, recipe), recipe, start)


def test_calibrated_by_hand():
    scores = np.array([[0, 4], [0, 6], [2, 0], [10, 0], [10, 2], [10, 7]])
    subject = np.array([1, 1, 1, 0, 0, 0])
    # Leads of class 1: 4, 6, -2 less 4, and -10, -8, -3 less -8.
    lead = np.array([0, 2, -6, -2, 0, 5])
    found = calibrated(scores, subject)
    assert (found == np.stack([-lead, lead], axis=1)).all()
    assert (calibrated(scores.astype(np.float32), subject) == found).all()
    three = calibrated(np.array([[1, 2, 6], [1, 2, 6], [4, 2, 0]]), np.zeros(3))
    assert (three == [[0, 0, 0], [0, 0, 0], [6 + 6, 0 + 3, -6 - 9]]).all()


def test_statistics_equal_a_scalar_reference():
    rng = np.random.default_rng(5)
    scores, subject = rng.integers(-50, 50, (40, 3)), rng.integers(0, 5, 40)
    leads = [[3 * score - sum(row) for score in row] for row in scores.tolist()]
    for n, found in enumerate(calibrated(scores, subject)):
        own = [lead for lead, one in zip(leads, subject, strict=True) if one == subject[n]]
        for k in range(3):
            assert found[k] == leads[n][k] - median(lead[k] for lead in own)
    for n, found in enumerate(calibrated_groups(scores.astype(float), 8)):
        own = scores[n // 8 * 8 : n // 8 * 8 + 8].tolist()
        for k in range(3):
            assert found[k] == scores[n, k] - sum(row[k] for row in own) / 8


def test_the_loss_sees_calibrated_scores():
    data = small_data()
    run = run_of(data, PLAIN)
    index = batches(run.parts, TRAINED, 0)[0]
    x, y = jnp.asarray(run.x[index]), jnp.asarray(run.y[index])
    graph = Graph(Method(), "mean", run.graph.kinds, group=4)
    scores = np.asarray(graph.logits(run.params, x), np.float64)
    total = 0.0
    for n, row in enumerate(scores):
        own = scores[n // 4 * 4 : n // 4 * 4 + 4]
        shifted = [score - sum(own[:, k]) / 4 for k, score in enumerate(row)]
        total += np.log(sum(np.exp(shifted))) - shifted[int(y[n])]
    assert abs(float(graph.loss(run.params, x, y)) - total / 16) < 1e-5
    assert abs(float(replace(graph, group=0).loss(run.params, x, y)) - total / 16) > 1e-3


def test_batches_hold_groups_of_one_subject():
    data = small_data()
    parts = split(data, TRAINED)
    first = batches(parts, TRAINED, 0)
    assert first.shape == (6, 16)
    groups = first.reshape(-1, 4)
    assert all(len(set(data.subject[group])) == 1 for group in groups)
    assert sorted(first.ravel()) == sorted(parts.train)  # 12 windows a subject: none sits out
    assert len({int(data.subject[group[0]]) for group in first[0].reshape(-1, 4)}) > 1
    assert (first == batches(parts, TRAINED, 0)).all()
    assert (first != batches(parts, TRAINED, 1)).any()
    assert (first != batches(parts, replace(TRAINED, seed=1), 0)).any()


def test_subjects_of_few_and_of_odd_counts():
    subject = np.array([7] * 3 + [1] * 11)
    made = grouped(np.arange(14) + 100, subject, 5, np.random.default_rng(0))
    assert sorted(set(made[(made < 103).all(axis=1)].ravel())) == [100, 101, 102]
    many = made[(made >= 103).all(axis=1)].ravel()
    assert made.shape == (3, 5)
    assert len(set(many)) == len(many) == 10
    with pytest.raises(MubinnError, match="12 training windows do not fill a batch of 16"):
        split(small_data().take(np.isin(small_data().subject, (0, 1))), TRAINED)


def test_files_and_folders_of_runs_keep_the_name_that_they_have():
    stored = Recipe(subject_calibration="trained", batch=60)
    assert stored.to_json()["centre"] == "trained"
    later = {"subject_calibration", *LATER}
    assert stored.to_json().keys() == asdict(stored).keys() - later | {"centre"}
    assert run_name(stored) == "float-fold0-seed0-b0b410cd"


def test_faults_end_in_one_sentence(tmp_path):
    with pytest.raises(
        MubinnError, match="subject_calibration 'both' is unknown; use 'none', 'subject' or"
    ):
        Recipe(subject_calibration="both")
    with pytest.raises(MubinnError, match="batch of 64 is no multiple of the 15 windows"):
        Recipe(subject_calibration="trained")
    with pytest.raises(MubinnError, match="group is 0"):
        Recipe(group=0)
    words = ["train", "--centre", "both", "-o", str(tmp_path / "a.safetensors")]
    told = CliRunner().invoke(mubinn, words)
    assert told.exit_code == 2
    assert "'both' is not one of 'none', 'subject', 'trained'" in told.stderr
    assert len(told.stderr.strip().splitlines()[-1]) < 120


def test_the_trainer_decides_by_calibrated_scores():
    data, test = small_data(), small_data().fold == 0
    plain = train(data, BINARIZED)
    made = train(data, replace(BINARIZED, subject_calibration="subject"))
    scores = infer(plain.model, prepare(data.x)[test]).scores
    decided = calibrated(scores, data.subject[test]).argmax(axis=1)
    assert made.bit_true_accuracy == (decided == data.y[test]).mean()
    assert plain.bit_true_accuracy == (scores.argmax(axis=1) == data.y[test]).mean()
    assert (decided != scores.argmax(axis=1)).any()
    assert 0 <= made.test_accuracy <= 1
    assert "recipe" in made.model.meta


@pytest.mark.parametrize("recipe", BOTH)
def test_training_for_it_learns_and_decides_by_exported_integers(recipe):
    data = small_data()
    run = run_of(data, recipe)
    while not run.finished:
        run.train_epoch(None)
    test = run.parts.test
    found = run.answers(test).said
    if recipe.method.exports:
        model = run.exported(run.meta())
        found = run.bit_true(model).said
        scores = infer(model, run.x[test]).scores
    else:
        assert run.history[-1]["loss"] < run.history[0]["loss"]
        assert (
            np.asarray(run.best["bd"]) == 0
        ).all()  # calibration takes it off: it stays as drawn
        scores = np.asarray(run.graph.logits(run.best, jnp.asarray(run.x[test])))
    assert (found == calibrated(scores, data.subject[test]).argmax(axis=1)).all()
    assert (found != scores.argmax(axis=1)).any()


def small_model(readout, classes):
    """A float model of random weights, quantized without training."""
    rng = np.random.default_rng(3)
    layer = lstm_layer(*(rng.normal(0, 1, shape) for shape in ((24, 3), (24, 6), (24,))), 1.0)
    dense = rng.normal(0, 1, (classes, 6)), rng.normal(0, 0.1, classes)
    x = rng.normal(0, 1, (20, 16, 3))
    return quantize(FloatModel((layer,), *dense, readout), Levels.of(2, 2), x)


@pytest.mark.parametrize("readout", ["mean", "last"])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_biases_of_a_subject_decide_by_calibrated_scores(readout, classes):
    x = np.random.default_rng(4).normal(0, 1, (200, 16, 3)).astype(np.float32)
    model = small_model(readout, classes)
    scores = infer(model, x).scores
    made = for_subject(model, scores, 16)
    lead = calibrated(scores, np.zeros(200))
    unit = classes * (16 if readout == "mean" else 1)
    best = np.sort(lead, axis=1)
    clear = best[:, -1] - best[:, -2] > unit  # rounding moves each class by half of that at most
    assert clear.mean() > 0.9
    decided = infer(made, x).classes
    assert (decided == lead.argmax(axis=1))[clear].all()
    assert (decided != scores.argmax(axis=1)).any()
    assert made.layers is model.layers
    assert made.dense.w is model.dense.w
    again = for_subject(made, infer(made, x).scores, 16)
    moved = np.ptp(again.dense.b.values - made.dense.b.values)
    assert moved <= 1 or classes > 2  # of two classes' medians nothing is left to take off


def test_gains_are_one_for_each_channel_of_a_group():
    recipe = replace(TRAINED, gain_spread=0.3)
    drawn = gains(recipe, 1, 6, 3)
    assert drawn.shape == (6, 16, 1, 3)
    apart = drawn.reshape(24, 4, 3)
    assert (apart == apart[:, :1]).all()
    assert len(np.unique(apart[:, 0])) == 72
    many = np.log(gains(recipe, 1, 500, 3).reshape(-1, 4, 3)[:, 0].astype(float))
    assert abs(many.std() - 0.3) < 0.01  # of 6000
    assert abs(many.mean()) < 0.02
    assert len(np.unique(gains(replace(recipe, subject_calibration="none"), 1, 6, 3))) == 6 * 16 * 3
    assert (drawn == gains(recipe, 1, 6, 3)).all()
    assert (drawn != gains(recipe, 2, 6, 3)).all()
    assert (drawn != gains(replace(recipe, seed=1), 1, 6, 3)).all()
    with pytest.raises(MubinnError, match=r"gain_spread is 1.5; it must be in \[0, 1\]"):
        Recipe(gain_spread=1.5)


def test_gains_reach_the_windows_of_training_alone():
    data = small_data()
    plain, run = run_of(data, TRAINED), run_of(data, replace(TRAINED, gain_spread=0.3))
    seen = []
    step = run.step
    run.step = lambda *of: seen.append(np.asarray(of[2])) or step(*of)
    run.train_epoch(None)
    own = batches(run.parts, TRAINED, 0)
    factors = gains(run.recipe, 0, 6, 3)
    assert all((x == run.x[n] * g).all() for x, n, g in zip(seen, own, factors, strict=True))
    assert (run.x == plain.x).all()


class Killed(Exception):
    pass


@pytest.mark.parametrize("recipe", BOTH)
def test_resumes_to_identical_weights(tmp_path, recipe):
    def stop(now):
        if (now.epoch, now.step) == (1, 2):
            raise Killed

    data = small_data()
    whole = run_of(data, recipe)
    with pytest.raises(Killed):
        train(data, recipe, checkpoint_dir=tmp_path, progress=stop)
    for _ in range(recipe.epochs):
        whole.train_epoch(None)
    seen = []
    train(data, recipe, checkpoint_dir=tmp_path, progress=seen.append)
    assert seen[0].epoch == 1
    resumed = run_of(data, recipe)
    resumed.restore(tmp_path / "checkpoint.npz")
    assert alike(resumed.best, whole.best)


@pytest.mark.parametrize("normalise", ["window", "referenced-window", "referenced-subject"])
def test_labels_of_the_test_fold_change_nothing(normalise):
    data = small_data()
    y, held = data.y.copy(), data.fold == 0
    y[held] = np.random.default_rng(1).permutation(y[held])
    assert 0 < (y != data.y).sum() < held.sum()  # not all: grouping by label is blind to a swap
    other = LabelledSet(**vars(data) | {"y": y})
    recipe = replace(BOTH[1], normalise=normalise)
    found = []
    for one in (data, other):
        run = run_of(one, recipe)
        run.train_epoch(None)
        test = run.parts.test
        found.append(
            [run.answers(test).said, run.bit_true(run.exported({})).said, *leaves(run.best)]
        )
    assert all((a == b).all() for a, b in zip(*found, strict=True))
    assert 0 < found[0][1].mean() < 1


def test_commands_prepare_as_the_model_says():
    x = small_data().x
    model = small_model("mean", 2)

    def made(normalise):
        return prepared(replace(model, preprocessing=Preprocessing(normalise, 2)), x)

    for normalise in ("window", "referenced-window"):
        assert (made(normalise) == prepare(x, normalise=normalise)).all()
    assert (made("window") != made("referenced-window")).any()
    with pytest.raises(MubinnError, match="over each subject's whole recording"):
        made("referenced-subject")
    with pytest.raises(MubinnError, match="'referenced', which this program"):
        made("referenced")


def test_tuned_recipes():
    made = tuned("float", subject_calibration="trained")
    assert (made.batch, made.group, made.epochs, made.gain_spread) == (60, 15, 8, 0.2)
    own = tuned("mubinn2", Levels.of(3, 3), subject_calibration="trained", batch=30)
    assert (own.batch, own.epochs) == (30, 4)
    assert asdict(tuned("float", subject_calibration="subject")) == asdict(
        Recipe(subject_calibration="subject")
    )
