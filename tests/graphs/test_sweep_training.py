"""Training of layers that sweep frames."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from sweeps import SWEEPS, movies, swept

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.library import gru
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.float_model import Preprocessing
from mubinn.train.graphs import network
from mubinn.train.graphs.graph import Graph
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.stack import layer_kinds, parse_layers
from mubinn.train.recipes.tuned import tuned
from mubinn.train.runs.export import to_quantized


def drawn(name, readout="every"):
    x = movies(SWEEPS[name], windows=20).astype(np.float32)
    model = replace(swept(SWEEPS[name], readout=readout), bd=np.array([0.3]))
    return model, layer_kinds(model.layers), x


@pytest.mark.parametrize("name", SWEEPS)
def test_the_float_graph_is_the_reference(name):
    model, kinds, x = drawn(name)
    graph = Graph(Method(), "every", kinds, head="sigmoid")
    params = graph.start(model, x)
    found = np.asarray(jax.jit(graph.logits)(params, x))
    assert np.abs(found - reference.logits(model, x)).max() < 1e-5
    again = network.to_model(params, kinds, "every", Preprocessing(), {}, "sigmoid")
    for one, other in zip(again.layers, model.layers, strict=True):
        assert (one.cell, one.frames) == (other.cell, other.frames)
        for own in ("wx", "wh", "b"):
            assert (getattr(one, own) == np.float32(getattr(other, own))).all()


@pytest.mark.parametrize(
    ("pair", "datapath"), [((2, 3), "threshold"), ((1, 1), "figure3"), ((3, 2), "figure3")]
)
@pytest.mark.parametrize("name", SWEEPS)
def test_the_integers_are_the_graph(name, pair, datapath):
    model, kinds, x = drawn(name)
    own = all(kind.cell.own_offsets for kind in kinds) and datapath == "figure3"
    how = {"x_offset": "learned", "h_offset": "learned" if own else "none"}
    method = Method("mubinn2", Levels.of(*pair), **how)
    graph = Graph(method, "every", kinds, datapath=datapath, head="sigmoid")
    params = graph.start(model, x)
    made = to_quantized(graph, params, Preprocessing(), {})
    scores = bit_true.run(made, made.encode_input(x))[1]
    found = np.asarray(jax.jit(graph.logits)(params, x))
    # float32 rounds a code of a GRU times a wide sum, which integers keep whole.
    least = 0.9 if gru in {kind.cell for kind in kinds} else 1
    assert (np.rint(found * 2.0**made.dense.b.fraction) == scores).mean() >= least
    assert len(np.unique(scores)) > 1 or pair == (1, 1)


@pytest.mark.parametrize("name", ["ConvLSTM", "stack"])
def test_the_gradient_is_that_of_automatic_differentiation(name):
    """Derived backward through time, around each pixel: by finite differences of the float loss."""
    model, kinds, x = drawn(name)
    graph = Graph(Method(), "every", kinds, head="sigmoid")
    params, y = graph.start(model, x[:2]), np.arange(2 * x.shape[1]).reshape(2, -1) % 2
    slope = jax.jit(jax.grad(graph.loss))(params, x[:2], y)
    loss, random = jax.jit(graph.loss), np.random.default_rng(0)
    for key in ("wx", "wh", "b"):
        value = np.asarray(params["layers"][0][key])
        way = random.normal(0, 1, value.shape).astype(np.float32)

        def moved(step, key=key, value=value, way=way):
            first = {**params["layers"][0], key: value + np.float32(step) * way}
            own = {**params, "layers": (first, *params["layers"][1:])}
            return float(loss(own, x[:2], y))

        want = (moved(0.01) - moved(-0.01)) / 0.02
        found = float((np.asarray(slope["layers"][0][key]) * way).sum())
        assert found == pytest.approx(want, rel=0.02, abs=2e-4)


def test_gradients_reach_everything_that_is_learned():
    model, kinds, x = drawn("ConvLSTM")
    method = Method("mubinn2", Levels.of(3, 3), x_offset="learned", h_offset="learned")
    graph = Graph(method, "every", kinds, head="sigmoid")
    params, y = graph.start(model, x), np.arange(len(x) * x.shape[1]).reshape(len(x), -1) % 2
    slope = jax.jit(jax.grad(graph.loss))(params, x, y)
    for path, leaf in jax.tree_util.tree_leaves_with_path(slope):
        assert np.asarray(leaf).any() or not leaf.size, path


def test_pixels_are_taken_as_they_are():
    layers = parse_layers("lstm 4 over 8x8")
    assert (tuned("float", layers=layers).normalise, tuned("float", layers=layers).decimate) == (
        "none",
        1,
    )
    with pytest.raises(MubinnError, match=r"Pixels are not averaged .* give --decimate 1"):
        tuned("float", layers=layers, decimate=2)
