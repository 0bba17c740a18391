"""Labels of steps: the loss counts those that there are, and what is measured is them."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.metrics import MOST_CLASSES
from mubinn.golden.model import bit_true, reference
from mubinn.train.data.recordings import LabelledSet
from mubinn.train.graphs.graph import Graph
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import layer_kinds, parse_layers
from mubinn.train.recipes.tuned import tuned
from mubinn.train.runs.trainer import train

WORDS, CONTEXT = 6, 2
ABOUT = {"hidden": 8, "embedding": 4, "readout": "every", "batch": 16, "validation": 0.2}


def texts(count=160, steps=6, seed=0, classes=WORDS):
    """Each word is one more than that before, now and then any; the last step has no label."""
    rng = np.random.default_rng(seed)
    words = np.zeros((count, steps + 1), int)
    words[:, 0] = rng.integers(0, WORDS, count)
    for t in range(steps):
        after = (words[:, t] + 1) % WORDS
        words[:, t + 1] = np.where(rng.random(count) < 0.2, rng.integers(0, WORDS, count), after)
    y = words[:, 1:].copy()
    y[:, :CONTEXT] = y[:, -1] = -1
    y[rng.random((count, steps)) < 0.1] = -1
    each, names = np.arange(count), tuple(map(str, range(classes)))
    x = words[:, :-1, None].astype(np.int16)
    return LabelledSet(x, y, each, each % 4, None, None, ("word",), names, people=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    log = tmp_path_factory.mktemp("steps") / "log.jsonl"
    recipe = tuned("float", learning_rate=0.03, epochs=6, **ABOUT)
    return train(texts(), recipe, log=log), [json.loads(x) for x in log.read_text().splitlines()]


def by_hand(logits, y):
    """Return right decisions and nats of the steps with a label, one after the other."""
    right, nats = [], []
    for window, t in np.argwhere(y >= 0):
        own, label = logits[window, t], y[window, t]
        right.append(own.argmax() == label)
        nats.append(np.log(np.exp(own - own.max()).sum()) + own.max() - own[label])
    return np.mean(right), np.mean(nats)


@pytest.mark.parametrize("readout", ["every", "running", "leaky:2"])
def test_the_loss_is_the_mean_over_labelled_steps(trained, readout):
    data, model = texts(12), replace(trained[0].model, readout=readout)
    x = data.x.astype(np.float32)
    want = by_hand(reference.logits(model, x), data.y)[1]
    for skipped in (0, CONTEXT):
        graph = Graph(Method(), readout, layer_kinds(model.layers), skipped=skipped)
        params = graph.start(model, x)
        assert jax.eval_shape(graph.logits, params, x).shape == (12, 6 - skipped, WORDS)
        loss = jax.jit(graph.loss)
        assert float(loss(params, x, jnp.asarray(data.y))) == pytest.approx(want, abs=1e-5)
    assert float(loss(params, x, jnp.full((12, 6), -1))) == 0


def test_measures_are_those_of_labelled_steps(trained):
    result, rows = trained
    data = texts()
    test = data.fold == 0
    logits = reference.logits(result.model, data.x[test].astype(np.float32))
    accuracy, nats = by_hand(logits, data.y[test])
    assert result.test_accuracy == accuracy > 0.6
    assert rows[-1]["test_perplexity"] == pytest.approx(np.exp(nats), rel=1e-4)
    assert result.test.windows == (data.y[test] >= 0).sum()
    assert rows[-1]["test_perplexity"] < 3.5
    assert result.model.meta["test_perplexity"] == f"{rows[-1]['test_perplexity']:.4f}"


def test_the_epoch_of_least_cross_entropy_is_kept():
    recipe = tuned("float", learning_rate=0.3, epochs=8, grad_norm=100.0, **ABOUT)
    result = train(texts(), recipe)
    told = [row["validation_perplexity"] for row in result.history]
    assert result.best_epoch == 1 + int(np.argmin(told)) < len(told)
    assert result.model.meta["validation_perplexity"] == f"{min(told):.4f}"


def test_integers_are_measured_at_steps(trained):
    data = texts()
    recipe = tuned("mubinn2", Levels.of(2, 2), **ABOUT, epochs=1)
    made = train(data, recipe, start=trained[0].model)
    test = data.fold == 0
    codes = made.model.encode_input(data.x[test].astype(np.float32))
    values = made.model.values(bit_true.run(made.model, codes)[1], 6)
    accuracy, nats = by_hand(values, data.y[test])
    assert made.bit_true_accuracy == accuracy
    assert made.bit_true.nats == pytest.approx(nats, rel=1e-12)
    assert made.model.meta["bit_true_perplexity"] == f"{np.exp(nats):.4f}"
    assert made.agreement > 0.95


def test_many_classes_have_an_accuracy_alone():
    classes = MOST_CLASSES + 1
    recipe = tuned("float", learning_rate=0.03, epochs=1, **ABOUT)
    result = train(texts(80, classes=classes), recipe)
    assert set(result.test.figures) == {"accuracy", "perplexity"}
    assert set(result.history[0]) >= {"validation_accuracy", "validation_perplexity"}
    assert "test_f1" not in result.model.meta
    with pytest.raises(MubinnError, match="the accuracy alone is kept"):
        _ = result.test.f1


def test_a_sigmoid_has_labels_of_steps():
    data = texts()
    y = np.where(data.y < 0, -1, data.y % 2)
    data = replace(data, y=y, classes=("even", "odd"))
    recipe = tuned("float", learning_rate=0.03, epochs=4, head="sigmoid", **ABOUT)
    result = train(data, recipe)
    test = data.fold == 0
    logits = reference.logits(result.model, data.x[test].astype(np.float32))
    both = np.concatenate([np.zeros_like(logits), logits], axis=2)
    accuracy, nats = by_hand(both, y[test])
    assert result.test_accuracy == accuracy > 0.6
    assert result.test.nats == pytest.approx(nats, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"readout": "last"}, "give --readout every"),
        ({"decimate": 2, "embedding": 0}, "give --decimate 1"),
        ({"balance": "weigh"}, "leave --balance out"),
        ({"balance": "sample"}, "leave --balance out"),
        ({"layers": parse_layers("conv 4x2, gru 4")}, "layers that shorten windows leave 5"),
        ({"subject_calibration": "subject"}, "Subject calibration is of one class a window"),
    ],
)
def test_recipes_that_have_no_use_for_labels_of_steps(changes, message):
    about = {**ABOUT, "normalise": "none", "decimate": 1, **changes}
    with pytest.raises(MubinnError, match=message):
        train(texts(), Recipe(**about))


def test_a_part_without_labels():
    data = texts()
    y = np.where((data.fold == 0)[:, None], -1, data.y)
    with pytest.raises(MubinnError, match="No step of the test windows of fold 0 has a label"):
        train(replace(data, y=y), tuned("float", **ABOUT))
