"""Training of stacks: layers of different kinds, convolutions over time, dense layers."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from stacks import STACKS, stacked

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import cifg, dense, gru, lstm, rnn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.float_model import Preprocessing
from mubinn.train.data.windows import synthetic_eeg
from mubinn.train.graphs import network
from mubinn.train.graphs.graph import Graph
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import LayerForm, LayerKind, parse_layers
from mubinn.train.runs.export import to_quantized
from mubinn.train.runs.trainer import CHECKPOINT, train

FEATURES = 3

ALL = {**STACKS, "unlike": [(rnn, 4, Frames(2, 1, 1)), (cifg, 3, Frames())]}
NAMED = {"argvalues": ALL.values(), "ids": ALL}


def drawn(layers, readout="mean"):
    x = np.random.default_rng(1).normal(0, 1, (40, 14, FEATURES)).astype(np.float32)
    model = stacked(layers, FEATURES, readout)
    kinds = tuple(LayerKind.of(layer) for layer in model.layers)
    return replace(model, bd=np.array([0.3, -0.2, 0.1])), kinds, x


@pytest.mark.parametrize("layers", **NAMED)
def test_the_float_graph_is_the_reference(layers):
    model, kinds, x = drawn(layers)
    graph = Graph(Method(), "mean", kinds)
    params = graph.start(model, x)
    found = np.asarray(jax.jit(graph.logits)(params, x))
    assert np.abs(found - reference.logits(model, x)).max() < 1e-5
    again = network.to_model(params, kinds, "mean", Preprocessing(), {})
    for one, other in zip(again.layers, model.layers, strict=True):
        assert (one.cell, one.frames) == (other.cell, other.frames)
        for name in ("wx", "wh", "b"):
            assert (getattr(one, name) == np.float32(getattr(other, name))).all()


CASES = [((3, 3), "figure3"), ((2, 3), "threshold"), ((1, 1), "figure3")]


@pytest.mark.parametrize(("pair", "datapath"), CASES)
@pytest.mark.parametrize("layers", **NAMED)
def test_the_integers_are_the_graph(layers, pair, datapath):
    model, kinds, x = drawn(layers)
    own = all(kind.cell.own_offsets for kind in kinds) and datapath == "figure3"
    method = Method(
        "mubinn2",
        Levels.of(*pair),
        x_offset="learned",
        h_offset="learned" if own else "none",
        bias="gate" if pair == (2, 3) else "row",
    )
    graph = Graph(method, "mean", kinds, datapath=datapath)
    params = graph.start(model, x)
    made = to_quantized(graph, params, Preprocessing(), {})
    _, scores, classes = bit_true.run(made, made.encode_input(x))
    found = np.asarray(jax.jit(graph.logits)(params, x))
    unit = 2.0**-made.dense.b.fraction / made.steps(x.shape[1])
    # float32 rounds a code of a GRU times a wide sum, which integers keep whole.
    wide = gru in {kind.cell for kind in kinds}
    assert (np.rint(found / unit) == scores).all(axis=1).mean() >= (0.9 if wide else 1)
    assert (found.argmax(axis=1) == classes).mean() >= (0.97 if wide else 1)
    assert (infer(made, x).scores == scores).all()
    assert len(np.unique(scores)) > 2


@pytest.mark.parametrize("layers", [ALL["strides"], ALL["dense on top"]])
def test_gradients_reach_everything_that_is_learned(layers):
    model, kinds, x = drawn(layers)
    own = all(kind.cell.own_offsets for kind in kinds)
    offset = "learned" if own else "none"
    method = Method("mubinn2", Levels.of(3, 3), x_offset="learned", h_offset=offset, bias="gate")
    graph = Graph(method, "mean", kinds)
    params, y = graph.start(model, x), np.arange(len(x)) % 3
    slope = jax.jit(jax.grad(graph.loss))(params, x, y)
    for path, leaf in jax.tree_util.tree_leaves_with_path(slope):
        assert np.asarray(leaf).any() or not leaf.size, path
    assert set(params.get("offsets", {})) == (
        {"x", "h", *(f"{k}.h" for k in range(1, len(kinds)))} if own else {"x"}
    )


def test_steps_without_memory_are_worked_on_at_once():
    steps = np.random.default_rng(0).normal(0, 1, (5, 4, FEATURES)).astype(np.float32)
    model, _, _ = drawn([(dense, 6, Frames())])
    (layer,) = network.from_model(model)["layers"]
    form = network.form_of(LayerKind(dense), Method(), "figure3")
    text = str(jax.make_jaxpr(lambda x: network.run_layer(x, layer, None, form))(steps))
    assert "length=1\n" in text
    assert "length=5\n" not in text
    whole = network.run_layer(steps, layer, None, form)
    alone = network.run_layer(steps[2:3], layer, None, form)
    np.testing.assert_allclose(whole[2:3], alone, rtol=0, atol=1e-6)


SMALL = Recipe(
    epochs=4, batch=16, learning_rate=1e-2, layers=parse_layers("conv 6x5/2, gru 5, dense 4")
)


@pytest.fixture(scope="module")
def data():
    return synthetic_eeg(120, steps=48, channels=3, seed=2)


@pytest.fixture(scope="module")
def start(data):
    return train(data, SMALL)


class Stopped(Exception):
    pass


def test_a_stack_trains_and_resumes(data, start, tmp_path):
    assert start.history[-1]["loss"] < start.history[0]["loss"]
    assert [layer.hidden for layer in start.model.layers] == [6, 5, 4]
    method = Method("mubinn2", Levels.of(3, 3))
    recipe = replace(SMALL, method=method, epochs=3)

    def stop(now):
        if now.epoch == 2:
            raise Stopped

    with pytest.raises(Stopped):
        train(data, recipe, start=start.model, checkpoint_dir=tmp_path, progress=stop)
    assert (tmp_path / CHECKPOINT).exists()
    resumed = train(data, recipe, start=start.model, checkpoint_dir=tmp_path)
    whole = train(data, recipe, start=start.model)
    assert whole.agreement >= 0.95
    for one, other in zip(resumed.model.layers, whole.model.layers, strict=True):
        assert (one.wx.bits == other.wx.bits).all()
        assert (one.wx.scales == other.wx.scales).all()
    assert whole.model.layers[0].frames == Frames(5, 2)
    assert whole.history[-1]["loss"] < whole.history[0]["loss"]


def test_a_start_has_the_recipes_layers(data, start):
    with pytest.raises(MubinnError, match=r"conv 6x5/2, gru 5, dense 4, the recipe's gru 5: let"):
        train(data, replace(SMALL, layers=parse_layers("gru 5")), start=start.model)
    with pytest.raises(MubinnError, match=r"of DENSE_GRU cells, the recipe of LSTM .* as --layers"):
        train(data, Recipe(batch=16), start=start.model)
    with pytest.raises(MubinnError, match="a window of 24 steps is shorter than the 40"):
        train(data, replace(SMALL, layers=parse_layers("conv 6x40")))


def test_recipes_tell_layers_where_they_are_given():
    told = SMALL.to_json()
    assert told["layers"] == ["conv 6x5/2", "gru 5", "dense 4"]
    assert (told["cell"], told["hidden"]) == ("dense_gru", 4)
    assert "layers" not in Recipe().to_json()


GIVEN = {
    "lstm 100": (LayerForm(lstm, 100),),
    "dense 2x3": (LayerForm(dense, 2, Frames(3)),),
    "conv 16 x 5 / 2 causal , gru 32": (LayerForm(dense, 16, Frames(5, 2, 4)), LayerForm(gru, 32)),
    "lstm 4x3/3 valid": (LayerForm(lstm, 4, Frames(3, 3)),),
}


@pytest.mark.parametrize("text", GIVEN)
def test_layers_are_read(text):
    assert parse_layers(text) == GIVEN[text]
    assert parse_layers(", ".join(map(str, GIVEN[text]))) == GIVEN[text]


@pytest.mark.parametrize(
    "text", ["", "gru", "32", "gru 32,", "elman 4", "conv 8", "gru 0", "conv 8x0", "conv 8x3/0",
             "gru 4/2", "gru 4 causal", "conv 8x3 same", "gru -3", "gru 1.5"]
)  # fmt: skip
def test_what_is_no_layer(text):
    with pytest.raises(MubinnError, match="is no layer: give a name and its cells"):
        parse_layers(text)
