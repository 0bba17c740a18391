"""Layers that take a window backward, and layers beside each other: every software form equal."""

import numpy as np
import pytest
from directions import BACKWARD, BESIDE, DIRECTIONS, ONWARD, OTHER_WAY, directed

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import gru, lstm
from mubinn.golden.cells.place import Place, stages
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.bounds import dequantize
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.head import READINGS
from mubinn.golden.model.model_file import load_any, save_model
from mubinn.golden.quantize import quantize

WINDOWS = np.random.default_rng(3).normal(0, 1, (9, 6, 3))


def quantized(name, readout="mean", levels=(2, 1)):
    return quantize(directed(DIRECTIONS[name], 3, readout), Levels.of(*levels), WINDOWS)


def alone(layer):
    """Return the layer where it stands on nothing and reads onward."""
    return FloatLayer(layer.cell, layer.wx, layer.wh, layer.b)


def test_two_directions_are_the_layer_on_windows_turned_round():
    model = directed(DIRECTIONS["two directions"], 3, "every")
    onward, backward = (
        reference.run_layer(alone(layer), reference.LayerQuantizers(), x)["h"]
        for layer, x in zip(model.layers, (WINDOWS, WINDOWS[:, ::-1]), strict=True)
    )
    h = np.concatenate([onward, backward[:, ::-1]], axis=-1)
    assert np.array_equal(reference.logits(model, WINDOWS), h @ model.wd.T)
    last = directed(DIRECTIONS["two directions"], 3, "last")
    ends = np.concatenate([onward[:, -1], backward[:, -1]], axis=-1)
    assert np.array_equal(reference.logits(last, WINDOWS), ends @ model.wd.T)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_integers_stay_near_the_reference_with_their_numbers(name):
    model = quantized(name, levels=(6, 6))
    scores = bit_true.run(model, model.encode_input(WINDOWS))[1]
    near = reference.logits(*_of(dequantize(model), WINDOWS))
    assert np.abs(model.values(scores, 6) - near).max() < 0.05


def _of(found, x):
    floats, quantizers = found
    return floats, x, quantizers


@pytest.mark.parametrize("readout", READINGS)
@pytest.mark.parametrize("name", DIRECTIONS)
def test_fast_inference_is_equal(name, readout):
    model = quantized(name, readout)
    scores = bit_true.run(model, model.encode_input(WINDOWS))[1]
    found = CompiledModel(model, kernel="numpy").infer(WINDOWS)
    assert np.array_equal(found.scores, scores)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_files_keep_places(name, tmp_path):
    floats = directed(DIRECTIONS[name], 3, "last")
    model = quantize(floats, Levels.of(2, 1), WINDOWS)
    for kept in (floats, model):
        save_model(tmp_path / "model", kept)
        again = load_any(tmp_path / "model")
        assert [layer.place for layer in again.layers] == [layer.place for layer in kept.layers]
    codes = model.encode_input(WINDOWS)
    assert np.array_equal(bit_true.run(again, codes)[1], bit_true.run(model, codes)[1])


def test_directions_have_one_quantizer_of_h():
    model = quantized("two directions twice")
    for stage in stages(model.layers):
        assert len({id(layer.h) for layer in stage}) == 1


def layer(inputs, hidden, place, frames=None):
    rows = 4 * hidden
    parts = np.ones((rows, inputs)), np.ones((rows, hidden)), np.ones(rows)
    return FloatLayer(lstm, *parts, {}, {}, frames or Frames(), place)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([layer(3, 2, BESIDE)], "the first layer is beside a layer, but none is before it"),
        ([layer(3, 2, ONWARD), layer(2, 2, OTHER_WAY)], "differ in their inputs"),
        ([layer(3, 2, ONWARD), layer(3, 2, OTHER_WAY), layer(2, 2, ONWARD)], "below has 4 outputs"),
        ([layer(4, 2, BACKWARD, Frames(2))], "reads several steps at once"),
    ],
)
def test_layers_that_do_not_fit_their_places(layers, words):
    with pytest.raises(MubinnError, match=words):
        FloatModel(tuple(layers), np.ones((2, 2)), np.zeros(2))


def test_offsets_of_cells_need_a_quantizer_of_their_own():
    floats = directed(DIRECTIONS["two directions"], 3)
    with pytest.raises(MubinnError, match="give one number"):
        quantize(floats, Levels.of(2, 1), WINDOWS, h_offset=np.zeros(6))


def test_places_that_are_not_plain_are_no_lstm_stack():
    with pytest.raises(MubinnError, match="where an LSTM is needed"):
        _ = directed([(lstm, 2, Place(backward=True))], 3).lstm_layers
    assert directed([(gru, 2, ONWARD)], 3).cell == "gru"
