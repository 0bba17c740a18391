"""Post-training quantization: what it fits, and how close the quantized model comes."""

from dataclasses import replace

import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.mlb import fit_scales
from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.formats import Formats
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import reference
from mubinn.golden.model.bit_true import run
from mubinn.golden.model.bounds import dequantize
from mubinn.golden.model.float_layer import lstm_layer
from mubinn.golden.quantization.layers import _check_clip
from mubinn.golden.quantize import quantize


def windows(features=5, count=12, steps=20, seed=0):
    return np.random.default_rng(seed).normal(size=(count, steps, features))


@pytest.mark.parametrize("granularity", ["gate", "row"])
@pytest.mark.parametrize("levels", [1, 3, 5])
def test_weight_scales_are_those_of_a_fit_per_group(random_float, granularity, levels):
    model = random_float(0, hidden=6)
    layer = quantize(model, Levels.of(2, levels), windows(), granularity=granularity).layers[0]
    groups = 4 if granularity == "gate" else 24
    for stored, real in ((layer.wx, model.layers[0].wx), (layer.wh, model.layers[0].wh)):
        assert stored.scales.shape == (groups, levels)
        unit = 2.0**-stored.fraction
        for group, rows in enumerate(np.split(real, groups)):
            scales = fit_scales(rows, levels)
            assert np.abs(stored.scales[group] * unit - scales).max() <= unit / 2


def test_levels_and_notes_carry_over(random_float):
    levels = Levels.of(2, 3, h=4, c=1, gate=5, b=2)
    model = random_float(1, readout="last")
    quantized = quantize(model, levels, windows(), formats=Formats(14, 9, 11, 6))
    assert quantized.levels == levels
    assert quantized.readout == "last"
    assert quantized.meta == model.meta
    assert quantized.preprocessing == model.preprocessing
    assert quantized.layers[0].formats == Formats(14, 9, 11, 6)


@pytest.mark.parametrize("offset", [0.5, 0.0])
def test_gate_offset_is_that_of_the_sigmoids(random_float, offset):
    layer = quantize(random_float(2), Levels.of(2, 2), windows(), gate_offset=offset).layers[0]
    for name, gate in layer.gates.items():
        assert gate.float_offset == (0.0 if name == "g" else offset)
    first, _ = layer.lowered["c_raw"].operation.gammas
    assert first.shape == (2 + (offset > 0), 2)


def test_offsets_of_h_fold_into_the_biases(random_float):
    model = random_float(3, depth=2)
    offsets = np.array([0.25, -0.25, 0.125, -0.125])
    quantized = quantize(model, Levels.of(8, 8), windows(), h_offset=offsets)
    assert quantized.layers[1].h.float_offset.tolist() == offsets.tolist()
    assert not quantized.layers[0].h.has_offset
    floats, _ = dequantize(quantized)
    # With 8 levels the unfolded biases are the float ones, up to what 8 levels of 8 bits leave.
    for own, real in zip(floats.layers, model.layers, strict=True):
        assert np.abs(own.b - real.b).max() < 0.02
    assert np.abs(floats.bd - model.bd).max() < 0.02


@pytest.mark.parametrize("depth", [1, 2])
def test_more_levels_come_closer_to_the_float_model(random_float, depth):
    model = random_float(4, features=6, hidden=8, depth=depth)
    x = windows(6, 40, 20, seed=1)
    real = reference.logits(model, x)
    errors = []
    for levels in (1, 3, 5):
        quantized = quantize(model, Levels.of(levels, levels), windows(6, 20, 20))
        _, scores, _ = run(quantized, quantized.encode_input(x))
        found = np.ldexp(scores.astype(float), -quantized.dense.b.fraction) / x.shape[1]
        errors.append(float(np.abs(found - real).mean()))
    assert errors[1] < 0.5 * errors[0]
    assert errors[2] < 0.5 * errors[1]
    assert errors[2] < 0.05


def test_is_reproducible_and_samples_by_seed(random_float, monkeypatch):
    monkeypatch.setattr("mubinn.golden.quantization.tensors.SAMPLE", 100)
    model, levels = random_float(5), Levels.of(2, 2)
    first, again, other = (quantize(model, levels, windows(), seed=s) for s in (0, 0, 1))
    assert first.layers[0].x.scales.tolist() == again.layers[0].x.scales.tolist()
    assert first.layers[0].x.scales.tolist() != other.layers[0].x.scales.tolist()


def test_a_quiet_layer_below_another_is_no_fault(random_float):
    model = random_float(6, depth=2)
    low = model.layers[0]
    quiet = lstm_layer(low.wx * 1e-5, low.wh, low.b * 1e-5, 1.0)
    quantized = quantize(
        replace(model, layers=(quiet, model.layers[1])), Levels.of(2, 2), windows()
    )
    assert quantized.layers[1].x is quantized.layers[0].h


@pytest.mark.parametrize("levels", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("clip", [0.05, 0.6, 1.0])
def test_thresholds_of_a_clipped_c_stay_below_the_clip(random_float, levels, clip):
    model = random_float(7, features=32, hidden=30, c_clip=clip)
    layer = quantize(model, Levels.of(2, 2, c=levels), windows(32)).layers[0]
    scales = layer.quantizers["c"].float_scales
    assert scales[:-1].sum() <= clip
    assert scales.sum() > 0.4 * clip


def test_clips_of_gates_are_kept_or_refused(random_float):
    model = random_float(7, features=32, hidden=30)

    def clipped(**clips):
        own = replace(model, layers=(replace(model.layers[0], clips=clips),))
        return quantize(own, Levels.of(2, 2), windows(32)).layers[0]

    assert 0.04 < clipped(g=0.05).quantizers["g"].float_scales.sum() <= 0.05
    with pytest.raises(MubinnError, match=r"highest threshold of f, .* its clip 0.4"):
        clipped(f=0.4)


def test_a_threshold_beyond_the_clip_is_refused():
    _check_clip("c", Quantizer([128, 64, 32], 8, 0), 0.75)
    with pytest.raises(MubinnError, match=r"0.75, lies beyond its clip 0.74: use fewer levels"):
        _check_clip("c", Quantizer([128, 64, 32], 8, 0), 0.74)


FAULTS = [
    ({"levels": Levels.of(None, 2)}, r"\(FP,2\) keeps a tensor in full precision"),
    ({"calibration": np.zeros((3, 4))}, r"shape \(3, 4\) are not"),
    ({"calibration": np.zeros((3, 4, 6))}, r"shape \(3, 4, 6\) are not"),
    ({"calibration": np.zeros((0, 4, 5))}, r"shape \(0, 4, 5\) are not"),
    ({"calibration": np.zeros((4, 0, 5))}, r"shape \(4, 0, 5\) are not"),
    ({"calibration": np.full((2, 4, 5), np.nan)}, "calibration data hold NaN"),
    (
        {"calibration": np.linspace(-9e8, 1e9, 40).reshape(2, 4, 5)},
        r"input runs from -9e\+08 to 1e\+09, which is too large .*\(--normalise window\)",
    ),
    (
        {"calibration": np.linspace(-9e8, 1e9, 40).reshape(2, 4, 5), "levels": Levels.of(8, 2)},
        "too large for scales of 10 bits",
    ),
    ({"h_offset": np.zeros(3)}, r"h_offset has shape \(3,\)"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_unusable_inputs_are_refused(random_float, change, message):
    arguments = {"levels": Levels.of(2, 2), "calibration": windows(), **change}
    with pytest.raises(MubinnError, match=message):
        quantize(random_float(0), **arguments)


@pytest.mark.parametrize(
    ("name", "value", "message"), [("b", 1e12, "a bias as large as 1e"), ("wx", 1e6, "too large")]
)
def test_models_beyond_the_formats_are_refused(random_float, name, value, message):
    model = random_float(0)
    low = model.layers[0]
    layer = replace(low, **{name: np.full_like(getattr(low, name), value)})
    with pytest.raises(MubinnError, match=message):
        quantize(replace(model, layers=(layer,)), Levels.of(2, 2), windows())
