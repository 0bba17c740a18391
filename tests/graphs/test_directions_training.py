"""Training of two directions, backward layers, and layers beside each other."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from directions import BACKWARD, BESIDE, DIRECTIONS, ONWARD, OTHER_WAY, directed

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import dense, gru, lstm, lstm_projected, rnn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.head import reading_of
from mubinn.train.data.windows import synthetic_eeg
from mubinn.train.graphs import network
from mubinn.train.graphs.graph import Graph
from mubinn.train.recipes.first_scales import folded
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import LayerForm, layer_kinds, layer_words, parse_layers
from mubinn.train.recipes.tuned import tuned
from mubinn.train.runs.export import to_quantized
from mubinn.train.runs.trainer import train

STEPS, FEATURES = 7, 3

READ = [(name, "last" if k % 2 else "mean") for k, name in enumerate(DIRECTIONS)]
READ += [("two directions", "last"), ("two directions twice", "every")]


ALL = {**DIRECTIONS, "without a state": [(dense, 2, ONWARD), (dense, 3, OTHER_WAY)]}


def drawn(name, readout):
    model = directed(ALL[name], FEATURES, readout)
    x = np.random.default_rng(1).normal(0, 1, (30, STEPS, FEATURES)).astype(np.float32)
    return replace(model, bd=np.array([0.3, -0.2, 0.1])), layer_kinds(model.layers), x


@pytest.mark.parametrize(("name", "readout"), READ)
def test_the_float_graph_is_the_reference(name, readout):
    model, kinds, x = drawn(name, readout)
    graph = Graph(Method(), readout, kinds)
    params = graph.start(model, x)
    found = np.asarray(jax.jit(graph.logits)(params, x))
    assert np.abs(found - reference.logits(model, x)).max() < 1e-5
    again = network.to_model(params, kinds, readout, Preprocessing(), {})
    assert [layer.place for layer in again.layers] == [layer.place for layer in model.layers]
    assert (again.layers[-1].wx == np.float32(model.layers[-1].wx)).all()


CASES = [
    ("without a state", "last", (2, 2), "figure3"),
    ("two directions", "last", (3, 3), "figure3"),
    ("two directions", "mean", (1, 1), "figure3"),
    ("backward alone", "last", (3, 3), "figure3"),
    ("backward alone", "mean", (2, 3), "threshold"),
    ("two directions below", "running", (3, 3), "figure3"),
    ("two directions below", "mean", (2, 3), "threshold"),
    ("two directions twice", "every", (2, 3), "threshold"),
    ("two directions twice", "last", (1, 1), "figure3"),
    ("three beside each other", "mean", (3, 3), "figure3"),
    ("three beside each other", "last", (2, 3), "threshold"),
    ("onward above backward", "last", (3, 3), "figure3"),
    ("two projections below", "last", (3, 3), "figure3"),
    ("two projections below", "mean", (2, 3), "threshold"),
]


@pytest.mark.parametrize(("name", "readout", "pair", "datapath"), CASES)
def test_the_integers_are_the_graph(name, readout, pair, datapath):
    model, kinds, x = drawn(name, readout)
    method = Method(
        "mubinn2",
        Levels.of(*pair),
        x_offset="learned",
        h_offset="learned" if name == "onward above backward" and datapath == "figure3" else "none",
        bias="gate" if pair == (2, 3) else "row",
    )
    graph = Graph(method, readout, kinds, datapath=datapath)
    params = graph.start(model, x)
    made = to_quantized(graph, params, Preprocessing(), {})
    assert [layer.place for layer in made.layers] == [kind.place for kind in kinds]
    scores = bit_true.run(made, made.encode_input(x))[1]
    found = np.asarray(jax.jit(graph.logits)(params, x), np.float64)
    found *= reading_of(readout).divisor(STEPS) * 2.0**made.dense.b.fraction
    same = (np.rint(found) == scores).reshape(len(x), -1).all(axis=1)
    # float32 rounds a code of a GRU times a wide sum, which integers keep whole.
    assert same.mean() >= (0.9 if gru in {kind.cell for kind in kinds} else 1)
    assert (infer(made, x).scores == scores).all()
    assert len(np.unique(scores)) > 2


@pytest.mark.parametrize("name", ["two directions below", "three beside each other"])
def test_gradients_reach_everything_that_is_learned(name):
    model, kinds, x = drawn(name, "last")
    method = Method("mubinn2", Levels.of(3, 3), x_offset="learned", bias="gate")
    graph = Graph(method, "last", kinds)
    params, y = graph.start(model, x), np.arange(len(x)) % 3
    slope = jax.jit(jax.grad(graph.loss))(params, x, y)
    for path, leaf in jax.tree_util.tree_leaves_with_path(slope):
        assert np.asarray(leaf).any() or not leaf.size, path
    beside = {f"{place}.h" for place, kind in enumerate(kinds) if kind.place.beside}
    assert beside
    assert not beside & set(params["scales"])


def test_layers_beside_each_other_have_scales_of_both():
    model, kinds, x = drawn("two directions", "mean")
    small = replace(model.layers[0], wx=0.01 * model.layers[0].wx, wh=0 * model.layers[0].wh)
    small = replace(small, b=0 * small.b)
    unlike = replace(model, layers=(small, model.layers[1]))
    method = Method("mubinn2", Levels.of(1, 1))
    logs = [
        float(Graph(method, "mean", kinds).start(own, x)["scales"]["h"][0, 0])
        for own in (model, unlike)
    ]
    alone = replace(model, layers=(small,), wd=model.wd[:, :3])
    least = float(Graph(method, "mean", kinds[:1]).start(alone, x)["scales"]["h"][0, 0])
    assert least < logs[1] - 0.5 < logs[0]


def test_offsets_of_the_input_fold_into_both_directions():
    model, _, _ = drawn("two directions", "mean")
    offset = np.array([0.5, -0.25, 1.0])
    found, bd = folded(model, {"x": offset}, Method())
    for layer, b in zip(model.layers, found, strict=True):
        assert np.array_equal(b, layer.b + layer.wx @ offset)
    assert (bd == model.bd).all()


SMALL = Recipe(
    epochs=3, batch=16, learning_rate=1e-2, layers=parse_layers("both lstm 4, backward rnn 3")
)


def test_directions_train():
    data = synthetic_eeg(120, steps=32, channels=3, seed=2)
    start = train(data, SMALL)
    assert start.history[-1]["loss"] < start.history[0]["loss"]
    assert start.model.top[0].place == BACKWARD
    recipe = replace(SMALL, method=Method("mubinn2", Levels.of(3, 3)), epochs=2)
    made = train(data, recipe, start=start.model)
    assert made.agreement == 1
    assert made.model.layers[0].h is made.model.layers[1].h
    for layers, words in (
        ("both lstm 4, rnn 3", "layers are both lstm 4, backward rnn 3, the recipe's both lstm 4"),
        (
            "",
            "of LSTM_RNN cells, the recipe of LSTM cells one .* --layers 'both lstm 4, bac",
        ),
    ):
        other = replace(recipe, layers=parse_layers(layers) if layers else ())
        with pytest.raises(MubinnError, match=words):
            train(data, other, start=start.model)


GIVEN = {
    "both gru 4, dense 2": (
        LayerForm(gru, 4), LayerForm(gru, 4, Frames(), OTHER_WAY), LayerForm(dense, 2)
    ),
    "backward lstm 16": (LayerForm(lstm, 16, Frames(), BACKWARD),),
    "conv 4x3, lstm 2, beside backward rnn 3, beside gru 1": (
        LayerForm(dense, 4, Frames(3)), LayerForm(lstm, 2), LayerForm(rnn, 3, Frames(), OTHER_WAY),
        LayerForm(gru, 1, Frames(), BESIDE),
    ),
    "both lstm_projected 5 to 2, gru 3": (
        LayerForm(lstm_projected, 5, projection=2),
        LayerForm(lstm_projected, 5, Frames(), OTHER_WAY, 2), LayerForm(gru, 3),
    ),
    "both rnn 2, beside backward rnn 2": (
        LayerForm(rnn, 2), *[LayerForm(rnn, 2, Frames(), OTHER_WAY)] * 2
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", GIVEN)
def test_directions_are_read(text):
    assert parse_layers(text) == GIVEN[text]
    assert ", ".join(layer_words(GIVEN[text])) == text
    assert Recipe(layers=GIVEN[text]).to_json()["layers"] == text.split(", ")


@pytest.mark.parametrize(
    "text", ["both", "both both gru 4", "backward beside gru 2", "both backward gru 2", "both 4"]
)
def test_what_is_no_direction(text):
    with pytest.raises(MubinnError, match="is no layer: give a name and its cells"):
        parse_layers(text)


def test_faults_say_what_to_do():
    with pytest.raises(MubinnError, match="'beside backward conv 4x3' reads several steps at once"):
        parse_layers("both conv 4x3")
    with pytest.raises(MubinnError, match="first layer is beside a layer, but none is before"):
        train(
            synthetic_eeg(80, steps=16, channels=3, seed=2),
            replace(SMALL, layers=parse_layers("beside gru 2")),
        )
    with pytest.raises(MubinnError, match="cells of layers beside each other share one offset"):
        Recipe(
            layers=parse_layers("both lstm 4"),
            method=Method("mubinn2", Levels.of(1, 1), h_offset="learned"),
        )
    made = tuned("mubinn2", Levels.of(1, 1), layers=parse_layers("both lstm 4"))
    assert (made.method.h_offset, made.method.x_offset) == ("none", "learned")
