"""Batch normalisation within the recurrence: what it is, and that nothing of it is left over."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from stacks import stacked

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.rules import parse_encoders
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import dense, gru, lstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import bit_true
from mubinn.golden.model.float_model import Preprocessing
from mubinn.train.data.windows import synthetic_eeg
from mubinn.train.graphs.graph import Graph, Pace, compiled
from mubinn.train.graphs.norms import moments_of, without_norms
from mubinn.train.graphs.quantizers import quantizers, stored
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import LayerKind, parse_layers
from mubinn.train.recipes.tuned import tuned
from mubinn.train.runs.export import to_quantized
from mubinn.train.runs.trainer import train

TC = parse_encoders(["w=tc"])["w"]
FEATURES = 3
STACK = [(lstm, 5, Frames()), (gru, 4, Frames()), (dense, 6, Frames(2, 1))]
Y = np.arange(40) % 3


def method_of(pair, **fields):
    if pair is None:
        return Method(batch_norm=True)
    return Method("mubinn2", Levels.of(*pair), granularity="row", batch_norm=True, **fields)


def started(pair, seed=1, stack=STACK, **fields):
    """Return a graph, its first parameters and windows of FEATURES numbers."""
    x = np.random.default_rng(seed).normal(0.3, 1, (40, 14, FEATURES)).astype(np.float32)
    model = replace(stacked(stack, FEATURES, "mean"), bd=np.array([0.3, -0.2, 0.1]))
    kinds = tuple(LayerKind.of(layer) for layer in model.layers)
    graph = Graph(method_of(pair, **fields), "mean", kinds)
    return graph, graph.start(model, x), x, model


def grown(params, factor):
    """Return parameters whose rows are larger, each by a power of two of its own."""
    layers = []
    for layer in params["layers"]:
        own = dict(layer)
        for name in ("wx", "wh"):
            if len(own[name]):
                own[name] = own[name] * factor ** (np.arange(len(own[name])) % 3)[:, None]
        layers.append(own)
    return {**params, "layers": tuple(layers)}


def test_training_begins_as_the_float_model_does():
    graph, params, x, model = started(None)
    found = graph.plain(params)
    want = replace(graph, method=Method()).start(model, x)
    assert jax.tree.structure(found) == jax.tree.structure(want)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(want), strict=True):
        assert np.asarray(one) == pytest.approx(np.asarray(other), abs=2e-6)


def weights_of(graph, params, place):
    """Return W_x, W_h and b of a layer as they are stored."""
    plain = graph.plain(params)
    found = None if graph.method.levels is None else quantizers(plain, graph.method, graph.kinds)
    own, q = plain["layers"][place], found and found.layers[place]
    return [np.asarray(stored(name, own[name], q), np.float64) for name in ("wx", "wh", "b")]


LSTMS = [(lstm, 5, Frames()), (lstm, 4, Frames(2, 1))]
OFFSETS = {"x_offset": "learned", "h_offset": "learned"}


@pytest.mark.parametrize(("pair", "fields"), [((1, 1), OFFSETS), ((3, 3), {})])
def test_rows_begin_with_the_mean_and_the_deviation_of_the_float_models(pair, fields):
    """Of what the float model's rows read, less the offsets that level bits are without."""
    graph, params, x, model = started(pair, stack=LSTMS, **fields)
    full = replace(graph, method=Method())
    floats = full.start(model, x)
    seen = full.run(floats, x).seen
    axes = (0, 1)
    for place, names in enumerate((("x", "h"), ("h", "1.h"))):
        read, h = (np.asarray(own, np.float64) for own in seen[place])
        wx, wh, b = weights_of(full, floats, place)
        of_x, of_h = read @ wx.T, h @ wh.T
        wx, wh, own_b = weights_of(graph, params, place)
        less = [np.asarray(params["offsets"][name]) if fields else np.zeros(1) for name in names]
        own_x = (read - np.resize(less[0], read.shape[2])) @ wx.T
        own_h = (h - less[1]) @ wh.T
        # Up to the rounding of scales.
        assert own_x.std(axis=axes) == pytest.approx(of_x.std(axis=axes), rel=0.02)
        assert own_h.std(axis=axes) == pytest.approx(of_h.std(axis=axes), rel=0.02)
        mean = (own_x + own_h + own_b).mean(axis=axes)
        assert mean == pytest.approx((of_x + of_h + b).mean(axis=axes), abs=0.02)


@pytest.mark.parametrize("pair", [None, (1, 1), (2, 2)])
def test_rows_have_the_mean_and_the_deviation_that_are_learned(pair):
    """What rows sum of x over all steps, by NumPy, of layers whose moments are of these."""
    graph, params, x, _ = started(pair)
    gains = {
        name: np.log(np.linspace(0.2, 0.9, len(own))).astype(np.float32)
        for name, own in params["gains"].items()
    }
    # The first layer's inputs, and with them their moments, do not depend on its rows.
    seen = graph.run(graph.plain(params), x).seen
    params = {**params, "gains": gains, "moments": moments_of(seen, graph.kinds)}
    plain = graph.plain(params)
    wx, wh, _ = weights_of(graph, params, 0)
    read = np.asarray(seen[0][0], np.float64).reshape(-1, FEATURES)
    sums = read @ wx.T
    # Scales are rounded; variances have 1e-5 more.
    assert sums.std(axis=0) == pytest.approx(np.exp(gains["wx"]), rel=1e-2 if pair else 2e-4)
    h = np.asarray(params["moments"]["wh"].mean, np.float64)
    shift = params["layers"][0]["b"] - plain["layers"][0]["b"]
    assert sums.mean(axis=0) + wh @ h == pytest.approx(
        np.asarray(shift), abs=2e-2 if pair else 1e-5
    )


@pytest.mark.parametrize("pair", [None, (1, 1)])
def test_the_size_of_a_row_says_nothing(pair):
    graph, params, x, _ = started(pair)
    found, other = graph.logits(params, x), graph.logits(grown(params, 16.0), x)
    assert np.asarray(found) == pytest.approx(np.asarray(other), abs=2e-4)
    slopes = jax.jit(jax.grad(graph.loss))(params, x, Y)
    for key, moved in slopes["gains"].items():
        assert np.asarray(moved).any(), key
    for moved in jax.tree.leaves(slopes["moments"]):
        assert not np.asarray(moved).any()
    if pair is None:  # so that the gradient is at right angles to it
        for own, slope in zip(params["layers"], slopes["layers"], strict=True):
            along = (own["wx"] * slope["wx"]).sum(axis=1)
            sizes = np.linalg.norm(own["wx"], axis=1) * np.linalg.norm(slope["wx"], axis=1)
            assert (np.abs(along) < 2e-3 * sizes).all()


CASES = [((1, 1), {}), ((2, 2), {}), ((3, 3), {"scale_form": "power-of-two"})]


@pytest.mark.parametrize(("pair", "fields"), CASES)
def test_the_integers_are_the_graph_after_some_steps(pair, fields):
    graph, params, x, _ = started(pair, x_offset="learned", **fields)
    before = np.array(params["moments"]["wh"].covariance)
    optimizer, step, evaluate = compiled(graph, Pace(1e-2, 1e-2, 0.05, 1.0, 20))
    state = optimizer.init(params)
    for _ in range(4):
        params, state, _ = step(params, state, x, Y)
    assert (before != params["moments"]["wh"].covariance).any()
    plain = graph.plain(params)
    made = to_quantized(graph, plain, Preprocessing(), {})
    scores = bit_true.run(made, made.encode_input(x))[1]
    unit = 2.0**-made.dense.b.fraction / made.steps(x.shape[1])
    exact = (np.rint(np.asarray(evaluate(plain, x)) / unit) == scores).all(axis=1)
    # float32 rounds a code of the GRU times a wide sum, which integers keep whole.
    assert exact.mean() >= (1 if pair == (1, 1) else 0.9)
    assert len(np.unique(scores)) > 2


def test_drawn_weights_begin_with_gains_of_one_and_moments_of_their_own():
    graph, _, x, model = started(None)
    small = [replace(own, wx=own.wx / 50, wh=own.wh / 50) for own in model.layers]
    params = graph.start(replace(model, layers=tuple(small)), x, drawn=True)
    for own in params["gains"].values():
        assert not np.asarray(own).any()
    found = moments_of(graph.run(graph.plain(params), x).seen, graph.kinds)
    for name, own in params["moments"].items():
        was, now = (np.trace(np.asarray(one.covariance)) for one in (own, found[name]))
        assert 1 / 4 < was / now < 4


def test_moments_stand_still_where_the_learning_rate_does():
    graph, params, x, _ = started(None)
    optimizer, step, _ = compiled(graph, Pace(1e-2, 1e-2, 0.25, 1.0, 4))
    state, moved = optimizer.init(params), []
    for _ in range(6):
        before = np.array(params["moments"]["wh"].covariance)
        params, state, _ = step(params, state, x, Y)
        moved.append(np.abs(before - params["moments"]["wh"].covariance).max())
    assert moved[3] > moved[4] == moved[5] == 0


@pytest.mark.parametrize("name", ["float", "mubinn2", "weights", "xnor"])
def test_runs_train_and_go_on(name, tmp_path):
    data = synthetic_eeg(120, 24, FEATURES, seed=1, subjects=10)
    pair = None if name == "float" else Levels.of(1, 1)
    about = {"hidden": 6, "batch": 16, "epochs": 3, "learning_rate": 1e-2}
    recipe = tuned(name, pair, method={"batch_norm": True}, **about)
    assert recipe.to_json()["method"]["batch_norm"]
    whole = train(data, recipe)
    assert whole.history[-1]["loss"] < whole.history[0]["loss"]
    assert whole.agreement == (1 if name == "mubinn2" else None)

    def stop(now):
        if now.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, recipe, checkpoint_dir=tmp_path, progress=stop)
    again = train(data, recipe, checkpoint_dir=tmp_path)
    assert [row["loss"] for row in again.history] == [row["loss"] for row in whole.history]
    if name == "mubinn2":
        (one,), (other,) = again.model.layers, whole.model.layers
        assert (one.wx.scales == other.wx.scales).all()
        assert len(one.wx.scales) == one.wx.rows


def test_a_model_without_is_handed_through():
    params = {"layers": (), "wd": np.zeros((2, 3))}
    assert without_norms(params, Method(), ()) is params


def test_faults():
    levels = Levels.of(1, 1)
    with pytest.raises(MubinnError, match="Method b_lstm has no scales that normalised rows"):
        Method("b_lstm", levels, granularity="row", batch_norm=True)
    with pytest.raises(MubinnError, match="scales of their own: give --granularity row"):
        Method("mubinn2", levels, batch_norm=True)
    with pytest.raises(MubinnError, match="and no --weight-scales none"):
        Method("weights", levels, granularity="row", weight_scales="none", batch_norm=True)
    with pytest.raises(MubinnError, match="no powers of two: give --scale-form power-of-two"):
        method_of((3, 3), scale_form="shift")
    with pytest.raises(MubinnError, match="each row is normalised: leave --encoder w out"):
        tuned("weights", Levels.of(1, 2), method={"batch_norm": True, "encoders": (("w", TC),)})
    for layers, words in (
        ("gru_before 4", "Rows of GRU read more than x and the h of the step before"),
        ("lstm_projected 4 to 2", "leave --batch-norm out"),
        ("lstm 4 over 8x8", "Rows of LSTM over pixels read more"),
    ):
        with pytest.raises(MubinnError, match=words):
            Recipe(layers=parse_layers(layers), decimate=1, method=Method(batch_norm=True))
