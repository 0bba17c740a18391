"""Layers that sweep the pixels of frames: convolutional cells in float, integers and files."""

import dataclasses

import numpy as np
import pytest
from sweeps import SWEEPS, movies, swept

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.constants import DATAPATHS
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import dense, gru_before, lstm, lstm_projected, peephole
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.bounds import dequantize
from mubinn.golden.model.model_file import load_float, load_model, save_model
from mubinn.golden.quantize import quantize


@pytest.fixture(params=SWEEPS)
def kinds(request):
    return SWEEPS[request.param]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def convolved(frame, kernel):
    """Return the 'same' convolution [H, W, F] of a frame [H, W, C] with a kernel [F, 3, 3, C]."""
    tall, wide, _ = frame.shape
    padded = np.pad(frame, ((1, 1), (1, 1), (0, 0)))
    found = np.zeros((tall, wide, len(kernel)))
    for y in range(tall):
        for x in range(wide):
            found[y, x] = (kernel * padded[y : y + 3, x : x + 3]).sum(axis=(1, 2, 3))
    return found


def test_a_sweep_with_peepholes_is_the_papers_convlstm():
    sweep, cells, channels = Sweep(4, 5), 3, 2
    model = swept([(peephole, cells, sweep)], channels)
    layer = model.layers[0]
    kernels = {
        name: (
            layer.wx[layer.row_slice(k)].reshape(cells, 3, 3, channels),
            layer.wh[layer.row_slice(k)].reshape(cells, 3, 3, cells),
            layer.b[layer.row_slice(k)],
        )
        for k, name in enumerate("figo" if layer.cell.rows[3].name == "o" else "")
    }
    own = layer.stored
    x = np.random.default_rng(0).normal(0, 1, (3, 4, 5, channels))
    h = c = np.zeros((4, 5, cells))
    want = []
    for frame in x:
        z = {
            name: convolved(frame, wx) + convolved(h, wh) + b
            for name, (wx, wh, b) in kernels.items()
        }
        f, i = sigmoid(z["f"] + own["pf"] * c), sigmoid(z["i"] + own["pi"] * c)
        c = f * c + i * np.tanh(z["g"])
        h = sigmoid(z["o"] + own["po"] * c) * np.tanh(c)
        want.append(h)
    run = reference.run_layer(layer, reference.LayerQuantizers(), x.reshape(-1, channels))
    assert np.abs(run["h"].reshape(3, 4, 5, cells) - want).max() < 1e-12


@pytest.mark.parametrize("readout", ["every", "running", "mean"])
@pytest.mark.parametrize("datapath", DATAPATHS)
def test_fast_inference_equals_the_bit_true_model(kinds, datapath, readout):
    x = movies(kinds)
    model = quantize(swept(kinds, readout=readout), Levels.of(2, 2), x).with_datapath(datapath)
    for own in (x, x.astype(np.float32)):
        _, scores, _ = bit_true.run(model, model.encode_input(own))
        assert len(np.unique(scores)) > 1
        assert (CompiledModel(model).infer(own, threads=1).scores == scores).all()
    with pytest.raises(MubinnError, match=r"sweeps frames: take the numpy one|needs numba"):
        CompiledModel(model, kernel="words")


def test_many_levels_are_nearly_the_float_model(kinds):
    x, floats = movies(kinds, windows=20), swept(kinds)
    model = quantize(floats, Levels.of(7, 7), x)
    logits = reference.logits(floats, x)
    _, scores, _ = bit_true.run(model, model.encode_input(x))
    found = scores * 2.0**-model.dense.b.fraction
    assert np.abs(found - logits).max() < 0.15 * np.abs(logits).max()


def test_the_reference_with_the_stored_numbers_decides_alike(kinds):
    x = movies(kinds, windows=20)
    model = quantize(swept(kinds), Levels.of(4, 4), x)
    floats, quantizers = dequantize(model)
    exact = np.round(np.clip(x, -64, 64) * 1024) / 1024
    found = reference.logits(floats, exact, quantizers)
    classes = bit_true.run(model, model.encode_input(x))[2]
    assert ((found[..., 0] >= 0) == classes).mean() > 0.95


def test_files_keep_them(kinds, tmp_path):
    floats, x = swept(kinds), movies(kinds)
    save_model(tmp_path / "f.safetensors", floats)
    again = load_float(tmp_path / "f.safetensors")
    assert [layer.frames for layer in again.layers] == [own[2] for own in kinds]
    assert np.abs(reference.logits(again, x) - reference.logits(floats, x)).max() < 1e-5
    model = quantize(floats, Levels.of(2, 2), x)
    save_model(tmp_path / "q.mubinn", model)
    same, codes = load_model(tmp_path / "q.mubinn"), model.encode_input(x)
    assert (bit_true.run(same, codes)[1] == bit_true.run(model, codes)[1]).all()


def test_what_no_sweep_can_be_is_refused():
    for sizes in ((0, 3), (3, 3, 2, 3), (3, 3, 3, 17), (2000, 3)):
        with pytest.raises(MubinnError, match=r"give 1 to|give odd numbers"):
            Sweep(*sizes)
    for cell in (gru_before, lstm_projected):
        with pytest.raises(MubinnError, match="give another cell"):
            swept([(cell, 2, Sweep(2, 2))])
    with pytest.raises(MubinnError, match="the readout last"):
        swept(SWEEPS["ConvLSTM"], readout="last")
    with pytest.raises(MubinnError, match="different sizes"):
        swept([(lstm, 2, Sweep(2, 2)), (dense, 2, Sweep(2, 3))])
    for beside in (lstm, Frames()), (dense, Frames(2)):
        with pytest.raises(MubinnError, match="takes pixels for steps of time"):
            swept([(lstm, 2, Sweep(2, 2)), (beside[0], 2, beside[1])])
    kinds = SWEEPS["ConvLSTM"]
    model, x = quantize(swept(kinds), Levels.of(1, 1), movies(kinds)), movies(kinds)[:, :-1]
    for run in (
        lambda: bit_true.run(model, model.encode_input(x)),
        lambda: CompiledModel(model).infer(x),
        lambda: reference.logits(swept(kinds), x),
    ):
        with pytest.raises(MubinnError, match="not one of whole frames"):
            run()
    layer = model.layers[0]
    with pytest.raises(MubinnError, match="3H"):
        dataclasses.replace(layer, frames=Sweep(3, 4, 1, 3))
