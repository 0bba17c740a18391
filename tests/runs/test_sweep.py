"""Many runs: resumed bit for bit, not repeated, stopped early, drawn and summarised."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import own_cells
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.library import cell_of
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import reference
from mubinn.golden.model.model_file import load_float, load_model, save_model
from mubinn.golden.quantize import quantize
from mubinn.train.data.windows import prepare, synthetic_eeg
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe, split
from mubinn.train.runs.checkpoint import load_checkpoint
from mubinn.train.runs.curve import write_curve
from mubinn.train.runs.pooled import pooled
from mubinn.train.runs.sweep import (
    FLOAT_FILE,
    LOG,
    QUANTIZED_FILE,
    is_finished,
    one_run,
    recurrent_weights,
    run_name,
    sweep,
)
from mubinn.train.runs.trainer import CHECKPOINT, train

SMALL = Recipe(epochs=2, hidden=6, batch=16)
TWO = replace(SMALL, method=Method("mubinn2", Levels.of(2, 1), h_offset="learned"))


@pytest.fixture(scope="module")
def data():
    return synthetic_eeg(120, steps=32, channels=3, seed=2)


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".jsonl"}


class Killed(Exception):
    pass


def test_a_sweep_trains_each_run_once(data, tmp_path):
    def go():
        return list(sweep(data, [TWO], SMALL, [0, 1], [0], tmp_path, notes=notes))

    notes = {"data": "synthetic"}
    first = go()
    assert [outcome.fresh for outcome in first] == [True] * 4
    assert [outcome.row["method"] for outcome in first] == ["float", "mubinn2"] * 2
    assert [outcome.row["fold"] for outcome in first] == [0, 0, 1, 1]
    before = {outcome.name: bytes_of(tmp_path / outcome.name) for outcome in first}
    for outcome in first:
        row = outcome.row
        assert row["notes"] == notes
        assert row["recipe"]["fold"] == row["fold"]
        kind = load_float if row["method"] == "float" else load_model
        suffix = ".safetensors" if row["method"] == "float" else ".mubinn"
        meta = kind(tmp_path / outcome.name / f"model{suffix}").meta
        assert meta["test_accuracy"] == f"{row['graph_accuracy']:.4f}"
        assert (row["bit_true_accuracy"] is None) == (row["method"] == "float")
        assert b"<svg" in before[outcome.name]["curve.svg"]
    again = go()
    assert [outcome.fresh for outcome in again] == [False] * 4
    assert [outcome.row for outcome in again] == [outcome.row for outcome in first]
    # A run that was killed before its end goes on, and gives the same files.
    name = first[-1].name
    log = tmp_path / name / LOG
    log.write_text("\n".join(log.read_text().splitlines()[:-1]) + "\n")
    assert [outcome.fresh for outcome in go()] == [False, False, False, True]
    assert bytes_of(tmp_path / name) == before[name]


def test_a_killed_binarized_run_resumes_to_the_same_bits(data, tmp_path):
    start = train(data, SMALL).model
    recipe = replace(TWO, epochs=3)
    one_run(data, recipe, tmp_path / "whole", start)
    for epoch, step in ((0, 2), (1, 1), (2, 3)):
        folder = tmp_path / f"{epoch}-{step}"

        def stop(now, at=(epoch, step)):
            if (now.epoch, now.step) == at:
                raise Killed

        with pytest.raises(Killed):
            one_run(data, recipe, folder, start, progress=stop)
        assert not is_finished(folder)
        assert one_run(data, recipe, folder, start)
        assert is_finished(folder)
        assert bytes_of(folder)["model.mubinn"] == bytes_of(tmp_path / "whole")["model.mubinn"]


def test_a_run_that_another_process_ends_meanwhile_is_not_trained_again(data, tmp_path):
    one_run(data, SMALL, tmp_path / "first", None)
    before = bytes_of(tmp_path / "first")

    def never(now):
        raise Killed

    def ended(name, number, count):
        # Between the question whether it is finished and the training.
        shutil.copytree(tmp_path / "first", tmp_path / "runs" / name)
        return never

    runs = [*sweep(data, [], SMALL, [SMALL.fold], [SMALL.seed], tmp_path / "runs", watch=ended)]
    assert [run.fresh for run in runs] == [False]
    assert bytes_of(tmp_path / "runs" / runs[0].name) == before


def test_the_folder_is_held_until_its_files_are_there(data, tmp_path, monkeypatch):
    def beside(*_):
        with pytest.raises(MubinnError, match="Another process trains in"):
            one_run(data, SMALL, tmp_path, None)

    monkeypatch.setattr("mubinn.train.runs.sweep.write_curve", beside)
    assert one_run(data, SMALL, tmp_path, None)


def test_data_that_are_refused_leave_no_folder(data, tmp_path):
    with pytest.raises(MubinnError, match="fold"):
        one_run(data, replace(SMALL, fold=99), tmp_path / "run", None)
    assert not (tmp_path / "run").exists()


def test_a_run_stops_when_validation_no_longer_rises(data, tmp_path):
    recipe = replace(SMALL, epochs=30, validation=0.3, patience=2, learning_rate=2e-2)
    result = train(data, recipe, checkpoint_dir=tmp_path)
    shares = [row["validation_accuracy"] for row in result.history]
    best = int(np.argmax(shares))  # the first of the highest
    assert len(shares) == best + 3 < 30
    assert result.validation_accuracy == shares[best]
    # The best weights are those that a run has after its best epoch.
    arrays, meta = load_checkpoint(tmp_path / CHECKPOINT)
    assert meta["best_epoch"] == best + 1

    def stop(now):
        if now.epoch == best + 1:
            raise Killed

    with pytest.raises(Killed):
        train(data, recipe, checkpoint_dir=tmp_path / "cut", progress=stop)
    early, _ = load_checkpoint(tmp_path / "cut" / CHECKPOINT)
    tensors = 5
    for k in range(tensors):
        assert (arrays[f"leaf{len(arrays) - tensors + k}"] == early[f"leaf{k}"]).all()
    assert (arrays["leaf0"] != early["leaf0"]).any()
    again = train(data, recipe, checkpoint_dir=tmp_path)
    assert again.history == result.history


def test_the_best_epoch_by_validation_is_kept_without_patience(data, tmp_path):
    recipe = replace(SMALL, epochs=8, validation=0.4, learning_rate=5e-2, seed=1)
    result = train(data, recipe, log=tmp_path / LOG)
    shares = [row["validation_accuracy"] for row in result.history]
    best = int(np.argmax(shares))
    assert len(shares) == 8
    assert shares[-1] < shares[best]  # or the test shows nothing
    assert result.best_epoch == best + 1
    assert result.validation_accuracy == shares[best]
    assert result.model.meta["epoch"] == f"{best + 1} of 8, the best on validation subjects"
    end = json.loads((tmp_path / LOG).read_text().splitlines()[-1])
    assert end["best_epoch"] == best + 1
    # The result is of that epoch's weights: they take its decisions.
    held = split(data, recipe).validation
    scores = reference.logits(result.model, prepare(data.x[held]))
    assert abs((scores.argmax(axis=1) == data.y[held]).mean() - shares[best]) < 0.01


def test_balanced_training_keeps_its_best_epoch_by_balanced_accuracy(data):
    recipe = replace(SMALL, epochs=8, validation=0.4, learning_rate=2e-2, balance="weigh")
    rare = np.flatnonzero(data.y == 1)[::3]
    few = data.take(np.sort(np.concatenate([np.flatnonzero(data.y == 0), rare])))
    result = train(few, recipe)
    rows = result.history
    best = int(np.argmax([row["validation_balanced_accuracy"] for row in rows]))
    assert best != int(np.argmax([row["validation_accuracy"] for row in rows]))
    assert result.best_epoch == best + 1
    assert json.loads(result.model.meta["recipe"])["balance"] == "weigh"


def row_of(recipe, confusion):
    levels = None if recipe.method.levels is None else {"x": 2, "w": 1}
    about = {"method": recipe.method.name, "levels": levels, "recipe": asdict(recipe)}
    place = {"fold": recipe.fold, "seed": recipe.seed}
    return {**about, **place, "f1": {"rest": 1.0, "fist": 0.5}, "confusion": confusion}


def test_folds_are_pooled_and_seeds_compared():
    counts = {
        (0, 0): [[90, 0], [5, 5]],
        (1, 0): [[9, 1], [0, 0]],  # no fist here: balanced accuracies of folds have no mean
        (0, 1): [[90, 0], [10, 0]],
        (1, 1): [[10, 0], [0, 0]],
    }
    rows = [
        row_of(replace(base, fold=fold, seed=seed), counted)
        for (fold, seed), counted in counts.items()
        for base in (SMALL, TWO)
    ]
    floats, twos = pooled(rows)
    assert (floats.name, twos.name) == ("float", "mubinn2 2,1")
    assert (floats.folds, list(floats.by_seed)) == ((0, 1), [0, 1])
    assert floats.by_seed[0].confusion.tolist() == [[99, 1], [5, 5]]
    assert floats.accuracy == [104 / 110, 100 / 110]
    assert floats.balanced_accuracy == [(0.99 + 0.5) / 2, 0.5]
    assert floats.f1["fist"] == [10 / 16, 0.0]
    assert floats.least_run == 0.9
    rows[0]["confusion"] = None  # an older log
    assert [found.name for found in pooled(rows)] == ["mubinn2 2,1"]


def test_a_sweep_keeps_confusions(data, tmp_path):
    for outcome in sweep(data, [TWO], SMALL, [1], [0], tmp_path):
        counts = np.array(outcome.row["confusion"])
        assert counts.sum() == outcome.row["windows"] == (data.fold == 1).sum()
        kind = "graph" if outcome.row["method"] == "float" else "bit_true"
        assert np.trace(counts) / counts.sum() == outcome.row[f"{kind}_accuracy"]


def test_weights_of_signs_are_signs_times_their_scales(tmp_path):
    save_model(tmp_path / FLOAT_FILE, own_cells.float_model(cell_of("lstm")))
    (layer,) = load_float(tmp_path / FLOAT_FILE).layers
    drawn = np.concatenate([layer.wx.ravel(), layer.wh.ravel()])
    assert (recurrent_weights(tmp_path, SMALL) == drawn).all()
    for granularity, axis in (("matrix", None), ("row", 1)):
        method = Method("xnor", Levels.of(1, 1), granularity=granularity, weight_scales="fitted")
        made = recurrent_weights(tmp_path, replace(SMALL, method=method))
        wanted = [
            np.where(own < 0, -1, 1) * np.abs(own).mean(axis=axis, keepdims=True)
            for own in (layer.wx, layer.wh)
        ]
        assert made == pytest.approx(np.concatenate([own.ravel() for own in wanted]), rel=1e-12)


def test_weights_in_level_bits_are_what_the_bits_stand_for(tmp_path):
    model = quantize(own_cells.float_model(cell_of("lstm")), Levels.of(2, 2), own_cells.windows())
    save_model(tmp_path / QUANTIZED_FILE, model)
    made = recurrent_weights(tmp_path, TWO)
    (layer,) = model.layers
    assert made.tolist() == [*layer.wx.float_values.ravel(), *layer.wh.float_values.ravel()]


def test_weights_are_of_rows_that_have_some(random_float_gru, tmp_path):
    model = random_float_gru(3)
    layer = model.layers[0]
    assert not layer.wx.all()
    save_model(tmp_path / FLOAT_FILE, model)
    found = recurrent_weights(tmp_path, SMALL)
    assert found.all()
    assert found.size == 3 * layer.hidden * (layer.features + layer.hidden)


def test_names_tell_runs_apart():
    names = {
        run_name(recipe)
        for recipe in (SMALL, TWO, replace(TWO, seed=1), replace(TWO, epochs=3), Recipe())
    }
    assert len(names) == 5
    assert run_name(TWO).startswith("mubinn2-2-1-fold0-seed0-")


def test_curve_is_a_picture_with_and_without_validation(tmp_path):
    rows = [{"epoch": k, "loss": 1 / k, "validation_accuracy": 0.5 + k / 10} for k in (1, 2)]
    write_curve(tmp_path / "a.png", rows)
    write_curve(tmp_path / "b.svg", [{**row, "validation_accuracy": None} for row in rows])
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    first = (tmp_path / "b.svg").read_bytes()
    write_curve(tmp_path / "b.svg", [{**row, "validation_accuracy": None} for row in rows])
    assert (tmp_path / "b.svg").read_bytes() == first
    assert b"<svg" in first
    with pytest.raises(MubinnError, match="no picture's name"):
        write_curve(tmp_path / "c.txt", rows)


def test_patience_needs_validation():
    with pytest.raises(MubinnError, match="needs validation"):
        Recipe(patience=2)


def test_subject_normalisation_uses_the_whole_recording(data):
    x = prepare(data.x, normalise="subject", subject=data.subject, decimate=1)
    for one in np.unique(data.subject):
        own = x[data.subject == one].astype(np.float64)
        assert np.abs(own.mean(axis=(0, 1))).max() < 1e-6
        assert np.abs(own.std(axis=(0, 1)) - 1).max() < 1e-6
    alone = data.subject == data.subject[0]
    part = prepare(data.x[alone], normalise="subject", subject=data.subject[alone], decimate=1)
    assert (part == x[alone]).all()
    with pytest.raises(MubinnError, match="give the subjects"):
        prepare(data.x, normalise="subject")
    dead = data.x.copy()
    dead[alone, :, 1] = 5
    with pytest.raises(MubinnError, match=r"Channel 1 is constant.*subject"):
        prepare(dead, normalise="subject", subject=data.subject)


SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from mubinn.golden.binarize.levels import Levels
from mubinn.train.runs.sweep import sweep
from mubinn.train.data.windows import synthetic_eeg
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
small = Recipe(epochs=4, hidden=6, batch=16)
two = replace(small, method=Method("mubinn2", Levels.of(2, 1), h_offset="learned"))
data = synthetic_eeg(120, steps=32, channels=3, seed=2)
for outcome in sweep(data, [two], small, [0], [0], Path(sys.argv[1])):
    print(outcome.name, flush=True)
"""


def killed_often(folder, kills, seconds, seed):
    """Run the script, kill it at `kills` random moments, and let it end; return its folders."""
    rng = random.Random(seed)
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)])
        time.sleep(rng.uniform(0.3, 1) * seconds)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], check=True)
    return {path.name: bytes_of(path) for path in folder.iterdir()}


@pytest.mark.slow
def test_ten_kills_change_no_bit(tmp_path):
    started = time.perf_counter()
    whole = killed_often(tmp_path / "whole", 0, 0, 0)
    seconds = time.perf_counter() - started
    killed = killed_often(tmp_path / "killed", 10, seconds, 1)
    assert sorted(killed) == sorted(whole)
    for name, files in whole.items():
        assert {k: v for k, v in files.items() if k.startswith("model")} == {
            k: v for k, v in killed[name].items() if k.startswith("model")
        }
        ends = [
            json.loads((tmp_path / k / name / LOG).read_text().splitlines()[-1])
            for k in ("whole", "killed")
        ]
        assert ends[0] == ends[1]
