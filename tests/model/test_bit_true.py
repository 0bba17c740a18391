"""The bit-true model against a scalar cell in exact fractions, written from Eq. (1)-(6)."""

from dataclasses import replace

import numpy as np
import pytest
from exact_arithmetic import code_of, product, pwl, value_of, weight

from mubinn.golden.binarize.scales import signs
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.step import cell_step, dots
from mubinn.golden.ground.fixed import signed_width
from mubinn.golden.model.bit_true import run, run_layer
from mubinn.golden.model.quantized_model import QuantizedDense
from mubinn.golden.units.mlb_decoder import mlb_decoder
from mubinn.golden.units.mlb_encoder import mlb_encoder
from mubinn.golden.units.pointwise import pointwise
from mubinn.synth.table1.cell_units import bias_add


def scalar_cell(layer, x, h, c):
    """One step on codes; x W_x uses signs alone where the offset is folded into the bias."""
    n = layer.hidden
    z, y, gate = [], [], []
    for row in range(4 * n):
        total = weight(layer.b, row)
        total += product(layer.wx, row, layer.x, x) + product(layer.wh, row, layer.h, h)
        name = "figo"[row // n]
        z.append(total)
        y.append(pwl("tanh" if name == "g" else "sigmoid", total, layer.formats))
        gate.append(code_of(layer.gates[name], y[-1]))
    found = {"z": z, "y": y, "gate": gate, "c_raw": [], "c": [], "tanh_c": [], "h_raw": [], "h": []}
    for k in range(n):
        f, i, g, o = (value_of(layer.gates[m], gate[p * n + k]) for p, m in enumerate("figo"))
        found["c_raw"].append(f * value_of(layer.quantizers["c"], int(c[k])) + i * g)
        found["c"].append(code_of(layer.quantizers["c"], found["c_raw"][-1]))
        found["tanh_c"].append(
            pwl("tanh", value_of(layer.quantizers["c"], found["c"][-1]), layer.formats)
        )
        found["h_raw"].append(o * found["tanh_c"][-1])
        found["h"].append(code_of(layer.h, found["h_raw"][-1], k))
    return found


CASES = [
    {"levels": (1, 1), "features": 1, "hidden": 1},
    {"levels": (1, 1), "features": 3, "hidden": 2, "offsets": False},
    {"levels": (3, 3), "features": 5, "hidden": 4, "per_row": True},
    {"levels": (2, 4), "features": 3, "hidden": 2},
    {"levels": (5, 5), "features": 2, "hidden": 3},
    {"levels": (1, 2), "features": 3, "hidden": 2, "h": 3, "c": 4, "gate": 1, "b": 5},
    {"levels": (3, 3), "features": 5, "hidden": 3, "formats": Formats(8, 5, 9, 4)},
    {"levels": (2, 2), "features": 3, "hidden": 2, "formats": Formats(20, 17, 12, 8)},
]
FRACTIONS = {
    "z": lambda layer: layer.z_fraction,
    "y": lambda layer: layer.formats.y_fraction,
    "c_raw": lambda layer: layer.fraction_of("c"),
    "tanh_c": lambda layer: layer.formats.y_fraction,
    "h_raw": lambda layer: layer.fraction_of("h"),
}


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_intermediate_equals_the_scalar_cell(random_model, case, seed):
    layer = random_model(seed, **case).layers[0]
    x = np.random.default_rng(seed).integers(0, 2**layer.x.levels, (6, layer.features))
    trace = run_layer(layer, x)
    h = [code_of(layer.h, 0, k) for k in range(layer.hidden)]
    c = [code_of(layer.quantizers["c"], 0)] * layer.hidden
    for t, now in enumerate(x):
        expected = scalar_cell(layer, now, h, c)
        for name, values in expected.items():
            scale = 2 ** FRACTIONS[name](layer) if name in FRACTIONS else 1
            assert trace[name][t].tolist() == [v * scale for v in values], (t, name)
        h, c = expected["h"], expected["c"]


@pytest.mark.parametrize("levels", [(1, 1), (3, 2), (2, 5)])
def test_dot_products_are_matches_minus_mismatches(random_model, levels):
    layer = random_model(1, levels).layers[0]
    codes = np.random.default_rng(0).integers(0, 2**layer.x.levels, (2, layer.features))
    planes = dots(codes, layer.x, layer.wx.bits)
    for s, r, i, j in np.ndindex(2, layer.wx.rows, *levels):
        equal = sum(
            (int(codes[s, e]) >> i & 1) == layer.wx.bits[j, r, e] for e in range(layer.features)
        )
        assert planes[s, r, i * levels[1] + j] == 2 * equal - layer.features
    trace = cell_step(layer, codes, np.zeros((2, 4), int), np.zeros((2, 4), int))
    assert (trace["dot_x"] == planes).all()
    gamma = layer.gamma_x.reshape(layer.wx.rows, -1)
    assert (trace["prod_x"] == planes * gamma).all()
    total = trace["prod_x"].sum(-1) + trace["prod_h"].sum(-1) + layer.b.values
    assert (trace["z"] == total).all()


@pytest.mark.parametrize("readout", ["last", "mean"])
@pytest.mark.parametrize("depth", [1, 2])
def test_windows_in_batches_and_their_scores(random_model, readout, depth):
    model = random_model(5, (2, 3), depth=depth, readout=readout)
    x = np.random.default_rng(0).integers(0, 4, (3, 7, model.features))
    traces, scores, classes = run(model, x)
    assert len(traces) == depth
    for window in range(3):
        codes = x[window]
        for layer, trace in zip(model.layers, traces, strict=True):
            alone = run_layer(layer, codes)
            for name, values in alone.items():
                assert (trace[name][:, window] == values).all(), name
            codes = alone["h"]
        read = codes if readout == "mean" else codes[-1:]
        top, dense = model.layers[-1], model.dense
        h = signs(read, top.h.levels) @ top.h.scales
        expected = (h @ dense.w.values.T + dense.b.values).sum(axis=0)
        assert scores[window].tolist() == expected.tolist()
        assert classes[window] == expected.tolist().index(max(expected))


def test_the_first_of_equal_scores_wins(random_model):
    model = random_model(0)
    zero = replace(model.dense.w, scales=np.zeros_like(model.dense.w.scales))
    flat = replace(model.dense.b, scales=np.zeros_like(model.dense.b.scales))
    model = replace(model, dense=QuantizedDense(zero, flat))
    x = np.random.default_rng(0).integers(0, 8, (4, 3, model.features))
    assert run(model, x)[2].tolist() == [0, 0, 0, 0]


def extremes(layer):
    """Codes with all bits 0, all bits 1, and random ones."""
    rng = np.random.default_rng(0)
    tensors = (
        (layer.x, layer.features),
        (layer.h, layer.hidden),
        (layer.quantizers["c"], layer.hidden),
    )
    yield [np.zeros((1, n), int) for _, n in tensors]
    yield [np.full((1, n), 2**q.levels - 1) for q, n in tensors]
    yield [rng.integers(0, 2**q.levels, (8, n)) for q, n in tensors]


@pytest.mark.parametrize("levels", [(1, 1), (3, 3), (2, 4), (5, 5)])
@pytest.mark.parametrize("offsets", [False, True])
def test_derived_widths_hold_every_intermediate(random_model, levels, offsets):
    layer = random_model(6, levels, features=9, hidden=8, offsets=offsets).layers[0]
    add, units = bias_add(layer), ("c_raw", "h_raw", "c_q")
    pointwise_unit, mac, rounding = (layer.lowered[name].operation for name in units)
    widths = {
        "dot_x": layer.dot_width,
        "dot_h": layer.dot_width,
        "prod_x": add.product_width,
        "prod_h": add.product_width,
        "z": layer.z_width,
        "z_q": layer.formats.z_width,
        "y": layer.formats.activation("sigmoid").out_width,
        "c_raw": pointwise_unit.params.sum_width,
        "c_q": layer.formats.z_width,
        "tanh_c": mac.params.factor_width,
        "h_raw": mac.params.sum_width,
    }
    for x, h, c in extremes(layer):
        trace = cell_step(layer, x, h, c)
        for name, width in widths.items():
            assert -(2 ** (width - 1)) <= trace[name].min(), name
            assert trace[name].max() < 2 ** (width - 1), name
    assert layer.gamma_x.max() < 2**layer.gamma_width
    assert layer.gamma_h.max() < 2**layer.gamma_width
    assert layer.b.scales.max() < 2**add.scale_width
    assert add.sum_width == layer.z_width
    for gamma in pointwise_unit.gammas:
        assert np.abs(gamma).max() < 2 ** (pointwise_unit.params.gamma_width - 1)
    o = layer.gates["o"]
    assert max(o.scales.max(), abs(o.offset)) < 2**mac.params.scale_width
    c = layer.quantizers["c"]
    largest = np.abs(c.decode(range(2**c.levels))).max()
    assert rounding.params.in_width == signed_width(int(largest))


def test_pointwise_width_is_tight(random_model):
    layer = random_model(6, (2, 2), offsets=False).layers[0]
    unit = layer.lowered["c_raw"].operation
    top = np.full((1, 1), 3)
    largest = int(pointwise(unit.params, top, top, top, top, *unit.gammas)[0, 0])
    assert unit.params.sum_width == signed_width(largest)


@pytest.mark.parametrize("offsets", [False, True])
@pytest.mark.parametrize("levels", [(1, 1), (3, 3), (2, 5)])
def test_encoder_and_decoder_units_make_the_codes_of_the_cell(random_model, levels, offsets):
    layer = random_model(8, levels, 6, 5, offsets=offsets).layers[0]
    lowered, c = layer.lowered, layer.quantizers["c"]
    rng = np.random.default_rng(1)
    sizes = ((layer.x, 6), (layer.h, 5), (c, 5))
    trace = cell_step(layer, *(rng.integers(0, 2**q.levels, (30, n)) for q, n in sizes))
    stages = [("c", c, "c_raw", "c", layer.fraction_of("c"))]
    stages += [("h", layer.h, "h_raw", "h", layer.fraction_of("h"))]
    ys, codes = np.split(trace["y"], 4, -1), np.split(trace["gate"], 4, -1)
    found = [(lowered[n].operation.params, q, trace[v], trace[k], f) for n, q, v, k, f in stages]
    for (name, gate), y, code in zip(layer.gates.items(), ys, codes, strict=True):
        assert lowered[name].operation.params == lowered["f"].operation.params
        found.append((lowered[name].operation.params, gate, y, code, layer.formats.y_fraction))
    for unit, quantizer, value, code, fraction in found:
        shift = fraction - quantizer.fraction
        scales, offset = quantizer.scales << shift, quantizer.offset << shift
        assert (mlb_encoder(unit, value, offset, scales) == code).all()
        assert signed_width(int(np.abs(value).max())) <= unit.value_width
        assert scales.max() < 2**unit.scale_width
        assert not offset.any() or signed_width(int(np.abs(offset).max())) <= unit.offset_width
    unit = lowered["_c_value"].operation.params
    every = np.arange(2**c.levels)
    values = mlb_decoder(unit, every, c.offset, c.scales)
    assert (values == c.decode(every)).all()
    assert signed_width(int(np.abs(values).max())) == unit.value_width
    assert (unit.offset_width > 0) == offsets
