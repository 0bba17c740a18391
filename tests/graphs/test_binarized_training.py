"""Binarized training: its pieces against the golden ones, its gradient, and its exact export."""

import json
import re
from dataclasses import asdict, replace
from fractions import Fraction

import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.mlb import mlb, mlb_value
from mubinn.golden.binarize.scales import Quantizer, choose_fraction
from mubinn.golden.cells.exact_activation import first_reaching
from mubinn.golden.cells.formats import Formats
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import to_fixed
from mubinn.golden.inference.run import infer
from mubinn.golden.model.bit_true import run
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.units.activation import activation
from mubinn.golden.units.threshold_search import encoder_nodes
from mubinn.train.data.windows import LabelledSet, find_data, load_labelled, prepare, synthetic_eeg
from mubinn.train.recipes.first_scales import first_scales, search_exponents
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import layer_kinds
from mubinn.train.recipes.tuned import tuned
from mubinn.train.runs.trainer import train

SMALL = Recipe(epochs=2, hidden=8, batch=16)
NOTED_RANGE = r"[\d.]+ % of 96 training windows' values lie beyond the range of \+-[\d.]+[;,]"


@pytest.fixture(scope="module")
def data():
    return synthetic_eeg(120, steps=64, channels=4, seed=2)


@pytest.fixture(scope="module")
def start(data):
    return train(data, SMALL).model


def small(a, w, datapath="figure3", **fields):
    return replace(SMALL, method=Method("mubinn2", Levels.of(a, w), **fields), datapath=datapath)


@pytest.mark.parametrize("levels", [1, 2, 3, 5, 7, 8])
def test_scales_and_bits_are_the_golden_ones(levels):
    import jax.numpy as jnp

    from mubinn.train.graphs import binarize as levels_of

    rng = np.random.default_rng(levels)
    own = np.sort(rng.uniform(0.01, 1.5, (levels, 4)).astype(np.float32), axis=0)[::-1]
    got = levels_of.scales_of(jnp.log(own), levels, most=12)
    fraction = choose_fraction(float(own.sum(axis=0).max()), levels, most=12)
    want = to_fixed(own, fraction)
    assert float(got.unit) == 2.0**-fraction  # exactly
    assert (np.abs(np.asarray(got.value) / float(got.unit) - want) <= 1e-3).mean() > 0.9
    assert (np.asarray(got.value) % float(got.unit) == 0).all()
    values = rng.normal(0, 1, (500, 4)).astype(np.float32)
    scales = got.value[:, None, :]
    wide = np.asarray(scales, np.float64)
    bits = mlb(values, wide)
    assert (np.stack(levels_of.encode(jnp.asarray(values), scales)) == bits).all()
    assert (
        np.asarray(levels_of.binarize(jnp.asarray(values), scales)) == mlb_value(bits, wide)
    ).all()
    tree = levels_of.tree_thresholds(0.0, scales)
    assert (np.stack(levels_of.search(jnp.asarray(values), tree)) == bits).all()


def test_tied_scales_are_doubles_of_one_integer():
    import jax.numpy as jnp

    from mubinn.train.graphs.binarize import scales_of

    got = scales_of(jnp.log(jnp.asarray([[0.071, 0.033]])), 3)
    integers = np.asarray(got.value) / float(got.unit)
    assert (integers[:-1] == 2 * integers[1:]).all()
    assert (integers == np.round(integers)).all()
    assert integers[0].sum() * 1.75 < 256


def test_shifts_are_one_power_of_two_for_all_groups():
    import jax
    import jax.numpy as jnp

    from mubinn.train.graphs.binarize import scales_of

    logs = jnp.log(jnp.asarray([[0.12, 0.03, 0.05]]))  # the mean lies nearest 2**-4
    got = scales_of(logs, 3, shift=True)
    assert (np.asarray(got.value) == np.array([[0.25], [0.125], [0.0625]])).all()
    assert got.unit == 0.0625
    assert scales_of(logs, 3, offset=jnp.asarray(0.1), shift=True).unit < 0.0625
    assert scales_of(logs + 4, 3, shift=True).unit == 1
    slope = jax.grad(lambda logs: scales_of(logs, 3, shift=True).value.sum())(logs)
    assert (np.asarray(slope) > 0).all()


def test_gate_thresholds_are_where_the_table_crosses():
    import jax.numpy as jnp

    from mubinn.train.graphs import binarize as levels_of
    from mubinn.train.graphs.activations import tree as tree_of

    formats, scales = Formats(), np.array([0.25, 0.125, 0.0625])
    own = jnp.asarray(scales, jnp.float32)
    tree = tree_of("figure3", "sigmoid", 0.5, own, jnp.asarray(2.0**-8))
    z = np.arange(-3000, 3000) / 256  # beyond the table at both ends
    got = np.stack(levels_of.search(jnp.asarray(z, jnp.float32), tree))
    y = activation(
        formats.activation("sigmoid"), np.clip(np.round(z * 256), -2048, 2047).astype(int)
    )
    assert (got == mlb(y / 1024, scales, 0.5)).all()


@pytest.mark.parametrize("gate", "fg")
def test_exact_thresholds_are_the_datapaths_own(gate):
    import jax
    import jax.numpy as jnp

    from mubinn.train.graphs.activations import tree as tree_of

    offset = 0.5 if gate == "f" else 0.0
    values, unit = np.array([0.3125, 0.25, 0.125]), jnp.asarray(2.0**-20)
    kind = "tanh" if gate == "g" else "sigmoid"
    traced = jax.jit(tree_of, static_argnums=(0, 1))
    scales = jnp.asarray(values, jnp.float32)
    edges = [e for level in traced("threshold", kind, offset, scales, unit) for e in level]
    quantizer = Quantizer((16 * values).astype(np.int64), 4, np.int64(16 * offset))
    nodes = (Fraction(node, 1 << quantizer.fraction) for node in encoder_nodes(quantizer))
    golden = [first_reaching(kind, node, 20, 1 << 30) for node in nodes]
    # The golden tree has the first level's sign as its lowest bit, the graph's as its highest.
    order = [0, 1, 2, 3, 5, 4, 6]
    inside = [k for k in range(7) if abs(golden[k]) < 1 << 30]
    assert len(inside) == (5 if gate == "f" else 7)
    assert [float(edges[order[k]]) * 2**20 for k in inside] == [golden[k] for k in inside]
    assert all((edges[order[k]] > 0) == (golden[k] > 0) for k in range(7))
    assert all(abs(edges[order[k]]) >= 2**10 for k in range(7) if k not in inside)


CASES = [
    ((3, 3), {}),
    ((1, 1), {"x_offset": "learned", "h_offset": "alternate"}),
    ((2, 2), {"scale_form": "power-of-two", "granularity": "row", "h_offset": "learned"}),
    ((3, 2), {"bias": "gate", "gate_offset": 0.0}),
    ((2, 3), {"datapath": "threshold", "scale_form": "shift"}),
    pytest.param((8, 8), {}, marks=pytest.mark.slow),
    pytest.param((2, 4), {"scale_form": "power-of-two"}, marks=pytest.mark.slow),
]


def test_weights_within_a_rounding_of_a_threshold_have_the_bits_of_the_graph(start):
    """0.062499996 - 0.15625 + 0.09375 is 0 in single precision, and below it otherwise."""
    import jax

    from mubinn.golden.model.float_model import Preprocessing
    from mubinn.train.graphs.graph import Graph
    from mubinn.train.graphs.quantizers import quantizers, stored
    from mubinn.train.runs.export import to_quantized

    method = Method("mubinn2", Levels.of(3, 3), granularity="row")
    graph = Graph(method, "mean", kinds := layer_kinds(start.layers))
    params = graph.start(start, np.zeros((2, 4, 4), np.float32) + 1)
    log_scales = np.log(np.float32([[0.15625], [0.09375], [0.03125]])).repeat(len(start.wd), axis=1)
    close = np.float32([0.0625, 0.15625, 0.25, -0.0625, -0.15625, -0.25, 0.125, 0.1875])
    for step in (-1, 0, 1):
        wd = np.nextafter(close, np.float32(step)).astype(np.float32)
        own = {**params, "wd": jax.numpy.tile(wd, (len(start.wd), 1))}
        own["scales"] = {**params["scales"], "wd": jax.numpy.asarray(log_scales)}

        @jax.jit
        def in_graph(own):
            return stored("wd", own["wd"], quantizers(own, method, kinds).dense)

        dense = to_quantized(Graph(method, "mean", kinds), own, Preprocessing(), {}).dense
        assert (np.ldexp(dense.w.values, -dense.w.fraction) == np.asarray(in_graph(own))).all()


@pytest.mark.parametrize(("pair", "fields"), CASES)
def test_export_decides_as_the_training_graph(data, start, pair, fields):
    result = train(data, small(*pair, **fields), start=start)
    model = result.model
    assert isinstance(model, QuantizedModel)
    assert model.levels == Levels.of(*pair)
    assert model.datapath == fields.get("datapath", "figure3")
    assert result.agreement == 1
    x = prepare(data.x[data.fold == 0])
    classes = infer(model, x).classes
    assert (classes == run(model, model.encode_input(x))[2]).all()
    assert (classes == data.y[data.fold == 0]).mean() == result.bit_true_accuracy
    assert result.accuracy == result.bit_true_accuracy
    assert model.meta["bit_true_accuracy"] == f"{result.bit_true_accuracy:.4f}"
    assert re.match(NOTED_RANGE, model.meta["input_range"])
    recipe = json.loads(model.meta["recipe"])
    assert recipe["method"]["levels"] == asdict(Levels.of(*pair))
    if fields.get("scale_form"):
        layer = model.layers[0]
        for scales in (layer.x.scales, layer.h.scales, layer.wx.scales, layer.wh.scales):
            assert (scales[..., :-1] == 2 * scales[..., 1:]).all()
    if fields.get("scale_form") == "shift":
        assert LayerPlan(model.layers[0], units=pair[1] * pair[1]).merged.constant
    offsets = [layer.x.offset.size, layer.h.offset.size] if (layer := model.layers[0]) else []
    assert offsets == [4 if "x_offset" in fields else 1, 8 if "h_offset" in fields else 1]


@pytest.mark.parametrize(("pair", "datapath"), [((1, 1), "figure3"), ((3, 3), "threshold")])
def test_graph_has_the_scores_of_the_integers(data, start, pair, datapath):
    import jax

    from mubinn.train.graphs.graph import Graph
    from mubinn.train.runs.export import to_quantized

    method = Method("mubinn2", Levels.of(*pair), x_offset="learned", h_offset="learned")
    graph = Graph(method, "last", layer_kinds(start.layers), datapath=datapath)
    x = prepare(data.x)
    params = graph.start(replace(start, readout="last"), x)
    made = to_quantized(graph, params, start.preprocessing, {})
    unit = 2.0 ** -(made.layers[0].h.fraction + made.dense.w.fraction)
    found = np.asarray(jax.jit(graph.logits)(params, x)) / unit
    assert (found == infer(made, x).scores).all()


def test_no_level_of_eight_is_rounded_away(data, start):
    from mubinn.train.graphs.graph import Graph
    from mubinn.train.runs.export import to_quantized

    method = Method("mubinn2", Levels.of(8, 8))
    kinds = layer_kinds(start.layers)
    graph = Graph(method, "mean", kinds)
    params = graph.start(start, prepare(data.x))
    layer = to_quantized(graph, params, start.preprocessing, {}).layers[0]
    for scales in (layer.x.scales, layer.h.scales, layer.quantizers["c"].scales, *layer.wx.scales):
        assert scales[-1] > 0
        assert (np.diff(scales) < 0).all()


def test_scales_are_learned_by_mubinn2_alone(data, start):
    import jax
    import jax.numpy as jnp

    from mubinn.train.graphs.graph import Graph

    x, y = prepare(data.x[:16]), data.y[:16].astype(np.int32)
    for method in (Method("mubinn2", Levels.of(2, 2)), Method("mubinn1", Levels.of(2, 2))):
        graph = Graph(method, "mean", layer_kinds(start.layers))
        params = graph.start(start, x)
        gradient = jax.jit(jax.grad(graph.loss))(params, jnp.asarray(x), y)
        moves = [np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient["scales"])]
        assert all(moves) if method.learns_scales else not any(moves)
        assert np.abs(gradient["layers"][0]["wx"]).max() > 0


@pytest.mark.parametrize(("name", "pair"), [("mubinn1", (2, 3)), ("b_lstm", (1, 1))])
def test_methods_with_a_float_rest(data, start, name, pair):
    method = Method(name, Levels.of(*pair))
    result = train(data, replace(SMALL, method=method), start=start)
    assert isinstance(result.model, FloatModel)
    assert result.bit_true_accuracy is None
    assert result.accuracy == result.test_accuracy
    x = prepare(data.x[:8])
    scales, offsets, _ = first_scales(start, method, x)
    assert set(scales) == ({"x", "wx"} if name == "mubinn1" else {"x", "wx", "wh"})
    assert offsets == {}
    exponents = np.concatenate([np.ravel(logs) for logs in scales.values()]) / np.log(2)
    np.testing.assert_allclose(exponents, np.round(exponents), atol=1e-9)
    assert (exponents == 0).all() == (name == "b_lstm")


def test_search_finds_the_powers_of_two_of_a_grid():
    values = np.random.default_rng(0).uniform(-1, 1, 4000)
    assert (2.0 ** search_exponents(values, 3) == [0.5, 0.25, 0.125]).all()
    assert (2.0 ** search_exponents(0.2 * values, 1) == [0.125]).all()


def test_one_level_learns_from_scratch(data):
    rng = np.random.default_rng(0)
    y = data.y[rng.permutation(data.windows)]
    shifted = rng.normal(0, 1, (data.windows, 16, 4)) + (y - 0.5)[:, None, None]
    easy = LabelledSet(**vars(data) | {"x": shifted.astype(np.float32), "y": y})
    recipe = replace(small(1, 1), epochs=25, learning_rate=1e-2, scale_rate=1e-2, decimate=1)
    recipe = replace(recipe, normalise="none")
    result = train(easy, recipe)
    assert result.history[-1]["loss"] < 0.8 * result.history[0]["loss"]
    assert result.bit_true_accuracy > 0.8  # chance is 0.5
    assert re.match(NOTED_RANGE, result.model.meta["input_range"])


BAD = [
    ({"name": "mubinn3"}, "name 'mubinn3' is unknown"),
    ({"name": "mubinn2"}, "needs levels"),
    ({"levels": Levels.of(1, 1)}, "takes no levels"),
    ({"name": "b_lstm", "levels": Levels.of(2, 1)}, "one level"),
    ({"name": "mubinn1", "levels": Levels.of(2, 2), "scale_form": "shift"}, "of one form"),
    ({"name": "mubinn2", "levels": Levels.of(1, 1), "damp_c": 1.5}, "damp_c is 1.5"),
    ({"name": "mubinn2", "levels": Levels.of(1, 1), "x_offset": "some"}, "x_offset 'some'"),
    ({"name": "mubinn2", "levels": Levels.of(1, 1), "gate_offset": 2.0}, "gate_offset is 2"),
]


@pytest.mark.parametrize(("fields", "words"), BAD)
def test_bad_method(fields, words):
    with pytest.raises(MubinnError, match=words):
        Method(**fields)


def test_models_that_cannot_start_binarized_training(data, random_float):
    with pytest.raises(MubinnError, match="5 channels and 2 classes"):
        train(data, small(2, 2), start=random_float(features=5, classes=2))
    with pytest.raises(MubinnError, match="reads the last of h"):
        train(data, small(2, 2), start=random_float(features=4, classes=2, readout="last"))


def test_tuned_recipes_follow_the_levels():
    assert tuned("float") == Recipe()
    assert tuned("mubinn2", Levels.of(1, 1)).method.h_offset == "learned"
    assert tuned("mubinn2", Levels.of(3, 3)).method.h_offset == "none"
    own = tuned("mubinn2", Levels.of(1, 1), method={"h_offset": "none"}, epochs=3, fold=2)
    assert (own.method.h_offset, own.epochs, own.fold) == ("none", 3, 2)


@pytest.mark.slow
@pytest.mark.skipif(find_data() is None, reason="the eegmmidb windows are not here")
def test_real_eeg_agrees_and_keeps_its_accuracy():
    data = load_labelled(find_data())
    start = train(data).model
    result = train(data, tuned("mubinn2", Levels.of(3, 3)), start=start)
    assert result.agreement >= 0.995
    assert abs(result.bit_true_accuracy - result.test_accuracy) < 0.002
    assert result.bit_true_accuracy > 0.81
