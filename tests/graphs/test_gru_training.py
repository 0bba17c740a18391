"""Training of GRUs: the graph against the golden models, gradients, export, and a run of each."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.library import gru, gru_before
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model.float_layer import gru_parts
from mubinn.train.data.windows import prepare, synthetic_eeg
from mubinn.train.graphs.graph import Graph
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import LayerKind
from mubinn.train.recipes.tuned import tuned
from mubinn.train.runs.trainer import train

SMALL = Recipe(epochs=3, hidden=6, batch=16, cell="gru", learning_rate=1e-2)
BINARY = replace(SMALL, method=Method("mubinn2", Levels.of(2, 3)))


@pytest.fixture(scope="module")
def data():
    return synthetic_eeg(120, steps=32, channels=3, seed=2)


@pytest.fixture(scope="module")
def start(data):
    return train(data, SMALL)


def test_float_training_learns(start):
    losses = [row["loss"] for row in start.history]
    assert losses[-1] < losses[0]
    assert np.abs(gru_parts(start.model.layers[0]).bn).max() > 0


@pytest.mark.parametrize("cell", [gru, gru_before], ids=lambda cell: cell.name)
def test_binarized_training_exports_its_decisions(start, data, cell):
    first = start.model if cell is gru else None
    made = train(data, replace(BINARY, cell=cell.name), start=first)
    layer = made.model.layers[0]
    assert layer.cell is cell
    assert (layer.levels.x, layer.levels.w, layer.levels.gate) == (2, 3, 3)
    assert made.agreement >= 0.995
    test = data.fold == 0
    decided = infer(made.model, prepare(data.x)[test]).classes
    assert made.bit_true_accuracy == (decided == data.y[test]).mean()
    assert made.history[-1]["loss"] != made.history[0]["loss"]


@pytest.mark.parametrize(
    ("levels", "datapath"),
    [((1, 1), "threshold"), ((3, 3), "figure3"), ((3, 3), "threshold"), ((2, 4), "figure3")],
)
def test_graph_takes_the_bit_true_decisions(start, data, levels, datapath):
    method = Method("mubinn2", Levels.of(*levels), x_offset="learned")
    graph = Graph(method, "last", (LayerKind(gru),), datapath=datapath)
    x = prepare(data.x)[:40]
    params = graph.start(replace(start.model, readout="last"), x)
    from mubinn.train.runs.export import to_quantized

    made = to_quantized(graph, params, start.model.preprocessing, {})
    scores = infer(made, x).scores
    layer = made.layers[0]
    unit = 2.0 ** -(layer.h.fraction + made.dense.w.fraction)
    graph_scores = np.asarray(jax.jit(graph.logits)(params, x))
    # Equal as integers in nearly all windows: float32 rounds the product r nh.
    same = (np.rint(graph_scores / unit) == scores).all(axis=1)
    assert same.mean() >= 0.95


@pytest.mark.parametrize(
    "method", [Method("mubinn1", Levels.of(2, 2)), Method("b_lstm", Levels.of(1, 1))]
)
def test_other_methods_train(start, data, method):
    made = train(data, replace(SMALL, epochs=1, method=method), start=start.model)
    assert made.bit_true_accuracy is None
    assert 0 <= made.test_accuracy <= 1


def test_what_a_gru_does_not_take(start, data):
    with pytest.raises(MubinnError, match="share one offset of h"):
        replace(BINARY, method=Method("mubinn2", Levels.of(1, 1), h_offset="learned"))
    with pytest.raises(MubinnError, match="unknown cell 'elman': give one of lstm, gru"):
        Recipe(cell="elman")
    with pytest.raises(MubinnError, match="of GRU cells, the recipe of GRU_BEFORE"):
        train(data, replace(SMALL, cell="gru_before"), start=start.model)
    with pytest.raises(MubinnError, match="of GRU cells, the recipe of LSTM"):
        train(data, replace(SMALL, cell="lstm"), start=start.model)
    assert tuned("mubinn2", Levels.of(1, 1), cell="gru").method.h_offset == "none"
