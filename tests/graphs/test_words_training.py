"""Training on words: vectors are learned, graph, reference and integers agree, faults are told."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model import reference
from mubinn.golden.model.model_file import load_model, save_model
from mubinn.train.data.recordings import LabelledSet
from mubinn.train.graphs.graph import Graph
from mubinn.train.recipes.chance import word_draws, word_shares
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import layer_kinds
from mubinn.train.recipes.tuned import tuned
from mubinn.train.recipes.words import words_of
from mubinn.train.runs.trainer import train

WORDS = 12
ABOUT = {"hidden": 8, "embedding": 4, "readout": "last", "batch": 16, "epochs": 6}


def reviews(count=320, steps=6, seed=0):
    """Word 10 stands somewhere in windows of class 1, word 11 in those of class 0."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 10, (count, steps, 1))
    y = rng.integers(0, 2, count)
    x[np.arange(count), rng.integers(0, steps, count), 0] = np.where(y, 10, 11)
    each = np.arange(count)
    about = (None, None, ("word",), ("bad", "good"))
    return LabelledSet(x.astype(np.int16), y, each, each % 4, *about, people=False)


@pytest.fixture(scope="module")
def trained():
    recipe = tuned("float", head="sigmoid", learning_rate=0.02, **ABOUT)
    return train(reviews(), recipe)


def test_words_are_learned(trained):
    assert trained.test_accuracy > 0.95
    assert trained.model.embedding.shape == (WORDS, 4)
    assert (trained.model.channels, trained.model.features) == (1, 4)


def test_the_graph_is_the_reference(trained):
    model, x = trained.model, reviews(20, seed=1).x.astype(np.float32)
    graph = Graph(Method(), "last", layer_kinds(model.layers), head="sigmoid")
    found = np.asarray(graph.logits(graph.start(model, x), x))
    assert found == pytest.approx(reference.logits(model, x), abs=1e-5)


def test_integers_decide_as_the_graph(trained, tmp_path):
    recipe = tuned("mubinn2", Levels.of(2, 2), head="sigmoid", **{**ABOUT, "epochs": 2})
    made = train(reviews(), recipe, start=trained.model)
    assert made.agreement == 1
    assert made.bit_true_accuracy > 0.9
    save_model(tmp_path / "made.mubinn", made.model)
    x = reviews(20, seed=1).x
    again = load_model(tmp_path / "made.mubinn")
    assert (infer(again, x).scores == infer(made.model, x).scores).all()
    assert "input_range" not in made.model.meta


def test_vectors_follow_their_gradient_through_level_bits(trained):
    model, x = trained.model, reviews(16).x.astype(np.float32)
    graph = Graph(
        Method("mubinn2", Levels.of(2, 2)), "last", layer_kinds(model.layers), head="sigmoid"
    )
    params = graph.start(model, x)
    slope = jax.grad(graph.loss)(params, x, reviews(16).y.astype(np.int32))["embedding"]
    seen = np.unique(x.astype(int))
    assert np.abs(slope[seen]).max(axis=1).all()
    assert not np.asarray(slope)[np.setdiff1d(np.arange(WORDS), seen)].any()


@pytest.mark.parametrize(
    ("values", "message"),
    [(0.5, "Words are one whole number a step"), (-1, "Words are one whole number a step")],
)
def test_numbers_that_are_no_words(values, message):
    with pytest.raises(MubinnError, match=message):
        words_of(np.full((2, 3, 1), values))


@pytest.mark.parametrize(
    "changes", [{"normalise": "window"}, {"decimate": 2}, {"gain_spread": 0.1}]
)
def test_words_are_not_taken_for_samples(changes):
    with pytest.raises(MubinnError, match="Words are numbers that are looked up"):
        tuned("float", embedding=4, **changes)


def test_a_first_model_of_other_words(trained):
    data = reviews()
    with pytest.raises(MubinnError, match="has 4 numbers a word, the recipe none: give --emb"):
        train(data, Recipe(**{**ABOUT, "embedding": 0}, head="sigmoid"), start=trained.model)
    recipe = tuned("float", head="sigmoid", **ABOUT)
    recipe = tuned("float", head="sigmoid", **ABOUT)
    others = replace(data, x=data.x + np.int16(1))
    with pytest.raises(MubinnError, match="12 names no word"):
        train(others, recipe, start=trained.model)


def test_frozen_vectors_stay(trained):
    recipe = tuned("float", head="sigmoid", **{**ABOUT, "epochs": 1})
    frozen = replace(recipe, freeze_embedding=True)
    made, other = (train(reviews(), own, start=trained.model).model for own in (frozen, recipe))
    assert (made.embedding == trained.model.embedding).all()
    assert (made.layers[0].wx != trained.model.layers[0].wx).any()
    assert (other.embedding != trained.model.embedding).any()
    with pytest.raises(MubinnError, match=r"--freeze-embedding takes it .* give --float"):
        train(reviews(), frozen)
    with pytest.raises(MubinnError, match="Frozen vectors are of words: give --embedding"):
        Recipe(freeze_embedding=True)


def test_some_words_are_hidden():
    recipe = tuned("float", word_dropout=0.3, **ABOUT)
    one, other = (word_draws(recipe, epoch, 40, 6) for epoch in (0, 1))
    assert one.shape == (40, 16, 6, 1)
    assert (one < 0.3).mean() == pytest.approx(0.3, abs=0.03)
    assert (one != other).any()
    assert (word_shares(recipe, np.array([0, 1, 9])) == np.float32(0.3)).all()
    rarely = replace(recipe, rare_words=9.0)
    assert word_shares(rarely, np.array([1, 9])) == pytest.approx([0.93, 0.65])
    result = train(reviews(), replace(recipe, head="sigmoid", epochs=1))
    plain = train(reviews(), replace(recipe, head="sigmoid", epochs=1, word_dropout=0.0))
    assert result.history[0]["loss"] != plain.history[0]["loss"]
    more = train(reviews(), replace(rarely, head="sigmoid", epochs=1))
    assert more.history[0]["loss"] != result.history[0]["loss"]
    for field in ("word_dropout", "rare_words"):
        with pytest.raises(MubinnError, match="Word dropout is of words"):
            tuned("float", **{field: 0.3})
