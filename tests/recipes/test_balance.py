"""Classes of different rates, and what chance hides from the classifier in training."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.library import lstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.recordings import LabelledSet
from mubinn.train.data.windows import prepare, synthetic_eeg
from mubinn.train.graphs.graph import Graph
from mubinn.train.graphs.network import init_params
from mubinn.train.recipes.chance import kept
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe, batches, class_weights, split
from mubinn.train.recipes.stack import LayerForm, layer_kinds
from mubinn.train.runs.trainer import train

SMALL = Recipe(epochs=3, hidden=8, batch=10, fold=1)


def uneven(windows=400, rare=8):
    """Return windows of which one in `rare` is of class 1."""
    data = synthetic_eeg(windows, steps=48, channels=3, seed=5)
    one = np.flatnonzero(data.y == 1)
    dropped = np.setdiff1d(one, one[:: rare // 2])
    return data.take(np.setdiff1d(np.arange(windows), dropped))


def test_sampling_draws_as_many_windows_of_each_class():
    data = uneven()
    recipe = replace(SMALL, balance="sample")
    parts = split(data, recipe)
    drawn = batches(parts, recipe, 0)
    counts = np.bincount(data.y[drawn.ravel()])
    assert abs(int(counts[0]) - int(counts[1])) <= SMALL.batch
    assert drawn.size > len(parts.train) - 2 * SMALL.batch
    assert set(drawn.ravel()) <= set(parts.train)
    plain = data.y[batches(parts, SMALL, 0).ravel()]
    assert plain.mean() < 0.25  # what the windows are
    rare = parts.train[data.y[parts.train] == 1]
    assert set(rare) <= set(drawn.ravel())  # each several times, none left out
    assert (batches(parts, recipe, 0) == drawn).all()
    assert (batches(parts, recipe, 1) != drawn).any()


def test_weights_give_every_class_the_same_say():
    data = uneven()
    recipe = replace(SMALL, balance="weigh")
    parts = split(data, recipe)
    weights = class_weights(parts, recipe)
    labels = data.y[parts.train]
    shares = [weights[labels[labels == one]].sum() for one in (0, 1)]
    np.testing.assert_allclose(shares, len(labels) / 2, rtol=1e-5)
    assert class_weights(parts, SMALL) is None
    # A class that the data name and training lacks has no weight to divide by.
    named = LabelledSet(
        *(getattr(data, name) for name in ("x", "y", "subject", "fold", "scale_uv", "fs_hz")),
        data.channels,
        (*data.classes, "never seen"),
    )
    assert np.isfinite(class_weights(split(named, recipe), recipe)).all()


def test_the_loss_weighs_windows_and_hides_cells():
    data = uneven()
    form = LayerForm(lstm, 8)
    graph, x, y = Graph(Method(), "mean", (form.kind(1.0),)), prepare(data.x[:6]), data.y[:6]
    params = init_params((form,), 0, 3, 2)
    weight = np.arange(6, dtype=np.float32)
    each = [float(graph.loss(params, x[k : k + 1], y[k : k + 1])) for k in range(6)]
    got = float(graph.loss(params, x, y, weight))
    assert abs(got - float(np.mean(weight * each))) < 1e-5
    hidden = np.ones((6, 8), np.float32)
    hidden[:, 3] = 0
    without = {**params, "wd": params["wd"].at[:, 3].set(0)}
    masked = graph.logits(params, x, hidden)
    np.testing.assert_allclose(masked, graph.logits(without, x), rtol=0, atol=1e-6)
    assert np.abs(masked - graph.logits(params, x)).max() > 1e-3


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_binarized_graphs_hide_cells_as_well(cell):
    data = uneven()
    x = prepare(data.x[:6])
    start = train(data, replace(SMALL, epochs=1, cell=cell)).model
    graph = Graph(Method("mubinn2", Levels.of(2, 2)), "mean", layer_kinds(start.layers))
    params = graph.start(start, x)
    nothing = graph.logits(params, x, jnp.zeros((6, 8)))
    assert np.ptp(np.asarray(nothing), axis=0).max() == 0  # the bias alone
    assert np.ptp(np.asarray(graph.logits(params, x)), axis=0).max() > 0


def test_dropout_keeps_the_mean():
    recipe = replace(SMALL, dropout=0.25, batch=50)
    seen = kept(recipe, 0, 20, 40)
    assert seen.shape == (20, 50, 40)
    assert set(np.unique(seen)) == {np.float32(0), np.float32(4 / 3)}
    assert abs(seen.mean() - 1) < 0.01
    assert (seen == kept(recipe, 0, 20, 40)).all()
    assert (seen != kept(recipe, 1, 20, 40)).any()


def test_rare_classes_are_found_when_they_are_balanced():
    data = uneven(1200, rare=16)
    recipe = Recipe(epochs=6, hidden=8, batch=20, learning_rate=5e-3, fold=1)
    found = {
        how: train(data, replace(recipe, balance=how)).measured
        for how in ("none", "weigh", "sample")
    }
    for how in ("weigh", "sample"):
        assert found[how].balanced_accuracy > found["none"].balanced_accuracy + 0.05


def test_dropout_changes_training_and_not_the_model():
    data = uneven()
    plain, dropped = train(data, SMALL), train(data, replace(SMALL, dropout=0.5))
    assert plain.history[0]["loss"] != dropped.history[0]["loss"]
    scores = dropped.model  # measured without dropout: the golden model says the same
    from mubinn.golden.model import reference

    held = data.fold == 1
    right = reference.logits(scores, prepare(data.x[held])).argmax(axis=1) == data.y[held]
    assert abs(right.mean() - dropped.test_accuracy) < 0.02


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"balance": "other"}, "balance 'other' is unknown; use 'none', 'weigh' or 'sample'"),
        ({"dropout": 1.0}, r"dropout is 1.0; it must be in \[0, 1\)"),
        (
            {"balance": "sample", "subject_calibration": "trained", "batch": 60},
            "give --balance weigh",
        ),
    ],
)
def test_recipes_that_make_no_sense(change, words):
    with pytest.raises(MubinnError, match=words):
        Recipe(**change)
