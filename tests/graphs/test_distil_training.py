"""A teacher: the loss against what it says, and weights that no label has a part in."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import reference
from mubinn.train.data.synthetic import synthetic_eeg
from mubinn.train.graphs.graph import Graph
from mubinn.train.graphs.losses import Span
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import layer_kinds
from mubinn.train.runs.devices import BatchSharding
from mubinn.train.runs.teacher import teacher
from mubinn.train.runs.trainer import train

SMALL = {"epochs": 1, "hidden": 6, "batch": 16}
SHARE = 0.75


def windows():
    return synthetic_eeg(80, steps=16, channels=3, seed=4)


@pytest.fixture(scope="module")
def trained():
    return train(windows(), Recipe(**SMALL)).model


def log_softmax(scores):
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def cross_entropy(scores, target):
    return -(target * log_softmax(scores)).sum(axis=-1)


def of_classes(scores, taught, y):
    hard = cross_entropy(scores, np.eye(scores.shape[-1])[np.maximum(y, 0)])
    return hard, cross_entropy(scores, np.exp(log_softmax(taught)))


def of_two(scores, taught, y):
    """A logit between two classes is the difference of two."""
    both = [np.concatenate([0 * own, own], axis=-1) for own in (scores, taught)]
    return of_classes(*both, y)


def of_numbers(scores, taught, y):
    return ((scores - y) ** 2).mean(axis=-1) / 4, ((scores - taught) ** 2).mean(axis=-1) / 4


@pytest.mark.parametrize(
    ("head", "readout", "outputs", "by_hand"),
    [
        ("classes", "last", 3, of_classes),
        ("classes", "every", 3, of_classes),
        ("sigmoid", "last", 1, of_two),
        ("sigmoid", "every", 1, of_two),
        ("regression", "mean", 2, of_numbers),
    ],
)
def test_the_loss_is_a_share_of_each(trained, head, readout, outputs, by_hand):
    rng = np.random.default_rng(5)
    model = replace(
        trained,
        wd=rng.normal(0, 1, (outputs, 6)),
        bd=rng.normal(0, 1, outputs),
        head=head,
        readout=readout,
        meta={},
    )
    x = windows().x[:7].astype(np.float32)
    span = Span((2.0,) * outputs, (0.0,) * outputs) if head == "regression" else Span()
    graph = Graph(Method(), readout, layer_kinds(model.layers), head=head, span=span, distil=SHARE)
    scores = reference.logits(model, x)
    taught = rng.normal(0, 1, scores.shape)
    y = rng.integers(0, max(2, outputs), scores.shape[:-1])
    if head == "regression":
        y = rng.normal(0, 1, scores.shape)
    elif readout == "every":
        y[:, ::3] = -1
    hard, soft = by_hand(scores, taught, y)
    known = np.ones(hard.shape, bool) if head == "regression" else y >= 0
    want = ((1 - SHARE) * hard + SHARE * soft)[known].mean()
    given = jnp.asarray(y), None, None, jnp.asarray(taught, jnp.float32)
    params = graph.start(model, x)
    assert float(jax.jit(graph.loss)(params, x, *given)) == pytest.approx(want, abs=1e-5)
    alone = float(jax.jit(graph.loss)(params, x, *given[:3]))
    assert alone == pytest.approx(hard[known].mean(), abs=1e-5)


def test_what_is_taught_is_what_the_float_model_says(trained):
    data, method = windows(), Method("mubinn2", Levels.of(2, 2), x_offset="learned")
    graph = Graph(method, "mean", layer_kinds(trained.layers), datapath="threshold", distil=1.0)
    x = data.x[:16].astype(np.float32)
    found = teacher(trained, graph, BatchSharding(16))(x)
    assert np.asarray(found) == pytest.approx(reference.logits(trained, x), abs=1e-5)
    assert teacher(trained, replace(graph, distil=0.0), BatchSharding(16)) is None


def test_labels_have_no_part_in_what_is_learned_of_the_teacher_alone(trained):
    data, recipe = windows(), Recipe(**SMALL)
    other = replace(data, y=data.y[::-1].copy())

    def weights(data, share):
        made = train(data, replace(recipe, distil=share), start=trained).model
        return made.layers[0].wh.tobytes()

    assert weights(data, 1.0) == weights(other, 1.0)
    assert weights(data, 0.5) != weights(other, 0.5)


def test_a_teacher_is_needed():
    with pytest.raises(MubinnError, match=r"--distil takes it from .* give --float-model"):
        train(windows(), Recipe(**SMALL, distil=0.5))
    with pytest.raises(MubinnError, match=r"distil is 1\.5; it must be in \[0, 1\]"):
        Recipe(distil=1.5)
    assert "distil" not in Recipe().to_json()
    assert Recipe(distil=0.5).to_json()["distil"] == 0.5
