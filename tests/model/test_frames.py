"""Layers of different kinds in one stack, and layers that read several steps at once."""

import dataclasses

import numpy as np
import pytest
from stacks import STACKS, stacked

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.constants import DATAPATHS
from mubinn.golden.cells.frames import Frames
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference import compiled as inference_compiled
from mubinn.golden.inference import loops
from mubinn.golden.inference import run as inference
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.bounds import dequantize
from mubinn.golden.model.model_file import load_float, load_model, save_model
from mubinn.golden.quantize import quantize

FEATURES, STEPS = 3, 9


def windows(count=10):
    return np.random.default_rng(2).normal(0, 1, (count, STEPS, FEATURES))


@pytest.fixture(params=STACKS)
def kinds(request):
    return STACKS[request.param]


def test_frames_are_a_convolution():
    frames, random = Frames(3, 2, 1), np.random.default_rng(0)
    x, filters = random.normal(0, 1, (7, 2)), random.normal(0, 1, (4, 6))
    found = frames.of(x, np.zeros(2)) @ filters.T
    padded = np.concatenate([np.zeros((1, 2)), x])
    own = filters.reshape(4, 3, 2)
    for t, row in enumerate(found):
        for k in range(4):
            assert row[k] == pytest.approx((own[k] * padded[2 * t : 2 * t + 3]).sum())
    assert len(found) == frames.count(7) == 3


@pytest.mark.parametrize("frames", [Frames(), Frames(3), Frames(4, 3, 2), Frames(2, 2, 1)])
def test_frames_one_by_one_are_those_of_a_window(frames):
    x, zero = np.arange(22).reshape(11, 2), np.array([-1, -2])
    one_by_one = list(frames.slide(iter(x[:, :, None]), zero[:, None]))
    assert (np.stack(one_by_one)[..., 0] == frames.of(x, zero)).all()


@pytest.mark.parametrize("bad", [(0, 1, 0), (1, 0, 0), (2, 1, 2), (1, 1, -1)])
def test_frames_that_are_none(bad):
    with pytest.raises(MubinnError, match="1 or more of the first two"):
        Frames(*bad)


@pytest.mark.parametrize("readout", ["last", "mean"])
@pytest.mark.parametrize("datapath", DATAPATHS)
@pytest.mark.parametrize("levels", [(1, 1), (2, 3)])
def test_fast_inference_equals_the_bit_true_model(kinds, datapath, levels, readout, monkeypatch):
    plain = inference_compiled.Kernels(loops.encode_words, loops.run_layer)
    monkeypatch.setattr(inference, "available", lambda: True)
    monkeypatch.setattr(inference, "kernels", lambda: plain)
    x = windows()
    model = quantize(stacked(kinds, FEATURES, readout), Levels.of(*levels), x).with_datapath(
        datapath
    )
    # Samples in float32 are not those in float64, whose codes the bit-true model is given.
    for own in (x, x.astype(np.float32)):
        _, scores, classes = bit_true.run(model, model.encode_input(own))
        assert len(np.unique(scores)) > 1
        pairs = ["pairs"] if CompiledModel(model).programs("pairs") else []
        assert pairs or levels == (1, 1)  # a scale of 8 bits each way makes factors of 17
        for kernel in ("numpy", "words", *pairs):
            found = CompiledModel(model, kernel=kernel).infer(own, threads=1)
            assert (found.scores == scores).all()
            assert (found.classes == classes).all()


def test_many_levels_are_nearly_the_float_model(kinds):
    x, floats = windows(20), stacked(kinds, FEATURES)
    model = quantize(floats, Levels.of(7, 7), x)
    logits = reference.logits(floats, x)
    _, scores, _ = bit_true.run(model, model.encode_input(x))
    found = scores * 2.0**-model.dense.b.fraction / model.steps(STEPS)
    assert np.abs(found - logits).max() < 0.15 * np.abs(logits).max()


def test_the_reference_with_the_stored_numbers_decides_alike(kinds):
    x = windows(40)
    model = quantize(stacked(kinds, FEATURES), Levels.of(4, 4), x)
    floats, quantizers = dequantize(model)
    codes = model.encode_input(x)
    exact = np.round(np.clip(x, -64, 64) * 1024) / 1024
    found = reference.logits(floats, exact, quantizers)
    classes = bit_true.run(model, codes)[2]
    assert (found.argmax(axis=-1) == classes).mean() > 0.9


def test_files_keep_them(kinds, tmp_path):
    floats = stacked(kinds, FEATURES)
    save_model(tmp_path / "f.safetensors", floats)
    again = load_float(tmp_path / "f.safetensors")
    assert [layer.frames for layer in again.layers] == [own[2] for own in kinds]
    assert [layer.cell.name for layer in again.layers] == [own[0].name for own in kinds]
    model = quantize(floats, Levels.of(2, 2), windows())
    save_model(tmp_path / "q.mubinn", model)
    same = load_model(tmp_path / "q.mubinn")
    codes = model.encode_input(windows())
    assert (bit_true.run(same, codes)[1] == bit_true.run(model, codes)[1]).all()


def test_windows_that_are_too_short_are_told():
    model = quantize(stacked(STACKS["convolution"], FEATURES), Levels.of(1, 1), windows())
    short = windows()[:, :2]
    for run in (
        lambda: bit_true.run(model, model.encode_input(short)),
        lambda: CompiledModel(model).infer(short),
    ):
        with pytest.raises(MubinnError, match="2 steps is shorter than the 3"):
            run()


def test_columns_fit_the_taps():
    layer = stacked(STACKS["convolution"], FEATURES).layers[0]
    with pytest.raises(MubinnError, match="not those of 2 steps"):
        dataclasses.replace(layer, frames=Frames(2))
