"""Training by the signs of weights, inputs and states, each times a scale."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model.float_model import FloatModel, Preprocessing
from mubinn.train.data.windows import synthetic_eeg
from mubinn.train.graphs.binarize import binarize
from mubinn.train.graphs.graph import Graph
from mubinn.train.graphs.network import encoded_input, init_params, to_model, with_stored
from mubinn.train.graphs.quantizers import quantizers, stored
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.stack import layer_kinds, parse_layers
from mubinn.train.recipes.tuned import tuned
from mubinn.train.runs.export import with_numbers
from mubinn.train.runs.trainer import train

PRINTED = {"x_offset": "none", "h_offset": "none"}
"""Thresholds at 0, as the paper has them."""

XNOR = tuned("xnor", Levels.of(1, 1), method=PRINTED).method


def sign(values):
    return np.where(values >= 0, 1.0, -1.0)


def test_the_graph_is_equations_2_and_3(random_float):
    """W_x and W_h have the mean magnitude each; they meet signs; gates, c and h are numbers."""
    model = random_float(3, features=6, hidden=5)
    (layer,) = model.layers
    x = np.random.default_rng(0).normal(0, 1, (8, 9, 6)).astype(np.float32)
    graph = Graph(XNOR, "mean", layer_kinds(model.layers))
    params = graph.start(model, x)
    own = quantizers(params, XNOR, graph.kinds).layers[0]
    of = {name: np.asarray(scales.value, np.float64) for name, scales in own.tensors.items()}
    assert {name: value.size for name, value in of.items()} == {"x": 1, "wx": 1, "wh": 1, "b": 4}
    for name in ("wx", "wh"):
        mean = np.abs(getattr(layer, name)).mean()
        assert float(of[name].item()) == pytest.approx(mean, abs=2**-8)
    wx, wh = (of[name].item() * sign(getattr(layer, name)) for name in ("wx", "wh"))
    b = np.repeat(of["b"].ravel(), 5) * sign(layer.b)
    scale = np.asarray(own.codes["h"].value, np.float64).item()
    assert list(own.codes) == ["h"]
    h, c, total = np.zeros((8, 5)), np.zeros((8, 5)), 0
    for now in np.moveaxis(of["x"].item() * sign(x), 1, 0):
        z = now @ wx.T + scale * sign(h) @ wh.T + b
        f, i, g, o = np.split(z, 4, axis=1)
        f, i, o = (1 / (1 + np.exp(-gate)) for gate in (f, i, o))
        c = f * c + i * np.tanh(g)
        c = np.clip(c, -layer.clip("c"), layer.clip("c"))
        h = o * np.tanh(c)
        total = total + h
    want = total / 9 @ model.wd.T + model.bd
    assert np.asarray(jax.jit(graph.logits)(params, x)) == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize(("offsets", "says"), [(PRINTED, False), ({}, True)])
def test_gate_o_has_a_say_in_what_rows_read_where_thresholds_are_off_0(random_float, offsets, says):
    model = random_float(3, features=6, hidden=5)
    (layer,) = model.layers
    o = layer.row_slice(layer.cell.gate_names.index("o"))
    turned = np.where(np.isin(np.arange(len(layer.wx)), np.arange(20)[o])[:, None], -1, 1)
    other = replace(layer, wx=layer.wx * turned, wh=layer.wh * turned)
    x = np.random.default_rng(0).normal(0, 1, (8, 9, 6)).astype(np.float32)
    method = tuned("xnor", Levels.of(1, 1), method=offsets).method
    graph = Graph(method, "mean", layer_kinds(model.layers))
    params = graph.start(model, x)
    weights = graph.start(replace(model, layers=(other,)), x)["layers"]
    one, two = (graph.run(own, x) for own in (params, {**params, "layers": weights}))
    assert bool(np.asarray(one.seen[0][1] == two.seen[0][1]).all()) != says
    assert not np.asarray(one.logits == two.logits).any()


def by_hand(params, graph, x):
    """Return the logits of one layer by automatic differentiation, cell by cell."""
    q, own = quantizers(params, graph.method, graph.kinds).layers[0], params["layers"][0]
    wx, wh, b = (stored(name, own[name], q) for name in ("wx", "wh", "b"))
    scales, offset = q.codes["h"].value[:, :, None], q.offsets["h"]
    rows = len(wx) // len(graph.kinds[0].cell.rows)
    h = c = jnp.zeros((len(x), rows))
    total = 0
    for now in jnp.swapaxes(encoded_input(x, q), 0, 1):
        read = binarize(h - offset, scales)
        z = now @ wx.T + (read if offset.ndim else offset + read) @ wh.T + b
        f, i, g, o = jnp.split(z, 4, axis=1)
        f, i, o = map(jax.nn.sigmoid, (f, i, o))
        c = f * c + i * jnp.tanh(g)
        h = o * jnp.tanh(c)
        total = total + h
    return total / x.shape[1] @ params["wd"].T + params["bd"]


@pytest.mark.parametrize("offsets", [PRINTED, {}])
def test_gradients_are_those_of_the_equations(random_float, offsets):
    model = random_float(3, features=6, hidden=5, c_clip=9.0)
    x = np.random.default_rng(0).normal(0, 1, (8, 9, 6)).astype(np.float32)
    method = tuned("xnor", Levels.of(1, 1), method=offsets).method
    graph = Graph(method, "mean", layer_kinds(model.layers))
    params, way = graph.start(model, x), np.random.default_rng(1).normal(0, 1, (8, 3))
    ways = (lambda own: graph.logits(own, x)), (lambda own: by_hand(own, graph, x))

    def sloped(logits):
        return jax.jit(jax.value_and_grad(lambda own: (logits(own) * way).sum()))(params)

    found, want = map(sloped, ways)
    for (path, one), other in zip(
        jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(want), strict=True
    ):
        assert np.asarray(one) == pytest.approx(np.asarray(other), rel=1e-3, abs=1e-4), path
    assert np.asarray(found[1]["scales"]["h"]).all()


def test_layers_read_the_signs_of_those_below(random_float):
    """Of two layers the upper one reads codes, and the classifier numbers."""
    model = random_float(3, features=6, hidden=5)
    first = model.layers[0]
    upper = replace(first, wx=first.wx[:, :5])
    both = replace(model, layers=(first, upper))
    x = np.random.default_rng(0).normal(0, 1, (8, 9, 6)).astype(np.float32)
    graph = Graph(tuned("xnor", Levels.of(1, 1)).method, "mean", layer_kinds(both.layers))
    params = graph.start(both, x)
    seen = jax.jit(graph.run)(params, x).seen
    assert [len(np.unique(np.asarray(own))) for own in (seen[1][0], seen[1][1])] == [2, 2]
    assert (np.asarray(seen[1][0]) == np.asarray(seen[0][1])).all()


SHAPES = ["both gru 4, dense 3", "gru_before 4", "lstm_projected 4 to 3", "lstm 3 over 4x4"]


@pytest.mark.parametrize("words", SHAPES)
def test_rows_of_any_layer_read_signs(words):
    forms = parse_layers(words)
    x = np.random.default_rng(0).normal(0, 1, (6, 32, 1)).astype(np.float32)
    kinds = [form.kind(1.0) for form in forms]
    model = to_model(init_params(forms, 0, 1, 3), kinds, "mean", Preprocessing(), {})
    method = tuned("xnor", Levels.of(1, 1), layers=forms).method
    graph = Graph(method, "mean", layer_kinds(model.layers))
    params = graph.start(model, x)
    seen = jax.jit(graph.run)(params, x).seen
    assert all(len(np.unique(np.abs(np.round(own, 6)))) == 1 for _, own in seen)
    slope = jax.jit(jax.grad(graph.loss))(params, x, np.arange(6) % 3)
    moved = {name: np.asarray(own).any() for name, own in slope["scales"].items()}
    idle = {name for name, own in moved.items() if not own}
    # Nothing reads codes of the last layer where it has no recurrence.
    assert idle <= ({"2.h"} if "dense" in words else set()) | {"wr"}


def numbered(words, offsets):
    """Return a graph of drawn weights, its parameters, windows, and its integers."""
    forms = parse_layers(words)
    inputs = 1 if "over" in words else 6
    x = np.random.default_rng(0).normal(0, 1, (12, 32, inputs)).astype(np.float32)
    model = to_model(
        init_params(forms, 0, inputs, 3),
        [form.kind(1.0) for form in forms],
        "mean",
        Preprocessing(),
        {},
    )
    method = tuned("xnor", Levels.of(1, 1), layers=forms, method=offsets).method
    graph = Graph(method, "mean", layer_kinds(model.layers))
    params = graph.start(model, x)
    return graph, params, x, with_numbers(graph, graph.plain(params), Preprocessing(), {}, x)


@pytest.mark.parametrize(
    ("words", "offsets"),
    [("lstm 5", {}), ("lstm 5", PRINTED), ("gru 5", {}), ("peephole 3 over 4x4 by 3x3", {})],
)
def test_integers_have_the_signs_of_the_graph_and_its_numbers_in_eight_levels(words, offsets):
    graph, params, x, model = numbered(words, offsets)
    (layer,), (own,) = model.layers, with_stored(params, graph.method, graph.kinds)["layers"]
    assert (layer.x.levels, layer.wx.levels, layer.read.levels, layer.h.levels) == (1, 1, 1, 8)
    # Rows of a GRU read x or h alone, and are stored side by side.
    for name in () if "gru" in words else ("wx", "wh"):
        assert (getattr(layer, name).float_values == np.asarray(own[name])).all()
    (scale,) = quantizers(params, graph.method, graph.kinds).layers[0].codes["h"].value.ravel()
    assert layer.read.float_scales.tolist() == [scale]
    logits = np.asarray(jax.jit(graph.logits)(params, x))
    errors = model.values(infer(model, x).scores, x.shape[1]) - logits
    # A sign that turns in one of them moves what follows.
    assert np.median(np.abs(errors)) < 0.02 * logits.std()


def test_integers_have_the_datapath_of_the_graph():
    graph, params, x, model = numbered("lstm 5", {})
    assert model.datapath == graph.datapath == "figure3"
    graph = replace(graph, datapath="threshold")
    model = with_numbers(graph, graph.plain(params), Preprocessing(), {}, x)
    assert model.datapath == "threshold"


def test_integers_of_rows_that_read_more_than_signs_of_h_are_refused():
    with pytest.raises(MubinnError, match="A layer above another would read signs of an h"):
        numbered("lstm 4, lstm 4", {})
    with pytest.raises(MubinnError, match="do not all read h: let them read all its levels"):
        numbered("lstm_projected 4 to 3", {})


def test_it_trains_and_leaves_numbers_with_integers_beside_them():
    data = synthetic_eeg(120, 24, 3, seed=1, subjects=10)
    recipe = tuned("xnor", Levels.of(1, 1), hidden=6, epochs=3, batch=16, learning_rate=1e-2)
    made = train(data, recipe, integers=True)
    assert made.history[-1]["loss"] < made.history[0]["loss"]
    assert made.agreement is None
    assert not recipe.method.exports
    assert isinstance(made.model, FloatModel)
    beside = made.integers
    assert beside.model.meta["agreement"] == f"{beside.agreement:.4f}"
    assert beside.agreement >= 0.9


def test_faults():
    with pytest.raises(MubinnError, match="XNOR keeps signs alone, one level: give the levels 1,1"):
        Method("xnor", Levels.of(1, 2))
    with pytest.raises(MubinnError, match="XNOR keeps signs alone"):
        Method("xnor", Levels.of(1, 1, h=2))
    with pytest.raises(MubinnError, match="Method xnor has encoders of its own"):
        Method("xnor", Levels.of(1, 1), encoders=(("w", None),))
