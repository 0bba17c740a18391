"""Training of layers with other activations than tanh, given by name."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.graph import with_activations
from mubinn.golden.cells.library import dense, gru, lstm, rnn_relu
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.model_file import load_float, save_model
from mubinn.golden.quantize import quantize
from mubinn.golden.units.shapes import shape_of
from mubinn.train.data.windows import synthetic_eeg
from mubinn.train.graphs.graph import Graph
from mubinn.train.graphs.network import init_params, to_model
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import LayerForm, layer_kinds, layer_words, parse_layers
from mubinn.train.runs.export import to_quantized
from mubinn.train.runs.trainer import train

FEATURES = 3
STACKS = (
    "conv 4x3 relu, dense 3 hard_tanh",
    "dense 4 hard_sigmoid, gru_before 3 relu",
    "dense 4 identity, rnn 3 sigmoid",
    "lstm 3 hard_tanh, dense 3 sigmoid",
)


def drawn(text):
    forms = parse_layers(text)
    rng = np.random.default_rng(3)
    params = init_params(forms, 0, FEATURES, 3)
    params = jax.tree.map(lambda w: 1.5 * w + rng.normal(0, 0.3, w.shape), params)
    kinds = tuple(form.kind(1.0) for form in forms)
    model = to_model(params, kinds, "mean", Preprocessing(), {})
    return model, kinds, rng.normal(0, 1, (40, 8, FEATURES)).astype(np.float32)


@pytest.mark.parametrize("text", STACKS)
def test_the_float_graph_is_the_reference(text):
    model, kinds, x = drawn(text)
    graph = Graph(Method(), "mean", kinds)
    found = np.asarray(graph.logits(graph.start(model, x), x))
    assert np.abs(found - reference.logits(model, x)).max() < 1e-5


@pytest.mark.parametrize(("pair", "datapath"), [((3, 3), "figure3"), ((2, 3), "threshold")])
@pytest.mark.parametrize("text", STACKS)
def test_the_integers_are_the_graph(text, pair, datapath):
    model, kinds, x = drawn(text)
    method = Method("mubinn2", Levels.of(*pair), x_offset="learned")
    graph = Graph(method, "mean", kinds, datapath=datapath)
    params = graph.start(model, x)
    made = to_quantized(graph, params, Preprocessing(), {})
    scores = bit_true.run(made, made.encode_input(x))[1]
    unit = 2.0**-made.dense.b.fraction / made.steps(x.shape[1])
    found = np.asarray(jax.jit(graph.logits)(params, x), np.float64)
    assert (np.rint(found / unit) == scores).all()
    assert (infer(made, x).scores == scores).all()
    assert len(np.unique(scores)) > 20


@pytest.mark.parametrize("text", STACKS)
def test_offsets_are_those_of_quantization(text):
    model, kinds, x = drawn(text)
    method = Method("mubinn2", Levels.of(3, 3))
    graph = Graph(method, "mean", kinds)
    made = to_quantized(graph, graph.start(model, x), Preprocessing(), {})
    fitted = quantize(model, Levels.of(3, 3), x.astype(np.float64))
    for one, other in zip(made.layers, fitted.layers, strict=True):
        for name, quantizer in one.quantizers.items():
            assert quantizer.float_offset == other.quantizers[name].float_offset
            reach = other.quantizers[name].float_scales.sum()
            assert abs(quantizer.float_scales.sum() - reach) < 0.15 * reach, name


def kinds_of(form):
    return [node.kind for node in form.cell.of("activation")]


def test_an_activation_stands_in_place_of_tanh():
    whole, hard, named = parse_layers("lstm 3 relu, dense 3 hard_tanh, dense 2 tanh")
    relu = "ramp(1, 0, 0)"
    assert kinds_of(whole) == ["sigmoid", "sigmoid", relu, "sigmoid", relu]
    assert kinds_of(hard) == ["ramp(1, 0, -1)"]
    assert named.cell is dense
    assert shape_of(*kinds_of(*parse_layers("dense 2 identity"))).high == 8


@pytest.mark.parametrize(
    "text",
    [
        "conv 16x5/2 causal relu, gru 3 hard_tanh, both gru_before 2 relu",
        "rnn 3 hard_sigmoid, dense 4, rnn_relu 2, backward lstm 4 identity",
    ],
)
def test_activations_are_read(text):
    assert ", ".join(layer_words(parse_layers(text))) == text
    assert parse_layers(text) == parse_layers(text)


def test_words_of_what_has_no_name():
    own = with_activations(gru, {"z": "ramp(1/5, 1/2, 0)"})
    other = with_activations(rnn_relu, {"h": "tanh"})
    assert layer_words([LayerForm(own, 2), LayerForm(other, 3), LayerForm(lstm, 4)]) == [
        "gru_ramp 2", "rnn_relu_tanh 3", "lstm 4"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dense 3 ramp", r"'dense 3 ramp' is no layer: .* behind may stand tanh, sigmoid, hard_ta"),
        ("rnn_relu 3 relu", "rnn_relu has no tanh, leave the activation out"),
    ],
)
def test_what_is_no_activation(text, words):
    with pytest.raises(MubinnError, match=words):
        parse_layers(text)


def test_activations_train_from_a_file(tmp_path):
    data = synthetic_eeg(80, steps=24, channels=3, seed=2)
    recipe = Recipe(epochs=2, batch=16, layers=parse_layers("conv 4x3/2 relu, dense 3 hard_tanh"))
    save_model(tmp_path / "a", train(data, recipe).model)
    start = load_float(tmp_path / "a")
    method = Method("mubinn2", Levels.of(3, 3))
    made = train(data, replace(recipe, method=method), start=start)
    assert made.agreement == 1
    assert layer_kinds(start.layers)[1].cell is made.model.layers[1].cell
    with pytest.raises(
        MubinnError, match="are conv 4x3/2 relu, dense 3 hard_tanh, the recipe's co"
    ):
        train(data, replace(recipe, layers=parse_layers("conv 4x3/2, dense 3")), start=start)
