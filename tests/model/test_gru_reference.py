"""The float GRU against a scalar one written from the equations, and its model files."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_layer import gru_layer, gru_parts
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.model_file import load_float, save_model
from mubinn.golden.model.reference import LayerQuantizers, logits, run_layer


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def scalar_step(layer, x, h, reset):
    """Eq. (10)-(13) with biases, cell by cell."""
    size, own = len(h), gru_parts(layer)

    def row(matrix, gate, cell, vector):
        return sum(float(w) * v for w, v in zip(matrix[gate * size + cell], vector, strict=True))

    def both(gate, cell):
        here = float(own.b[gate * size + cell])
        return row(own.wx, gate, cell, x) + row(own.wh, gate, cell, h) + here

    z = [sigmoid(both(0, k)) for k in range(size)]
    r = [sigmoid(both(1, k)) for k in range(size)]
    new = []
    for k in range(size):
        kept = [a * b for a, b in zip(r, h, strict=True)]
        inner = row(own.wh, 2, k, kept if reset == "before" else h) + float(own.bn[k])
        inner = inner if reset == "before" else r[k] * inner
        n = math.tanh(row(own.wx, 2, k, x) + float(own.b[2 * size + k]) + inner)
        new.append((1 - z[k]) * h[k] + z[k] * n)
    return new


@pytest.mark.parametrize("reset", ["after", "before"])
def test_the_layer_equals_the_scalar_one(random_float_gru, reset):
    layer = random_float_gru(3, 4, 3, reset=reset).layers[0]
    x = np.random.default_rng(0).normal(size=(6, 4))
    found = run_layer(layer, LayerQuantizers(), x)["h"]
    h = [0.0] * 3
    for now, here in zip(x, found, strict=True):
        h = scalar_step(layer, now.tolist(), h, reset)
        np.testing.assert_allclose(here, h, rtol=0, atol=1e-14)


def test_the_two_resets_differ(random_float_gru):
    model = random_float_gru(3, 4, 3)
    other = replace(model, layers=(gru_layer(*gru_parts(model.layers[0]), "before"),))
    x = np.random.default_rng(0).normal(size=(2, 6, 4))
    assert np.abs(logits(model, x) - logits(other, x)).max() > 1e-3


@pytest.mark.parametrize("reset", ["after", "before"])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_file_holds_the_same_model(random_float_gru, tmp_path, reset, depth):
    model = random_float_gru(1, depth=depth, reset=reset, readout="last")
    path = tmp_path / "gru.safetensors"
    save_model(path, model)
    again = load_float(path)
    assert again.cell == "gru"
    for here, there in zip(model.layers, again.layers, strict=True):
        assert there.cell is here.cell
        assert there.cell.name == {"after": "gru", "before": "gru_before"}[reset]
        for name in ("wx", "wh", "b"):
            assert (getattr(here, name) == getattr(there, name)).all()
    assert (again.wd == model.wd).all()
    assert again.readout == "last"


def zeros(*shape):
    return np.zeros(shape)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: gru_layer(zeros(8, 3), zeros(8, 2), zeros(8), zeros(2)), r"expected \(3H, I\)"),
        (lambda: gru_layer(zeros(6, 3), zeros(6, 3), zeros(6), zeros(2)), r"wh has shape \(6, 3\)"),
        (lambda: gru_layer(zeros(6, 3), zeros(6, 2), zeros(5), zeros(2)), r"b has shape \(5,\)"),
        (lambda: gru_layer(zeros(6, 3), zeros(6, 2), zeros(6), zeros(3)), r"bn has shape \(3,\)"),
        (
            lambda: gru_layer(zeros(6, 3), zeros(6, 2), zeros(6), zeros(2) + np.nan),
            "bn holds NaN",
        ),
        (
            lambda: gru_layer(zeros(6, 3), zeros(6, 2), zeros(6), zeros(2), "between"),
            "unknown reset 'between'",
        ),
    ],
)
def test_a_layer_of_the_wrong_shape_is_a_fault(make, words):
    with pytest.raises(MubinnError, match=words):
        make()


def test_a_model_tells_the_kinds_of_its_cells(random_float, random_float_gru):
    lstm, gru = random_float(hidden=4), random_float_gru(features=4, hidden=4)
    assert (lstm.cell, gru.cell) == ("lstm", "gru")
    assert lstm.lstm_layers == lstm.layers
    features = lstm.layers[0].features
    below = random_float_gru(features=features, hidden=features)
    mixed = FloatModel((below.layers[0], lstm.layers[0]), lstm.wd, lstm.bd)
    assert mixed.cell == "gru_lstm"
    with pytest.raises(MubinnError, match="is a GRU_LSTM where an LSTM is needed"):
        _ = mixed.lstm_layers
    with pytest.raises(MubinnError, match="is a GRU where an LSTM is needed"):
        _ = gru.lstm_layers
