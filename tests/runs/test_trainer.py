"""The float trainer: gradients, agreement with the reference, learning, kills and resumes."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import reference
from mubinn.golden.model.float_layer import lstm_layer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.model_file import load_float
from mubinn.train.data.windows import find_data, load_labelled, prepare, synthetic_eeg
from mubinn.train.recipes.recipe import CLIP, Recipe, batches, split
from mubinn.train.recipes.stack import layer_kinds
from mubinn.train.runs.checkpoint import load_checkpoint, save_checkpoint
from mubinn.train.runs.trainer import CHECKPOINT, train

SMALL = Recipe(epochs=3, hidden=8, batch=16, validation=0.2)


def small_data():
    return synthetic_eeg(120, steps=64, channels=4, seed=2)


def random_model(seed, sizes, classes, clip, readout):
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(0, 0.5, shape).astype(np.float32)

    layers = tuple(
        lstm_layer(draw(4 * h, i), draw(4 * h, h), draw(4 * h), clip) for i, h in pairwise(sizes)
    )
    return FloatModel(layers, draw(classes, sizes[-1]), draw(classes), readout)


@pytest.mark.parametrize(
    ("sizes", "clip", "readout"),
    [
        ((5, 7), 1.0, "mean"),
        ((5, 7), 0.4, "last"),
        ((3, 6, 4), None, "mean"),
        ((3, 5), 1.0, "leaky:3@7"),
    ],
)
def test_forward_equals_the_reference(sizes, clip, readout):
    import jax.numpy as jnp

    from mubinn.train.graphs import network
    from mubinn.train.graphs.graph import Graph
    from mubinn.train.recipes.method import Method

    model = random_model(1, sizes, 3, clip, readout)
    x = np.random.default_rng(2).normal(0, 1.5, (6, 40, sizes[0])).astype(np.float32)
    graph = Graph(Method(), readout, layer_kinds(model.layers))
    params = graph.start(model, x)
    got = np.asarray(graph.logits(params, jnp.asarray(x)))
    want = reference.logits(model, x)
    assert np.abs(want).max() > 0.1
    # float32 rounding over 40 steps of the recurrence; a wrong gate order is off by 0.1 and more.
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
    about = readout, model.preprocessing, {}
    back = network.to_model(params, graph.kinds, *about)
    for one, other in zip(model.layers, back.layers, strict=True):
        assert (one.wx == other.wx).all()
        assert (one.wh == other.wh).all()
        assert (one.b == other.b).all()
        assert one.clips == other.clips
    assert (back.wd == model.wd).all()
    assert (back.bd == model.bd).all()


def test_split_keeps_subjects_apart():
    data = synthetic_eeg(400, steps=16, channels=1, subjects=20)
    parts = split(data, Recipe(fold=2, validation=0.25))
    sets = [set(data.subject[part].tolist()) for part in (parts.train, parts.validation)]
    assert (data.fold[parts.test] == 2).all()
    assert [len(s) for s in sets] == [12, 4]
    assert not sets[0] & sets[1]
    everything = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(everything.tolist()) == list(range(400))
    other = split(data, Recipe(fold=2, validation=0.25, seed=9))
    assert (other.validation == parts.validation).all()
    assert len(split(data, Recipe(fold=2)).validation) == 0


def test_batches_depend_on_seed_and_epoch_alone():
    data = small_data()
    parts = split(data, SMALL)
    first = batches(parts, SMALL, 0)
    assert first.shape[1] == 16
    assert len(set(first.ravel().tolist())) == first.size
    assert set(first.ravel().tolist()) <= set(parts.train.tolist())
    assert (first == batches(parts, SMALL, 0)).all()
    assert (first != batches(parts, SMALL, 1)).any()


def test_trainer_learns_synthetic_eeg():
    data = synthetic_eeg(600, steps=160, seed=7)
    result = train(data, Recipe(hidden=16, epochs=8, batch=32, learning_rate=5e-3))
    assert result.test_accuracy > 0.7  # chance is 0.5, of 120 windows
    assert result.history[-1]["loss"] < 0.9 * result.history[0]["loss"]
    assert result.validation_accuracy is None
    # The golden model alone reproduces the accuracy that training states.
    held = data.fold == 0
    scores = reference.logits(result.model, prepare(data.x[held]))
    assert abs((scores.argmax(axis=-1) == data.y[held]).mean() - result.test_accuracy) < 0.01
    assert result.model.meta["test_accuracy"] == f"{result.test_accuracy:.4f}"
    shuffled = data.y[np.random.default_rng(0).permutation(data.windows)]
    assert (scores.argmax(axis=-1) == shuffled[held]).mean() < 0.65


def weights(model):
    layer = model.layers[0]
    return [layer.wx, layer.wh, layer.b, model.wd, model.bd]


def same(one, other):
    return all((a == b).all() for a, b in zip(weights(one), weights(other), strict=True))


class Killed(Exception):
    pass


def kill_at(epoch, step):
    def progress(now):
        if (now.epoch, now.step) == (epoch, step):
            raise Killed

    return progress


def without_times(path):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_interrupted_run_resumes_to_identical_weights(tmp_path):
    data = small_data()
    whole = train(data, SMALL, log=tmp_path / "whole.jsonl")
    assert not same(whole.model, train(data, Recipe(**vars(SMALL) | {"seed": 1})).model)
    for number, (epoch, step) in enumerate([(0, 1), (1, 1), (1, 4), (2, 2)]):
        folder = tmp_path / str(number)
        log = folder / "log.jsonl"
        with pytest.raises(Killed):
            train(data, SMALL, checkpoint_dir=folder, log=log, progress=kill_at(epoch, step))
        assert (folder / CHECKPOINT).exists() == (epoch > 0)
        seen = []
        resumed = train(data, SMALL, checkpoint_dir=folder, log=log, progress=seen.append)
        assert seen[0].epoch == epoch  # nothing is trained twice
        assert same(resumed.model, whole.model)
        assert resumed.test_accuracy == whole.test_accuracy
        assert without_times(log) == without_times(tmp_path / "whole.jsonl")
    again = train(data, SMALL, checkpoint_dir=folder, progress=kill_at(0, 1))
    assert same(again.model, whole.model)  # a finished run is not trained again


def test_a_folder_is_trained_in_by_one_process_at_a_time(tmp_path):
    data, folder = small_data(), tmp_path / "one"

    def beside(now):
        with pytest.raises(MubinnError, match=f"Another process trains in {folder}: wait"):
            train(data, SMALL, checkpoint_dir=folder)
        raise Killed

    with pytest.raises(Killed):
        train(data, SMALL, checkpoint_dir=folder, progress=beside)
    with pytest.raises(Killed):
        train(data, SMALL, checkpoint_dir=folder, progress=kill_at(0, 1))


def test_sigkill_in_the_middle_leaves_a_good_checkpoint(tmp_path):
    code = f"""
import os, signal
from pathlib import Path
from mubinn.train.data.windows import synthetic_eeg
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.runs.trainer import train
def progress(now):
    if (now.epoch, now.step) == (2, 2):
        os.kill(os.getpid(), signal.SIGKILL)
train(synthetic_eeg(120, steps=64, channels=4, seed=2), {SMALL!r},
            checkpoint_dir=Path({str(tmp_path)!r}), progress=progress)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=120)
    assert done.returncode == -9
    _, meta = load_checkpoint(tmp_path / CHECKPOINT)
    assert [row["epoch"] for row in meta["history"]] == [1, 2]
    resumed = train(small_data(), SMALL, checkpoint_dir=tmp_path)
    assert same(resumed.model, train(small_data(), SMALL).model)


def test_checkpoint_of_another_run_or_damaged_is_refused(tmp_path, monkeypatch):
    data = small_data()
    one = Recipe(**vars(SMALL) | {"epochs": 1})
    train(data, one, checkpoint_dir=tmp_path)
    path = tmp_path / CHECKPOINT
    with pytest.raises(MubinnError, match="another recipe or other data"):
        train(data, SMALL, checkpoint_dir=tmp_path)
    with pytest.raises(MubinnError, match="another recipe or other data"):
        train(data.take(np.arange(119)), one, checkpoint_dir=tmp_path)
    found = jax.devices()
    monkeypatch.setattr("mubinn.train.runs.devices.jax.devices", lambda: found[:1])
    with pytest.raises(MubinnError, match="sums in 2 parts, of which there are 1 now"):
        train(data, one, checkpoint_dir=tmp_path)
    monkeypatch.undo()
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"", b"PK" + whole[2:900]):
        path.write_bytes(damaged)
        with pytest.raises(MubinnError, match="damaged or no checkpoint"):
            train(data, one, checkpoint_dir=tmp_path)
    for place in range(200, len(whole), len(whole) // 12):  # every array is under a CRC
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        path.write_bytes(flipped)
        try:
            arrays, _ = load_checkpoint(path)
        except MubinnError:
            continue
        path.write_bytes(whole)
        assert all((arrays[k] == v).all() for k, v in load_checkpoint(path)[0].items())


def without(name):
    return lambda arrays, meta: meta["history"][0].pop(name)


def with_row(**values):
    return lambda arrays, meta: meta["history"][0].update(values)


OTHERWISE = {
    "no loss": without("loss"),
    "an endless loss": with_row(loss=float("inf")),
    "seconds of text": with_row(seconds="1"),
    "one validation alone": with_row(validation_accuracy=None),
    "no balanced validation": without("validation_balanced_accuracy"),
    "no validation": lambda arrays, meta: [
        meta["history"][0].pop(f"validation_{name}") for name in ("accuracy", "balanced_accuracy")
    ],
    "another epoch": with_row(epoch=2),
    "rows of another type": lambda arrays, meta: meta.update(history=[1]),
    "a best epoch to come": lambda arrays, meta: meta.update(best_epoch=2),
    "a best epoch of truth": lambda arrays, meta: meta.update(best_epoch=True),
    "a leaf renamed": lambda arrays, meta: arrays.update(leaf99=arrays.pop("leaf0")),
    "a leaf of another shape": lambda arrays, meta: arrays.update(leaf0=arrays["leaf0"][None]),
    "a leaf of another type": lambda arrays, meta: arrays.update(
        leaf0=arrays["leaf0"].astype("f8")
    ),
}


def test_a_checkpoint_of_other_content_is_refused(tmp_path):
    data = small_data()
    one = Recipe(**vars(SMALL) | {"epochs": 1})
    train(data, one, checkpoint_dir=tmp_path)
    path = tmp_path / CHECKPOINT
    for name, change in OTHERWISE.items():
        arrays, meta = load_checkpoint(path)
        change(arrays, meta)
        folder = tmp_path / name.replace(" ", "-")
        save_checkpoint(folder / CHECKPOINT, arrays, meta)
        with pytest.raises(MubinnError, match="damaged or no checkpoint"):
            train(data, one, checkpoint_dir=folder)


def test_write_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "deep" / CHECKPOINT
    save_checkpoint(path, {"a": np.arange(3)}, {"k": 1})
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(MubinnError, match="cannot be written: no space left"):
        save_checkpoint(path, {"a": np.arange(4)}, {"k": 1})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_log_rows(tmp_path):
    log = tmp_path / "log.jsonl"
    result = train(small_data(), SMALL, log=log, notes={"data": "synthetic"})
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row["event"] for row in rows] == ["start", "epoch", "epoch", "epoch", "end"]
    assert rows[0]["recipe"]["hidden"] == 8
    assert rows[0]["windows"] == {"train": 72, "validation": 24, "test": 24}
    assert rows[-1]["test_accuracy"] == result.test_accuracy
    assert rows[-2]["validation_accuracy"] == result.validation_accuracy
    meta = result.model.meta
    assert meta["data"] == "synthetic"
    assert json.loads(meta["recipe"]) == rows[0]["recipe"]
    assert meta["validation_accuracy"] == f"{result.validation_accuracy:.4f}"


def test_progress_display_counts_all_steps():
    from rich.console import Console

    from mubinn.train.runs.progress import rich_progress

    console = Console(record=True, width=120, force_terminal=False)
    with rich_progress(console) as show:
        train(small_data(), SMALL, progress=show)
    text = console.export_text()
    assert "epoch 3/3" in text
    assert "validation" in text


BAD_RECIPES = {
    "epochs": (0, "at least 1"),
    "hidden": (-1, "at least 1"),
    "batch": (0, "at least 1"),
    "fold": (-1, "must be 0 or more"),
    "seed": (-1, "must be 0 or more"),
    "learning_rate": (float("nan"), "positive number"),
    "grad_norm": (0.0, "positive number"),
    "c_clip": (-0.5, "0 or a positive number"),
    "warmup": (1.0, "must be in"),
    "validation": (-0.1, "must be in"),
    "readout": ("first", "unknown readout 'first'"),
    "datapath": ("threshold", "Method float leaves gates in full precision"),
}


@pytest.mark.parametrize("name", BAD_RECIPES)
def test_bad_recipe(name):
    value, message = BAD_RECIPES[name]
    with pytest.raises(MubinnError, match=message):
        Recipe(**{name: value})


def test_data_that_cannot_be_trained_on(tmp_path, monkeypatch):
    data = small_data()
    with pytest.raises(MubinnError, match="Fold 7 has no windows; the data have folds 0, 1"):
        train(data, Recipe(fold=7))
    with pytest.raises(MubinnError, match="96 training windows do not fill a batch of 97"):
        train(data, Recipe(batch=97))
    lopsided = data.take((data.fold == 0) | (data.y == 1))
    with pytest.raises(MubinnError, match="belong to one class"):
        train(lopsided, SMALL)
    with pytest.raises(MubinnError, match="no longer finite in epoch"):
        train(data, Recipe(**vars(SMALL) | {"learning_rate": 3e38}))
    monkeypatch.setitem(sys.modules, "optax", None)
    with pytest.raises(MubinnError, match=r"needs optax.*mubinn\[train\]"):
        train(data, SMALL)


def test_trainer_imports_without_jax():
    code = (
        "import sys; sys.modules['jax'] = None; sys.modules['optax'] = None\n"
        "import mubinn.train.runs.trainer, mubinn.train.recipes.recipe, mubinn.train.runs.progress"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(find_data() is None, reason="the eegmmidb windows are not here")
def test_real_eeg_is_learned_above_chance():
    data = load_labelled(find_data())
    some = data.take((data.fold == 0) | (data.subject % 3 == 0))
    result = train(some, Recipe(epochs=2, hidden=24, batch=32))
    assert result.test_accuracy > 0.6  # the standard error of 660 windows is 0.02


@pytest.mark.slow
@pytest.mark.skipif(find_data() is None, reason="the eegmmidb windows are not here")
def test_bundled_recipe_reaches_82_percent_on_fold_0():
    assert train(load_labelled(find_data())).test_accuracy >= 0.82


BUNDLED = Path(__file__).parents[2] / "train" / "models" / "eeg_float.safetensors"


def test_bundled_model_loads():
    assert BUNDLED.stat().st_size < 300_000
    model = load_float(BUNDLED)
    assert (model.features, model.layers[0].hidden, model.classes) == (32, 100, 2)
    assert (model.layers[0].clip("c"), model.readout) == (1.0, "mean")
    assert float(model.meta["test_accuracy"]) >= 0.82
    usual = {**Recipe().to_json(), "c_clip": CLIP}  # the defaults make it
    assert {k: usual[k] for k in json.loads(model.meta["recipe"])} == json.loads(
        model.meta["recipe"]
    )


@pytest.mark.skipif(find_data() is None, reason="the eegmmidb windows are not here")
def test_bundled_model_has_the_accuracy_it_states():
    from mubinn.train.graphs.graph import Graph
    from mubinn.train.recipes.method import Method

    model = load_float(BUNDLED)
    data = load_labelled(find_data())
    held = data.fold == 0
    graph = Graph(Method(), model.readout, layer_kinds(model.layers))
    x = prepare(data.x[held])
    scores = np.asarray(graph.logits(graph.start(model, x), x))
    right = (scores.argmax(axis=1) == data.y[held]).mean()
    # Another processor rounds float32 sums otherwise: two windows may tip over.
    assert abs(right - float(model.meta["test_accuracy"])) < 2.5 / held.sum()


@pytest.mark.parametrize(("steps", "share"), [(1, 1.0), (800, 1.0), (3200, 0.25)])
def test_scales_take_smaller_steps_in_longer_runs(steps, share):
    from mubinn.train.graphs.graph import Pace

    assert Pace(1e-3, 4e-3, 0.05, 1.0, steps).own_scale_rate == share * 4e-3


def test_a_step_of_a_long_run_moves_scales_less_and_weights_alike():
    from mubinn.golden.binarize.levels import Levels
    from mubinn.train.graphs.graph import Graph, Pace, compiled
    from mubinn.train.recipes.method import Method

    x = prepare(small_data().x[:16])
    start = random_model(3, (4, 5), 2, 1.0, "mean")
    graph = Graph(Method("mubinn2", Levels.of(1, 1)), "mean", layer_kinds(start.layers))
    moved = {}
    for steps in (800, 3200):
        optimizer, step, _ = compiled(graph, Pace(1e-3, 4e-3, 0.0, 1.0, steps))
        before = jax.tree.map(np.asarray, graph.start(start, x))
        after = step(graph.start(start, x), optimizer.init(before), x, np.arange(16) % 2)[0]
        moved[steps] = jax.tree.map(lambda one, other: np.asarray(other) - one, before, after)
    short, long = moved[800], moved[3200]
    assert np.abs(short["wd"]).max() > 0
    np.testing.assert_allclose(long["wd"], short["wd"], rtol=1e-5, atol=1e-8)
    for name in ("x", "wx", "h"):
        assert np.abs(short["scales"][name]).max() > 3e-3
        np.testing.assert_allclose(long["scales"][name], short["scales"][name] / 4, rtol=1e-3)


def _grown(levels, **changes):
    """Return the scales of c and the gates after a step from scales of e, and those of x and h."""
    from mubinn.golden.binarize.levels import Levels
    from mubinn.train.graphs.graph import Graph, Pace, compiled
    from mubinn.train.recipes.method import Method

    x = prepare(small_data().x[:16])
    start = random_model(3, (4, 5), 2, 1.0, "mean")
    kinds = layer_kinds(start.layers)
    graph = Graph(Method("mubinn2", Levels.of(*levels), **changes), "mean", kinds)
    params = graph.start(start, x)
    params["scales"] = jax.tree.map(jax.numpy.ones_like, params["scales"])
    optimizer, step, _ = compiled(graph, Pace(1e-3, 1e-3, 0.0, 1.0, 10))
    after = step(params, optimizer.init(params), x, np.arange(16) % 2)[0]
    return {name: np.exp(np.asarray(logs)).ravel() for name, logs in after["scales"].items()}


def test_at_one_level_scales_stay_within_what_gates_and_c_reach():
    scales = _grown((1, 1))
    np.testing.assert_allclose(scales["gate"], [0.4, 0.45, 1.0, 0.45], rtol=1e-6)  # f, i, g, o
    np.testing.assert_allclose(scales["c"], [0.9], rtol=1e-6)
    assert min(scales["x"].min(), scales["h"].min(), scales["wx"].min()) > 2.5
    f, i, g, _ = scales["gate"]
    c = scales["c"][0]
    assert (0.5 + i) * g > (0.5 + f) * c  # both high: what is new is taken
    assert (0.5 - i) * g < (0.5 - f) * c  # both low: what is old is kept


def test_scales_at_more_levels_are_free():
    scales = _grown((2, 2))
    assert min(values.min() for values in scales.values()) > 2.5


def test_gates_about_zero_reach_as_far_as_a_sigmoid():
    np.testing.assert_allclose(
        _grown((1, 1), gate_offset=0.0)["gate"], [0.8, 0.9, 1.0, 0.9], rtol=1e-6
    )
