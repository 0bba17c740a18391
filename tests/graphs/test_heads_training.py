"""Training of heads and readouts: losses, agreement with the golden models, runs, and faults."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stacks import STACKS, stacked

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.metrics import Errors
from mubinn.golden.inference.run import infer
from mubinn.golden.model import reference
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.head import READINGS, reading_of
from mubinn.train.data.recordings import LabelledSet
from mubinn.train.data.windows import prepare, synthetic_eeg
from mubinn.train.graphs.graph import Graph
from mubinn.train.graphs.losses import Span, each
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import LayerKind, parse_layers
from mubinn.train.runs.checkpoint import read_log
from mubinn.train.runs.export import to_quantized
from mubinn.train.runs.trainer import CHECKPOINT, train

HEADS = [("classes", 3), ("sigmoid", 1), ("regression", 2)]


def drawn(readout, head, outputs):
    model = stacked(STACKS["frames of an LSTM"][:1], 3, readout)
    bd = np.array([0.3, -0.2, 0.1])[:outputs]
    model = replace(model, wd=model.wd[:outputs], bd=bd, head=head)
    x = np.random.default_rng(1).normal(0, 1, (40, 14, 3)).astype(np.float32)
    span = Span((4.0, 0.25), (3.0, -1.5)) if head == "regression" else Span()
    kinds = (LayerKind.of(model.layers[0]),)
    return model, x, {"kinds": kinds, "head": head, "span": span}


@pytest.mark.parametrize(("head", "outputs"), HEADS)
@pytest.mark.parametrize("readout", READINGS)
def test_graphs_are_the_golden_models(readout, head, outputs):
    model, x, about = drawn(readout, head, outputs)
    graph = Graph(Method(), readout, **about)
    found = np.asarray(graph.logits(graph.start(model, x), x))
    want = reference.logits(model, x)
    assert found.shape == want.shape
    assert np.abs(found - want).max() < 1e-5
    method = Method("mubinn2", Levels.of(3, 3))
    graph = replace(graph, method=method)
    params = graph.start(model, x)
    own = graph.span.spread(params)
    made = to_quantized(graph, own, Preprocessing(), {})
    assert (made.head, made.outputs) == (head, outputs)
    scores = infer(made, x).scores
    found = np.asarray(jax.jit(graph.logits)(params, x), np.float64)
    found *= reading_of(readout).divisor(made.steps(x.shape[1])) * 2.0**made.dense.b.fraction
    assert (np.rint(found) == scores).all()
    assert len(np.unique(scores)) > 20


@pytest.mark.parametrize("readout", ["last", "every"])
def test_losses(readout):
    y, z = np.array([0, 1, 1]), np.array([[0.5], [2.0], [-1.0]], np.float32)
    shares = 1 / (1 + np.exp(-z[:, 0]))
    wanted = -np.log(np.where(y, shares, 1 - shares))
    numbers = np.float32([[1.0, 2.0], [0.0, 4.0], [3.0, 3.0]])
    far = np.float32([[1.5, 2.0], [0.0, 2.0], [5.0, 4.0]])
    span = Span((2.0, 4.0), (0.0, 0.0))
    errors = ((far - numbers) / np.array(span.units)) ** 2
    two = np.concatenate([np.zeros_like(z), z], axis=1)
    if readout == "every":
        z, far, two = (np.repeat(scores[:, None], 4, axis=1) for scores in (z, far, two))
        wanted, errors = np.tile(wanted[:, None], 4), np.repeat(errors[:, None], 4, axis=1)
    assert each("sigmoid", z, y, Span()) == pytest.approx(wanted, rel=1e-6)
    assert each("classes", jnp.asarray(two), y, Span()) == pytest.approx(wanted, rel=1e-6)
    assert each("regression", far, numbers, span) == pytest.approx(errors.mean(-1), rel=1e-6)


def labelled(kind, windows=160, steps=16):
    """Windows whose first channel says the label, which is two classes or two numbers."""
    random = np.random.default_rng(3)
    level = random.uniform(-1, 1, windows)
    x = random.normal(0, 0.3, (windows, steps, 3)) + level[:, None, None]
    data = synthetic_eeg(windows, steps=steps, channels=3, seed=2)
    fields = {**vars(data), "x": x.astype(np.float32)}
    if kind == "regression":
        far = 500 + 80 * level
        return LabelledSet(**fields | {"y": np.stack([far, -level], axis=1), "classes": ()})
    return LabelledSet(**fields | {"y": (level > 0).astype(np.int64)})


SMALL = Recipe(
    epochs=5, batch=16, learning_rate=2e-2, decimate=1, normalise="none",
    layers=parse_layers("lstm 6"),
)  # fmt: skip
BINARY = Method("mubinn2", Levels.of(3, 3))


class Stopped(Exception):
    pass


@pytest.mark.parametrize(
    ("head", "readout"), [("sigmoid", "every"), ("regression", "running"), ("regression", "mean")]
)
def test_heads_train_and_resume(tmp_path, head, readout):
    data = labelled(head)
    recipe = replace(SMALL, head=head, readout=readout, validation=0.2)
    start = train(data, recipe)
    losses = [row["loss"] for row in start.history]
    assert losses[-1] < 0.7 * losses[0]
    recipe = replace(recipe, method=BINARY, epochs=3, learning_rate=5e-3)

    def stop(now):
        if now.epoch == 2:
            raise Stopped

    folder, log = tmp_path / "run", tmp_path / "log.jsonl"
    with pytest.raises(Stopped):
        train(data, recipe, start=start.model, checkpoint_dir=folder, progress=stop)
    assert (folder / CHECKPOINT).exists()
    made = train(data, recipe, start=start.model, checkpoint_dir=folder, log=log)
    whole = train(data, recipe, start=start.model)
    assert (made.model.dense.w.bits == whole.model.dense.w.bits).all()
    assert (made.model.dense.b.scales == whole.model.dense.b.scales).all()
    assert made.model.head == head
    assert made.agreement == 1
    found, end = made.measured, read_log(log)[-1]
    test = data.fold == 0
    x = prepare(data.x[test], normalise="none", decimate=1)
    scores = infer(made.model, x).scores
    if head == "sigmoid":
        right = (scores[:, -1, 0] >= 0) == data.y[test]
        assert found.accuracy == right.mean() > 0.8
        assert end["test_accuracy"] == made.test_accuracy
        return
    told = made.model.values(scores, x.shape[1])
    told = told[:, -1] if readout == "running" else told
    assert found.mean_absolute_error == pytest.approx(np.abs(told - data.y[test]).mean())
    assert found.r2 > 0.5
    assert end["bit_true_r2"] == found.r2
    assert not [name for name in (*end, *made.model.meta) if "accuracy" in name]
    assert made.model.meta["test_r2"] == f"{made.test.r2:.4f}"
    assert made.validation_accuracy is None
    assert {"validation_r2", "validation_mean_absolute_error"} < set(made.history[0])
    best = max(made.history, key=lambda row: row["validation_r2"])
    assert made.best_epoch == best["epoch"]
    with pytest.raises(MubinnError, match="has no accuracy: read its errors"):
        _ = made.accuracy


def test_recipes_tell_heads_where_they_are_not_classes():
    assert replace(SMALL, head="sigmoid").to_json()["head"] == "sigmoid"
    assert "head" not in Recipe().to_json()


def test_what_heads_do_not_take():
    classes, numbers = labelled("classes"), labelled("regression")
    start = train(classes, replace(SMALL, epochs=1, head="sigmoid")).model
    with pytest.raises(MubinnError, match="has a sigmoid head, and training is of a classes head"):
        train(classes, SMALL, start=start)
    with pytest.raises(MubinnError, match="data are of classes, which a regression head does not"):
        train(classes, replace(SMALL, head="regression"))
    with pytest.raises(MubinnError, match="data are of numbers, which a classes head does not"):
        train(numbers, SMALL)
    three = replace(classes, y=np.arange(160) % 3, classes=("a", "b", "c"))
    with pytest.raises(MubinnError, match="One sigmoid decides between 2 classes, and the data ha"):
        train(three, replace(SMALL, head="sigmoid"))
    flat = replace(numbers, y=np.ones((160, 1)))
    with pytest.raises(MubinnError, match="is the same in all training windows: leave it out"):
        train(flat, replace(SMALL, head="regression"))
    fine = replace(numbers, y=1e-4 * numbers.y)
    with pytest.raises(MubinnError, match="give y in a smaller unit"):
        train(fine, replace(SMALL, head="regression", method=BINARY))
    with pytest.raises(MubinnError, match="no classes to balance: leave --balance out"):
        replace(SMALL, head="regression", balance="weigh")
    for change in ({"head": "sigmoid"}, {"readout": "every"}):
        with pytest.raises(MubinnError, match="Subject calibration is of one class a window"):
            replace(SMALL, subject_calibration="subject", **change)


def test_errors_of_numbers():
    truth = np.array([[0.0, 5.0], [2.0, 5.0]])
    assert Errors(truth, truth).r2 == 1
    mean = np.array([[1.0, 4.0], [1.0, 5.0]])
    assert Errors(truth, mean).r2 == 0
    with pytest.raises(MubinnError, match=r"shape \(2, 2\) for \(2, 1\) told"):
        Errors(truth, mean[:, :1])
