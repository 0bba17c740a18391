"""Training by the signs of weights, inputs and states, each times a scale."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.windows import synthetic_eeg
from mubinn.train.graphs.graph import Graph
from mubinn.train.graphs.quantizers import quantizers
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.stack import layer_kinds
from mubinn.train.recipes.tuned import tuned
from mubinn.train.runs.trainer import train

PRINTED = {"x_offset": "none", "h_offset": "none"}
"""Thresholds at 0, as the paper has them."""

XNOR = tuned("xnor", Levels.of(1, 1), method=PRINTED).method


def sign(values):
    return np.where(values >= 0, 1.0, -1.0)


def test_the_graph_is_equations_2_and_3(random_float):
    """W_x and W_h have the mean magnitude each; x and h are signs; gates and c are numbers."""
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
    h, c, total = np.full((8, 5), scale), np.zeros((8, 5)), 0
    for now in np.moveaxis(of["x"].item() * sign(x), 1, 0):
        z = now @ wx.T + h @ wh.T + b
        f, i, g, o = np.split(z, 4, axis=1)
        f, i, o = (1 / (1 + np.exp(-gate)) for gate in (f, i, o))
        c = f * c + i * np.tanh(g)
        c = np.clip(c, -layer.clip("c"), layer.clip("c"))
        h = scale * sign(o * np.tanh(c))
        total = total + h
    want = total / 9 @ model.wd.T + model.bd
    assert np.asarray(jax.jit(graph.logits)(params, x)) == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize(("offsets", "says"), [(PRINTED, False), ({}, True)])
def test_gate_o_has_a_say_where_thresholds_are_off_0(random_float, offsets, says):
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
    same = graph.logits(params, x) == graph.logits({**params, "layers": weights}, x)
    assert bool(np.asarray(same).all()) != says


def test_it_trains_and_leaves_numbers_that_no_hardware_has():
    data = synthetic_eeg(120, 24, 3, seed=1, subjects=10)
    recipe = tuned("xnor", Levels.of(1, 1), hidden=6, epochs=3, batch=16, learning_rate=1e-2)
    made = train(data, recipe)
    assert made.history[-1]["loss"] < made.history[0]["loss"]
    assert made.agreement is None
    assert not recipe.method.exports


def test_faults():
    with pytest.raises(MubinnError, match="XNOR keeps signs alone, one level: give the levels 1,1"):
        Method("xnor", Levels.of(1, 2))
    with pytest.raises(MubinnError, match="XNOR keeps signs alone"):
        Method("xnor", Levels.of(1, 1, h=2))
    with pytest.raises(MubinnError, match="Method xnor has encoders of its own"):
        Method("xnor", Levels.of(1, 1), encoders=(("w", None),))
