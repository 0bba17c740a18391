"""The bit-true model within its derived distance of the float64 reference."""

from dataclasses import replace

import numpy as np
import pytest
from exact_arithmetic import plane_codes

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.mlb import mlb
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.library import lstm
from mubinn.golden.cells.step import cell_step, dots
from mubinn.golden.ground.fixed import to_float
from mubinn.golden.model import reference
from mubinn.golden.model.bit_true import run
from mubinn.golden.model.bounds import (
    activation_bound,
    dequantize,
    margin,
    rounding_bound,
    scale_rounding_bound,
    step_bounds,
)
from mubinn.golden.model.reference import FloatQuantizer
from mubinn.golden.quantize import quantize
from mubinn.golden.units.activation import ActivationParams, activation, exact
from mubinn.golden.units.requantize import RequantizeParams, requantize

COARSE = Formats(10, 6, 8, 5)
FINE = Formats(16, 12, 14, 10)


def compare_step(model, seed=0, batch=40):
    """Check one teacher-forced step of every layer; return the largest error over its bound."""
    floats, quantizers = dequantize(model)
    rng = np.random.default_rng(seed)
    ratios = dict.fromkeys(("y", "tanh_c", "h_raw"), 0.0)
    for layer, real, own in zip(model.layers, floats.layers, quantizers, strict=True):
        c_quantizer = layer.quantizers["c"]
        codes = [
            rng.integers(0, 2**q.levels, (batch, n))
            for q, n in (
                (layer.x, layer.features),
                (layer.h, layer.hidden),
                (c_quantizer, layer.hidden),
            )
        ]
        values = [
            to_float(q.decode(code), q.fraction)
            for q, code in zip((layer.x, layer.h, c_quantizer), codes, strict=True)
        ]
        t = cell_step(layer, *codes)
        ref = reference.step(real, own, *values)
        bounds, y_bits = step_bounds(layer), layer.formats.y_fraction

        assert (to_float(t["z"], layer.z_fraction) == ref["z"]).all()
        gates_equal = np.ones_like(t["c"], bool)
        parts = (np.split(v, 4, axis=-1) for v in (t["y"], t["gate"], ref["y"], ref["gate"]))
        for name, y, gate, ref_y, ref_gate in zip(lstm.gate_names, *parts, strict=True):
            error = np.abs(to_float(y, y_bits) - ref_y)
            assert error.max() <= bounds.y[name]
            ratios["y"] = max(ratios["y"], error.max() / bounds.y[name])
            quantizer = layer.gates[name]
            equal = to_float(quantizer.decode(gate), quantizer.fraction) == ref_gate
            safe = margin(ref_y, own[name]) > bounds.y[name]
            assert equal[safe].all()
            gates_equal &= equal
        c = to_float(c_quantizer.decode(t["c"]), c_quantizer.fraction)
        c_raw = to_float(t["c_raw"], layer.fraction_of("c"))
        assert (c_raw[gates_equal] == ref["c_raw"][gates_equal]).all()
        assert (c[gates_equal] == ref["c"][gates_equal]).all()
        assert gates_equal.mean() > 0.3
        for name, fraction, limit in (
            ("tanh_c", y_bits, bounds.tanh_c),
            ("h_raw", layer.fraction_of("h"), bounds.h_raw),
        ):
            error = np.abs(to_float(t[name], fraction) - ref[name])[gates_equal].max()
            assert error <= limit
            ratios[name] = max(ratios[name], error / limit)
        h = to_float(layer.h.decode(t["h"]), layer.h.fraction)
        safe = gates_equal & (margin(ref["h_raw"], own["h"]) > bounds.h_raw)
        assert safe.any()
        assert (h[safe] == ref["h"][safe]).all()
    return ratios


@pytest.mark.parametrize("formats", [Formats(), COARSE, FINE])
@pytest.mark.parametrize("levels", [(1, 1), (3, 3), (2, 4), (5, 5)])
@pytest.mark.parametrize("offsets", [False, True])
def test_random_models_stay_within_the_bounds(random_model, levels, offsets, formats):
    model = random_model(1, levels, 9, 12, depth=2, offsets=offsets, formats=formats)
    compare_step(model)


@pytest.mark.parametrize("levels", [(1, 1), (3, 3)])
def test_a_real_size_model_stays_within_the_bounds_and_uses_them(random_float, levels):
    model = random_float(0, 32, 100)
    x = np.random.default_rng(0).normal(size=(8, 40, 32))
    ratios = compare_step(quantize(model, Levels.of(*levels), x), batch=200)
    assert ratios["y"] > 0.5


def test_bounds_of_the_whole_step_are_used(random_model):
    model = random_model(1, (5, 5), 9, 30, formats=COARSE, offsets=False)
    ratios = compare_step(model, batch=400)
    assert ratios["y"] > 0.5
    assert ratios["tanh_c"] > 0.5
    assert ratios["h_raw"] > 0.5


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
@pytest.mark.parametrize("sizes", [(12, 8, 10, 7), (10, 6, 8, 5), (10, 8, 10, 8), (6, 4, 12, 6)])
def test_activation_bound_holds_everywhere_and_half_of_it_does_not(kind, sizes):
    params, fraction = ActivationParams(kind, *sizes), sizes[1] + 5
    z = np.arange(-(40 << fraction), 40 << fraction, 3)
    stage = RequantizeParams(40, fraction, params.in_width, params.in_fraction)
    y = to_float(activation(params, requantize(stage, z)), params.out_fraction)
    error = np.abs(y - exact(kind, to_float(z, fraction))).max()
    bound = activation_bound(params, fraction)
    assert error <= bound
    assert error > bound / 2


def test_saturation_is_part_of_the_bound():
    # A format that ends at 0.5 leaves most of the function to saturation.
    params = ActivationParams("tanh", 6, 6, 12, 6)
    assert rounding_bound(params, 6) == pytest.approx(1 - np.tanh(31 / 64))
    assert rounding_bound(ActivationParams("tanh", 12, 8), 8) < 1e-6
    assert rounding_bound(ActivationParams("tanh", 12, 8), 9) == 2.0**-9
    assert rounding_bound(ActivationParams("sigmoid", 14, 10), 11) == pytest.approx(
        1 / (1 + np.exp(8 - 2.0**-10)), rel=1e-6
    )


def test_a_wrong_table_constant_breaks_the_bounds(random_model, monkeypatch):
    model = random_model(1, (3, 3), 9, 30)
    compare_step(model)
    nodes = ActivationParams.nodes.func

    def wrong(self):
        table = nodes(self).copy()
        table[len(table) // 2 + 3] += 8
        return table

    monkeypatch.setattr(ActivationParams, "nodes", property(wrong))
    with pytest.raises(AssertionError):
        compare_step(model)


def test_a_wrong_bias_is_seen_in_z(random_model):
    model = random_model(1, (2, 2))
    layer = model.layers[0]
    bits = layer.b.bits.copy()
    bits[0, 0] ^= 1
    other = replace(model, layers=(replace(layer, b=replace(layer.b, bits=bits)),))
    floats, quantizers = dequantize(other)
    h, c = np.zeros(4, int), np.zeros(4, int)
    x = np.zeros(5, int)
    pairs = ((layer.x, x), (layer.h, h), (layer.quantizers["c"], c))
    values = [to_float(q.decode(v), q.fraction) for q, v in pairs]
    z = to_float(cell_step(layer, x, h, c)["z"], layer.z_fraction)
    differs = z != reference.step(floats.layers[0], quantizers[0], *values)["z"]
    assert differs.tolist() == [True] + [False] * 15


@pytest.mark.parametrize("readout", ["last", "mean"])
@pytest.mark.parametrize("depth", [1, 2])
def test_whole_windows_agree_while_no_code_differs(random_model, readout, depth):
    # Fine formats leave so little room that codes agree over whole short windows.
    formats = Formats(22, 18, 22, 16)
    model = random_model(3, (2, 2), depth=depth, readout=readout, formats=formats)
    x = np.random.default_rng(2).normal(size=(12, 6, 5))
    traces, scores, _ = run(model, model.encode_input(x))
    floats, quantizers = dequantize(model)
    # Samples as the hardware takes them: rounded to the input's fraction bits.
    real = reference.logits(floats, np.floor(x * 4096 + 0.5) / 4096, quantizers)
    steps = 1 if readout == "last" else x.shape[1]
    found = to_float(scores, model.dense.b.fraction) / steps
    agree = np.abs(found - real).max(axis=1) < 1e-9
    assert agree.mean() > 0.8
    assert len(traces) == depth


def test_dequantized_numbers_are_the_stored_ones(random_model):
    model = random_model(4, (3, 2), depth=2)
    floats, quantizers = dequantize(model)
    assert quantizers[0].x.scales is not None
    assert quantizers[1].x.scales is None
    layer = model.layers[0]
    x_off = layer.x.offset / 2**layer.x.fraction
    h_off = layer.h.offset / 2**layer.h.fraction
    folded = floats.layers[0].b + layer.wx.float_values @ x_off + layer.wh.float_values @ h_off
    assert (folded == layer.b.float_values).all()
    assert floats.layers[0].clip("c") == np.inf
    assert (floats.meta, floats.readout) == (model.meta, model.readout)


def test_margin_is_the_distance_to_the_next_code():
    quantizer = FloatQuantizer(np.array([0.5, 0.25, 0.125]), 0.1)
    values = np.random.default_rng(0).uniform(-1, 1.2, 2000)
    room = margin(values, quantizer)
    for sign in (-1, 1):
        assert (quantizer(values + sign * 0.999999 * room) == quantizer(values)).all()
    moved = quantizer(values + 1.000001 * room) != quantizer(values)
    moved |= quantizer(values - 1.000001 * room) != quantizer(values)
    assert moved.all()


def z_of(layer, x, h, ax, ah, wx, wh, b):
    """z with any real scales: ax [A], ah [Wh], wx, wh [4H, W], b [4H, B]."""
    gx = ax[None, :, None] * wx[:, None, :]
    gh = ah[None, :, None] * wh[:, None, :]
    bias = ((2.0 * layer.b.bits - 1) * b.T).sum(axis=0)
    rows = layer.wx.rows
    return (
        (dots(x, layer.x, layer.wx.bits) * gx.reshape(rows, -1)).sum(axis=-1)
        + (dots(h, layer.h, layer.wh.bits) * gh.reshape(rows, -1)).sum(axis=-1)
        + bias
    )


def real_scales(layer, move):
    """Scales that round to the stored ones: each moved by move(shape) in [-1/2, 1/2) units."""
    found = []
    for name in ("x", "h", "wx", "wh", "b"):
        part = getattr(layer, name)
        scales = part.scales if name in "xh" else part.row_scales
        found.append(np.ldexp(scales + move(scales.shape), -part.fraction))
    return found


@pytest.mark.parametrize("levels", [(1, 1), (3, 3), (2, 4)])
def test_rounded_scales_move_z_within_the_bound(random_model, levels):
    layer = random_model(5, levels, 7, 6).layers[0]
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2**layer.x.levels, (50, 7))
    h = rng.integers(0, 2**layer.h.levels, (50, 6))
    z = to_float(cell_step(layer, x, h, np.zeros((50, 6), int))["z"], layer.z_fraction)
    assert (z_of(layer, x, h, *real_scales(layer, np.zeros)) == z).all()
    for _ in range(20):
        real = z_of(layer, x, h, *real_scales(layer, lambda shape: rng.uniform(-0.5, 0.5, shape)))
        assert (np.abs(z - real) <= scale_rounding_bound(layer) + 1e-12).all()


@pytest.mark.parametrize("levels", [(1, 1), (3, 3), (2, 4)])
def test_the_worst_rounding_of_scales_reaches_the_bound(random_model, levels):
    layer = random_model(6, levels, 7, 6).layers[0]
    ones = {
        name: replace(getattr(layer, name), bits=np.ones_like(getattr(layer, name).bits))
        for name in ("wx", "wh", "b")
    }
    layer = replace(layer, **ones)
    x = np.full((1, 7), 2**layer.x.levels - 1)
    h = np.full((1, 6), 2**layer.h.levels - 1)
    z = to_float(cell_step(layer, x, h, np.zeros((1, 6), int))["z"], layer.z_fraction)
    bound = scale_rounding_bound(layer)
    up = np.abs(z - z_of(layer, x, h, *real_scales(layer, lambda s: np.full(s, 0.4999999))))
    assert (up <= bound).all()
    assert (up > 0.999 * bound).all()


def test_codes_of_the_reference_are_codes_of_algorithm_1(random_model):
    # The reference's quantizer and the integer encoder agree on numbers that both can hold.
    layer = random_model(2, (4, 4)).layers[0]
    _, (own, *_) = dequantize(random_model(2, (4, 4)))
    values = np.arange(-600, 600)
    c = layer.quantizers["c"]
    bits = mlb(to_float(values, c.fraction), own["c"].scales, own["c"].offset)
    assert (plane_codes(bits) == c.encode(values, c.fraction)).all()
