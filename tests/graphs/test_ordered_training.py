"""Training with ordered thresholds, Eq. (20) to (24): pieces, gradients, export, and runs."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from own_cells import float_model, hard_lstm

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.ordered import ordered_codes
from mubinn.golden.binarize.rules import parse_encoders
from mubinn.golden.binarize.scales import signs
from mubinn.golden.cells.library import gru_before, lstm, peephole
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model import bit_true
from mubinn.golden.model.float_model import Preprocessing
from mubinn.train.data.windows import synthetic_eeg
from mubinn.train.graphs import binarize as levels_of
from mubinn.train.graphs.graph import Graph
from mubinn.train.recipes.first_scales import first_scales
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import LayerKind, parse_layers
from mubinn.train.runs.export import to_quantized
from mubinn.train.runs.trainer import CHECKPOINT, train


def method(*texts, levels=(2, 2), **fields):
    rules = tuple(parse_encoders(texts).items())
    return Method("mubinn2", Levels.of(*levels), encoders=rules, **fields)


@pytest.mark.parametrize("text", ["tc", "tc:0.5", "qc", "qc:0.674"])
def test_codes_and_scales_are_the_rules(text):
    rule = parse_encoders([text])["x"]
    values = np.random.default_rng(0).normal(0.05, 0.6, 4000).astype(np.float32)
    golden = rule.quantizer(values.astype(np.float64), most=12)
    unit = rule.last_scales(values[None].astype(np.float64), rule.thresholds(values))
    reach = jnp.asarray(rule.reach(values), jnp.float32)
    got = levels_of.scales_of(jnp.log(unit)[:, None], 2, most=12, rule=rule, reach=reach)
    assert float(got.unit) == 2.0**-golden.fraction
    assert (np.asarray(got.value[:, 0]) == golden.float_scales).all()
    assert (np.asarray(got.cuts) / float(got.unit) == golden.encoder.thresholds).all()
    code = golden.encode(np.round(values * 4096).astype(int), 12)
    on_grid = jnp.asarray(np.round(values * 4096) / 4096)
    found = levels_of.binarize(on_grid, got.value, got.cuts)
    assert (np.asarray(found) == golden.decode_signs(code) * float(got.unit)).all()
    assert len(np.unique(found)) == len(rule.codes)


def test_gradients_of_thresholds_are_those_of_ramps():
    values = jnp.linspace(-3, 3, 2001)
    for cuts, codes, scales in (
        ([-0.5, 0.5], [0, 1, 3], [0.25, 0.25]),
        ([-0.6, 0, 0.6], [0, 2, 1, 3], [0.75, 0.25]),
    ):
        cuts, scales = jnp.asarray(cuts), jnp.asarray(scales)
        rises = np.diff(signs(np.array(codes), 2) @ np.asarray(scales))
        assert np.allclose(levels_of.steps_at(scales, cuts), rises)
        share = jnp.cos(values)

        def ramps(cuts, share=share, rises=rises):
            own = values[:, None] - cuts
            return (share[:, None] * jnp.clip(own, -rises / 2, rises / 2)).sum()

        def steps(cuts, share=share, scales=scales):
            return (share * levels_of.binarize(values, scales[:, None], cuts)).sum()

        got, want = jax.grad(steps)(cuts), jax.grad(ramps)(cuts)
        np.testing.assert_allclose(got, want, rtol=1e-2)
        made = levels_of.binarize(values, scales[:, None], cuts)
        code = ordered_codes(np.asarray(values), np.asarray(cuts), np.array(codes))
        assert (np.asarray(made) == signs(code, 2) @ np.asarray(scales)).all()


CASES = [
    (("x=tc", "w=tc:2", "h=qc:1", "gate=qc:2"), (2, 2), "figure3"),
    (("qc:1", "w=tc:2", "gate=qc:2"), (2, 2), "threshold"),
    (("bc",), (1, 1), "figure3"),
    (("w=tc:2", "h=qc:1", "gate=qc:3"), (3, 2), "threshold"),
]


@pytest.mark.parametrize(("texts", "levels", "datapath"), CASES)
@pytest.mark.parametrize(
    "cell", [lstm, gru_before, peephole, hard_lstm], ids=lambda cell: cell.name
)
def test_the_integers_are_the_graph(cell, texts, levels, datapath):
    depth = 2 if cell is gru_before else 1
    model = float_model(cell, depth)
    x = np.random.default_rng(1).normal(0, 1, (40, 6, 5)).astype(np.float32)
    own = method(*texts, levels=levels)
    kinds = (LayerKind(cell),) * depth
    graph = Graph(own, "mean", kinds, datapath=datapath)
    params = graph.start(model, x)
    made = to_quantized(graph, params, Preprocessing(), {})
    scores = infer(made, x).scores
    assert (bit_true.run(made, made.encode_input(x))[1] == scores).all()
    found = np.asarray(jax.jit(graph.logits)(params, x), np.float64)
    unit = 2.0**-made.dense.b.fraction / x.shape[1]
    assert (np.rint(found / unit) == scores).all()
    assert len(np.unique(scores)) > (1 if texts == ("bc",) else 3)
    layer, rules = made.layers[-1], parse_encoders(texts)
    assert (layer.quantizers["h"].encoder is None) == ("h" not in rules or texts == ("bc",))
    if "w" in rules and rules["w"].name == "tc":
        assert (layer.wx.scales[:, 0] == layer.wx.scales[:, 1]).all()
        codes = layer.wh.bits[0] + 2 * layer.wh.bits[1]
        assert set(np.unique(codes)) <= {0, 1, 3}


@pytest.mark.parametrize("thresholds", ["rule", "learned"])
def test_gradients_reach_what_is_learned(thresholds):
    model = float_model(lstm)
    x = np.random.default_rng(1).normal(0, 1, (40, 6, 5)).astype(np.float32)
    own = method("tc", "h=qc", thresholds=thresholds, x_offset="learned", h_offset="learned")
    graph = Graph(own, "mean", (LayerKind(lstm),))
    params = graph.start(model, x)
    names = {"x", "h", "c", *lstm.gate_names}
    assert set(params["cuts"]) == (names | {"wx", "wh"} if thresholds == "learned" else names)
    assert all(len(params["scales"][name]) == 1 for name in ("x", "wx", "wh", "h", "c", "gate"))
    slope = jax.jit(jax.grad(graph.loss))(params, x, np.arange(40) % 3)
    moves = [bool(leaf) for leaf in jax.tree.leaves(slope["cuts"])]
    assert all(moves) if thresholds == "learned" else not any(moves)
    for path, leaf in jax.tree_util.tree_leaves_with_path(slope["scales"]):
        assert np.asarray(leaf).any(), path


def test_thresholds_of_weights_follow_them():
    model = float_model(lstm)
    x = np.random.default_rng(1).normal(0, 1, (8, 6, 5)).astype(np.float32)
    own = method("w=tc")
    graph = Graph(own, "mean", (LayerKind(lstm),))
    params = graph.start(model, x)
    assert "cuts" not in params
    layer = params["layers"][0]
    half = {**params, "layers": ({**layer, "wx": layer["wx"] * 0.5},)}
    whole, less = (to_quantized(graph, p, Preprocessing(), {}) for p in (params, half))
    assert (whole.layers[0].wx.bits == less.layers[0].wx.bits).mean() > 0.97
    values = np.concatenate([np.float32(model.layers[0].wx).ravel()])
    middle = np.abs(values) < values.mean() + values.std()
    codes = (whole.layers[0].wx.bits[0] + 2 * whole.layers[0].wx.bits[1]).ravel()
    assert ((codes == 1) == middle).mean() > 0.97
    learned = first_scales(model, replace(own, thresholds="learned"), x)[2]
    assert np.exp(learned["wx"]) == pytest.approx(
        model.layers[0].wx.mean() + model.layers[0].wx.std()
    )


class Stopped(Exception):
    pass


@pytest.mark.parametrize("thresholds", ["rule", "learned"])
def test_thresholds_train_and_resume(tmp_path, thresholds):
    data = synthetic_eeg(120, steps=32, channels=3, seed=2)
    small = Recipe(
        epochs=4, batch=16, learning_rate=1e-2, layers=parse_layers("conv 4x3/2, lstm 5")
    )
    start = train(data, small).model
    own = method("tc", "h=qc:0.674", thresholds=thresholds)
    recipe = replace(small, method=own, scale_rate=1e-2)

    def stop(now):
        if now.epoch == 2:
            raise Stopped

    with pytest.raises(Stopped):
        train(data, recipe, start=start, checkpoint_dir=tmp_path, progress=stop)
    assert (tmp_path / CHECKPOINT).exists()
    made = train(data, recipe, start=start, checkpoint_dir=tmp_path)
    assert made.history[-1]["loss"] < made.history[0]["loss"]
    assert made.agreement == 1
    whole = train(data, recipe, start=start).model
    for one, other in zip(made.model.layers, whole.layers, strict=True):
        assert one.thresholds == other.thresholds
        assert (one.wx.bits == other.wx.bits).all()
    told = recipe.to_json()["method"]
    assert told["encoders"] == ["x=tc:1", "w=tc:1", "h=qc:0.674", "c=tc:1", "gate=tc:1"]
    assert made.model.meta["encoder"] == "x tc:1, w tc:1, h qc:0.674, c tc:1, gate tc:1"


def test_recipes_tell_encoders_where_there_are_any():
    assert not {"encoders", "thresholds"} & set(Method("mubinn2", Levels.of(2, 2)).to_json())


def test_what_encoders_do_not_take():
    with pytest.raises(MubinnError, match="tc:1 has 2 levels, but x is to have 3"):
        method("tc", levels=(3, 2))
    with pytest.raises(MubinnError, match="has scales of its own, not of the form shift"):
        method("h=tc", scale_form="shift")
    with pytest.raises(MubinnError, match="No tensor has thresholds to learn: give --encoder"):
        method("bc", levels=(1, 1), thresholds="learned")
    rules = tuple(parse_encoders(["x=tc"]).items())
    with pytest.raises(MubinnError, match="mubinn1 has encoders of its own: leave --encoder out"):
        Method("mubinn1", Levels.of(2, 2), encoders=rules)
