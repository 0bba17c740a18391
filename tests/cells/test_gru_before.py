"""The bit-true GRU that resets before the product: exact fractions, bounds, files, inference."""

from dataclasses import replace

import numpy as np
import pytest
from exact_arithmetic import code_of, product, pwl, value_of, weight

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.library import gru
from mubinn.golden.cells.step import cell_step
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import to_float
from mubinn.golden.inference.run import infer
from mubinn.golden.model import reference
from mubinn.golden.model.bit_true import run, run_layer
from mubinn.golden.model.bounds import dequantize, gate_bounds, margin
from mubinn.golden.model.model_file import load_model, save_model
from mubinn.golden.quantize import quantize

SLACK = 2.0**-40
"""More than float64 rounds in the reference's activations."""


def scalar_cell(layer, x, h):
    """One step on codes: rows z and r with h, then rows n with the code of r h."""
    n, formats, gates = layer.hidden, layer.formats, layer.gates
    found = {name: [] for name in ("z", "y", "gate", "s_raw", "s", "h_raw", "h")}

    def row(index, state, codes):
        found["z"].append(weight(layer.b, index) + product(layer.wx, index, layer.x, x))
        found["z"][-1] += product(layer.wh, index, state, codes)
        name = "zrn"[index // n]
        found["y"].append(pwl("tanh" if name == "n" else "sigmoid", found["z"][-1], formats))
        found["gate"].append(code_of(gates[name], found["y"][-1]))
        return value_of(gates[name], found["gate"][-1])

    z = [row(k, layer.h, h) for k in range(n)]
    r = [row(n + k, layer.h, h) for k in range(n)]
    old = [value_of(layer.h, int(code)) for code in h]
    found["s_raw"] = [a * b for a, b in zip(r, old, strict=True)]
    found["s"] = [code_of(layer.quantizers["s"], value) for value in found["s_raw"]]
    new = [row(2 * n + k, layer.quantizers["s"], found["s"]) for k in range(n)]
    found["h_raw"] = [(1 - z[k]) * old[k] + z[k] * new[k] for k in range(n)]
    found["h"] = [code_of(layer.h, value) for value in found["h_raw"]]
    return found


CASES = [
    {"levels": (1, 1), "features": 1, "hidden": 1},
    {"levels": (1, 1), "features": 3, "hidden": 2, "offsets": False},
    {"levels": (3, 3), "features": 5, "hidden": 4, "per_row": True},
    {"levels": (2, 4), "features": 3, "hidden": 2},
    {"levels": (1, 2), "features": 3, "hidden": 2, "h": 3, "gate": 1, "b": 5},
    {"levels": (3, 3), "features": 5, "hidden": 3, "formats": Formats(8, 5, 9, 4)},
]
FRACTIONS = {
    "z": lambda layer: layer.z_fraction,
    "y": lambda layer: layer.formats.y_fraction,
    "s_raw": lambda layer: layer.fraction_of("s"),
    "h_raw": lambda layer: layer.fraction_of("h"),
}


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_intermediate_equals_the_scalar_cell(random_gru, case, seed):
    layer = random_gru(seed, reset="before", **case).layers[0]
    x = np.random.default_rng(seed).integers(0, 2**layer.x.levels, (6, layer.features))
    trace = run_layer(layer, x)
    h = layer.h.zero_code(layer.hidden)
    for t, now in enumerate(x):
        expected = scalar_cell(layer, now, h)
        for name, values in expected.items():
            scale = 2 ** FRACTIONS[name](layer) if name in FRACTIONS else 1
            assert trace[name][t].tolist() == [v * scale for v in values], (t, name)
        h = expected["h"]


@pytest.mark.parametrize("levels", [(1, 1), (3, 3), (5, 5)])
@pytest.mark.parametrize("offsets", [False, True])
def test_derived_widths_hold_every_intermediate(random_gru, levels, offsets):
    layer = random_gru(6, levels, features=9, hidden=8, offsets=offsets, reset="before").layers[0]
    products = {name: layer.lowered[name].operation for name in ("s_raw", "h_raw")}
    widths = {"z": layer.z_width} | {n: own.params.sum_width for n, own in products.items()}
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2**layer.x.levels, (60, 9))
    trace = cell_step(layer, x, rng.integers(0, 2**layer.h.levels, (60, 8)))
    for name, width in widths.items():
        assert abs(trace[name]).max() < 2 ** (width - 1), name
    for own in products.values():
        for gamma in own.gammas:
            assert np.abs(gamma).max() < 2 ** (own.params.gamma_width - 1)


def real(quantizer, codes):
    return to_float(quantizer.decode(codes), quantizer.fraction)


@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
@pytest.mark.parametrize("levels", [(1, 1), (3, 3), (2, 4), (5, 5)])
@pytest.mark.parametrize("offsets", [False, True])
def test_one_step_stays_within_the_bounds(random_gru, datapath, levels, offsets):
    model = random_gru(1, levels, 9, 12, offsets=offsets, reset="before").with_datapath(datapath)
    (layer,), (floats, (own,)) = model.layers, dequantize(model)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2**layer.x.levels, (80, 9))
    h = rng.integers(0, 2**layer.h.levels, (80, 12))
    t = cell_step(layer, x, h)
    ref = reference.step(floats.layers[0], own, real(layer.x, x), real(layer.h, h))
    bounds = gate_bounds(layer) if datapath == "figure3" else dict.fromkeys(gru.gate_names, SLACK)
    sums, update = to_float(t["z"], layer.z_fraction), 2 * layer.hidden
    assert (sums[:, :update] == ref["z"][:, :update]).all()
    ys, codes = np.split(ref["y"], 3, axis=-1), np.split(t["gate"], 3, axis=-1)
    equal = {}
    for name, y, code in zip(gru.gate_names, ys, codes, strict=True):
        # Every n needs the reset gates of all cells.
        valid = equal["r"].all(axis=1) if name == "n" else np.ones(len(x), bool)
        assert valid.mean() > 0.3
        equal[name] = real(layer.gates[name], code) == own[name](y)
        safe = margin(y, own[name]) > bounds[name]
        assert equal[name][valid][safe[valid]].all(), name
    assert (real(layer.quantizers["s"], t["s"])[equal["r"]] == ref["s"][equal["r"]]).all()
    rows = equal["r"].all(axis=1)
    assert (sums[rows, update:] == ref["z"][rows, update:]).all()
    same = rows[:, None] & equal["z"] & equal["n"]
    assert same.mean() > 0.3
    assert (real(layer.h, t["h"])[same] == ref["h"][same]).all()


@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
@pytest.mark.parametrize("readout", ["last", "mean"])
@pytest.mark.parametrize("depth", [1, 2])
def test_files_and_inference_hold_the_same_model(random_gru, tmp_path, depth, readout, datapath):
    model = random_gru(2, (2, 3), depth=depth, readout=readout, per_row=True, reset="before")
    model = model.with_datapath(datapath)
    save_model(tmp_path / "gru.mubinn", model)
    again = load_model(tmp_path / "gru.mubinn")
    assert (again.cell, again.datapath) == ("gru", datapath)
    x = np.random.default_rng(1).normal(size=(7, 9, model.features)).astype(np.float32)
    _, scores, _ = run(model, model.encode_input(x))
    assert (infer(again, x, batch=3).scores == scores).all()
    save_model(tmp_path / "again.mubinn", again)
    assert (tmp_path / "gru.mubinn").read_bytes() == (tmp_path / "again.mubinn").read_bytes()


@pytest.mark.parametrize(("granularity", "form"), [("gate", "free"), ("row", "power-of-two")])
def test_more_levels_come_closer_to_the_float_model(random_float_gru, granularity, form):
    model = random_float_gru(1, 5, 20, bias=0.2, reset="before")
    x = np.random.default_rng(3).normal(size=(24, 30, 5))
    wanted = reference.logits(model, x)
    errors = []
    for count in (1, 3, 6):
        made = quantize(model, Levels.of(count, count), x, granularity=granularity, scale_form=form)
        _, scores, _ = run(made, made.encode_input(x))
        found = to_float(scores, made.dense.b.fraction) / x.shape[1]
        errors.append(float(np.abs(found - wanted).mean()))
    assert errors[0] > 2 * errors[1] > 2 * errors[2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda q: Quantizer(q.scales[:-1], q.fraction, q.offset),
            "h and s have different level counts",
        ),
        (
            lambda q: Quantizer(q.scales, 17, q.offset),
            "scales of s are finer than the numbers that they encode",
        ),
        (lambda q: Quantizer(q.scales, q.fraction, np.arange(4)), "offset of s is not one number"),
    ],
)
def test_a_product_that_does_not_fit_is_a_fault(random_gru, change, words):
    layer = random_gru(reset="before").layers[0]
    s = change(layer.quantizers["s"])
    b = replace(layer.b, fraction=max(layer.z_fraction, s.fraction + layer.wh.fraction))
    with pytest.raises(MubinnError, match=words):
        replace(layer, quantizers={**layer.quantizers, "s": s}, b=b)
