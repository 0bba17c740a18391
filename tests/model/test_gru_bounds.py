"""The bit-true GRU against the float64 reference, within the stated bounds; its quantization."""

import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.library import gru
from mubinn.golden.cells.step import cell_step
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import to_float
from mubinn.golden.model import reference
from mubinn.golden.model.bit_true import run
from mubinn.golden.model.bounds import dequantize, gate_bounds, margin
from mubinn.golden.quantize import quantize
from mubinn.golden.units.activation import ActivationParams

COARSE, FINE = Formats(10, 6, 8, 5), Formats(16, 12, 14, 10)


def real(quantizer, codes):
    return to_float(quantizer.decode(codes), quantizer.fraction)


def compare_step(model, seed=0, batch=60):
    """Check one teacher-forced step of every layer; return the largest errors over their bounds."""
    floats, quantizers = dequantize(model)
    rng = np.random.default_rng(seed)
    ratios = dict.fromkeys(gru.gate_names, 0.0)
    for layer, plain, own in zip(model.layers, floats.layers, quantizers, strict=True):
        x = rng.integers(0, 2**layer.x.levels, (batch, layer.features))
        h = rng.integers(0, 2**layer.h.levels, (batch, layer.hidden))
        t = cell_step(layer, x, h)
        ref = reference.step(plain, own, real(layer.x, x), real(layer.h, h))
        assert (to_float(t["z"], layer.z_fraction) == ref["z"]).all()
        bounds = gate_bounds(layer)
        parts = (np.split(v, 3, axis=-1) for v in (t["y"], t["gate"], ref["y"], ref["gate"]))
        equal = {}
        for name, y, gate, ref_y, ref_gate in zip(gru.gate_names, *parts, strict=True):
            valid = equal["r"] if name == "n" else np.ones(ref_y.shape, bool)
            error = np.abs(to_float(y, layer.formats.y_fraction) - ref_y)[valid].max()
            assert error <= bounds[name]
            ratios[name] = max(ratios[name], error / bounds[name])
            equal[name] = real(layer.gates[name], gate) == ref_gate
            safe = valid & (margin(ref_y, own[name]) > bounds[name])
            assert equal[name][safe].all()
        n_raw = to_float(t["n_raw"], layer.lowered.formats["n_raw"].fraction)
        assert (n_raw[equal["r"]] == ref["n_raw"][equal["r"]]).all()
        same = equal["z"] & equal["r"] & equal["n"]
        assert same.mean() > 0.3
        h_raw = to_float(t["h_raw"], layer.fraction_of("h"))
        assert (h_raw[same] == ref["h_raw"][same]).all()
        assert (real(layer.h, t["h"])[same] == ref["h"][same]).all()
    return ratios


@pytest.mark.parametrize("formats", [Formats(), COARSE, FINE])
@pytest.mark.parametrize("levels", [(1, 1), (3, 3), (2, 4), (5, 5)])
@pytest.mark.parametrize("offsets", [False, True])
def test_random_models_stay_within_the_bounds(random_gru, levels, offsets, formats):
    compare_step(random_gru(1, levels, 9, 12, depth=2, offsets=offsets, formats=formats))


@pytest.mark.parametrize("levels", [(1, 1), (3, 3)])
def test_a_real_size_model_uses_its_bounds(random_float_gru, levels):
    model = random_float_gru(0, 32, 100, bias=0.1)
    x = np.random.default_rng(0).normal(size=(8, 40, 32))
    ratios = compare_step(quantize(model, Levels.of(*levels), x), batch=100)
    assert min(ratios.values()) > 0.5


def test_a_wrong_table_constant_breaks_the_bounds(random_gru, monkeypatch):
    model = random_gru(1, (3, 3), 9, 30)
    compare_step(model)
    nodes = ActivationParams.nodes.func

    def wrong(self):
        table = nodes(self).copy()
        table[len(table) // 2 + 3] += 8
        return table

    monkeypatch.setattr(ActivationParams, "nodes", property(wrong))
    with pytest.raises(AssertionError):
        compare_step(model)


@pytest.mark.parametrize("depth", [1, 2])
def test_whole_windows_agree_while_no_code_differs(random_gru, depth):
    # Fine formats leave so little room that codes agree over whole short windows.
    model = random_gru(3, (2, 2), depth=depth, formats=Formats(22, 18, 22, 16))
    x = np.random.default_rng(2).normal(size=(12, 6, 5))
    _, scores, _ = run(model, model.encode_input(x))
    floats, quantizers = dequantize(model)
    wanted = reference.logits(floats, np.floor(x * 4096 + 0.5) / 4096, quantizers)
    found = to_float(scores, model.dense.b.fraction) / x.shape[1]
    assert (np.abs(found - wanted).max(axis=1) < 1e-9).mean() > 0.8


@pytest.mark.parametrize("granularity", ["gate", "row"])
@pytest.mark.parametrize("form", ["free", "power-of-two", "shift"])
def test_more_levels_come_closer_to_the_float_model(random_float_gru, granularity, form):
    model = random_float_gru(1, 5, 20, bias=0.2)
    x = np.random.default_rng(3).normal(size=(24, 30, 5))
    wanted = reference.logits(model, x)
    errors = []
    for count in (1, 3, 6):
        made = quantize(model, Levels.of(count, count), x, granularity=granularity, scale_form=form)
        _, scores, _ = run(made, made.encode_input(x))
        found = to_float(scores, made.dense.b.fraction) / x.shape[1]
        errors.append(float(np.abs(found - wanted).mean()))
    assert errors[0] > 2 * errors[1] > 2 * errors[2]


def test_stacks_are_quantized_layer_by_layer(random_float_gru):
    model = random_float_gru(1, 5, 6, depth=2, readout="last")
    x = np.random.default_rng(3).normal(size=(8, 12, 5))
    made = quantize(model, Levels.of(2, 3), x)
    assert (made.cell, made.readout, len(made.layers)) == ("gru", "last", 2)
    assert made.layers[1].x is made.layers[0].h
    assert str(made.levels) == "(2,3)"


def test_what_a_gru_cannot_be_is_a_fault(random_float_gru):
    x = np.zeros((2, 3, 5)) + 1
    with pytest.raises(MubinnError, match="one offset of h for all cells"):
        quantize(random_float_gru(), Levels.of(2, 2), x, h_offset=np.zeros(4))
