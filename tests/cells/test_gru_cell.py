"""The bit-true GRU against a scalar one in exact fractions, and its model files."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from exact_arithmetic import code_of, product, pwl, value_of, weight

from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.figure3 import Figure3
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.step import cell_step
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model.bit_true import run, run_layer
from mubinn.golden.model.container import read_container, write_container
from mubinn.golden.model.model_file import load_model, save_model


def scalar_cell(layer, x, h):
    """One step on codes; the products use signs alone, as offsets are folded into the bias."""
    n = layer.hidden

    def over_x(row):
        return product(layer.wx, row, layer.x, x)

    def over_h(row):
        return product(layer.wh, row, layer.h, h)

    bias = [weight(layer.b, row) for row in range(4 * n)]
    found = {"z": [over_x(row) + over_h(row) + bias[row] for row in range(2 * n)]}
    found["z"] += [over_h(row) + bias[row] for row in range(2 * n, 3 * n)]
    found["z"] += [over_x(row) + bias[row] for row in range(3 * n, 4 * n)]
    found |= {name: [] for name in ("rnh", "n_raw", "h_raw", "h")}
    y = [pwl("sigmoid", total, layer.formats) for total in found["z"][: 2 * n]]
    gate = [code_of(layer.gates["zr"[row // n]], value) for row, value in enumerate(y)]
    for k in range(n):
        r = value_of(layer.gates["r"], gate[n + k])
        found["rnh"].append(r * found["z"][2 * n + k])
        found["n_raw"].append(found["z"][3 * n + k] + found["rnh"][-1])
        y.append(pwl("tanh", found["n_raw"][-1], layer.formats))
        gate.append(code_of(layer.gates["n"], y[-1]))
    for k in range(n):
        z, new = value_of(layer.gates["z"], gate[k]), value_of(layer.gates["n"], gate[2 * n + k])
        found["h_raw"].append((1 - z) * value_of(layer.h, int(h[k])) + z * new)
        found["h"].append(code_of(layer.h, found["h_raw"][-1]))
    return {**found, "y": y, "gate": gate}


CASES = [
    {"levels": (1, 1), "features": 1, "hidden": 1},
    {"levels": (1, 1), "features": 3, "hidden": 2, "offsets": False},
    {"levels": (3, 3), "features": 5, "hidden": 4, "per_row": True},
    {"levels": (2, 4), "features": 3, "hidden": 2},
    {"levels": (5, 5), "features": 2, "hidden": 3},
    {"levels": (1, 2), "features": 3, "hidden": 2, "h": 3, "gate": 1, "b": 5},
    {"levels": (3, 3), "features": 5, "hidden": 3, "formats": Formats(8, 5, 9, 4)},
    {"levels": (2, 2), "features": 3, "hidden": 2, "formats": Formats(20, 17, 12, 8)},
]
FRACTIONS = {
    "z": lambda layer: layer.z_fraction,
    "y": lambda layer: layer.formats.y_fraction,
    "rnh": lambda layer: layer.lowered.formats["rnh"].fraction,
    "n_raw": lambda layer: layer.lowered.formats["n_raw"].fraction,
    "h_raw": lambda layer: layer.fraction_of("h"),
}


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_intermediate_equals_the_scalar_cell(random_gru, case, seed):
    layer = random_gru(seed, **case).layers[0]
    x = np.random.default_rng(seed).integers(0, 2**layer.x.levels, (6, layer.features))
    trace = run_layer(layer, x)
    h = [code_of(layer.h, Fraction(0))] * layer.hidden
    for t, now in enumerate(x):
        expected = scalar_cell(layer, now, h)
        for name, values in expected.items():
            scale = 2 ** FRACTIONS[name](layer) if name in FRACTIONS else 1
            assert trace[name][t].tolist() == [v * scale for v in values], (t, name)
        h = expected["h"]


@pytest.mark.parametrize("levels", [(1, 1), (3, 3), (2, 4), (5, 5)])
@pytest.mark.parametrize("offsets", [False, True])
def test_derived_widths_hold_every_intermediate(random_gru, levels, offsets):
    layer = random_gru(6, levels, features=9, hidden=8, offsets=offsets).layers[0]
    lowered, formats = layer.lowered, layer.formats
    mac, pointwise = (lowered[name].operation for name in ("rnh", "h_raw"))
    widths = {
        "z": layer.z_width,
        "z_q": formats.z_width,
        "y": formats.activation("sigmoid").out_width,
        "rnh": mac.params.sum_width,
        "n_raw": lowered.formats["n_raw"].width,
        "h_raw": pointwise.params.sum_width,
    }
    ones = (np.full((1, 9), 2**layer.x.levels - 1), np.full((1, 8), 2**layer.h.levels - 1))
    rng = np.random.default_rng(0)
    some = (rng.integers(0, 2**layer.x.levels, (8, 9)), rng.integers(0, 2**layer.h.levels, (8, 8)))
    for x, h in ((ones[0] * 0, ones[1] * 0), ones, some):
        trace = cell_step(layer, x, h)
        for name, width in widths.items():
            assert -(2 ** (width - 1)) <= trace[name].min(), name
            assert trace[name].max() < 2 ** (width - 1), name
    for gamma in pointwise.gammas:
        assert np.abs(gamma).max() < 2 ** (pointwise.params.gamma_width - 1)
    assert layer.z_bound * layer.gates["r"].peak < 2 ** (mac.params.sum_width - 1)


def test_inverted_bits_of_z_stand_for_the_rest_of_one(random_gru):
    layer = random_gru(3, (2, 3)).layers[0]
    (complement,) = layer.cell.of("complement")
    z, rest = layer.gates["z"], Figure3(layer)._factor(complement)
    codes = np.arange(1 << z.levels)
    assert (z.decode(codes) + rest.decode(codes ^ (1 << z.levels) - 1) == 1 << z.fraction).all()


@pytest.mark.parametrize("readout", ["last", "mean"])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_file_holds_the_same_model(random_gru, tmp_path, depth, readout):
    model = random_gru(4, (2, 3), depth=depth, readout=readout)
    save_model(tmp_path / "gru.mubinn", model)
    again = load_model(tmp_path / "gru.mubinn")
    assert again.cell == "gru"
    x = np.random.default_rng(0).integers(0, 4, (3, 7, model.features))
    (traces, scores, _), (others, same, _) = run(model, x), run(again, x)
    assert (scores == same).all()
    for here, there in zip(traces, others, strict=True):
        assert all((here[name] == there[name]).all() for name in here)
    save_model(tmp_path / "again.mubinn", again)
    assert (tmp_path / "gru.mubinn").read_bytes() == (tmp_path / "again.mubinn").read_bytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda layer: layer.update(cell="elman"), "unknown cell 'elman': give one of lstm, gru"),
        (lambda layer: layer.update(datapath="rnn"), "unknown datapath 'rnn'"),
        (lambda layer: layer.update(cell="lstm"), "M_g.f.scales is missing"),
    ],
)
def test_a_file_that_contradicts_itself_is_a_fault(random_gru, tmp_path, change, words):
    path = tmp_path / "gru.mubinn"
    save_model(path, random_gru())
    content = read_container(path)
    change(content.structure["layers"][0])
    write_container(path, content)
    with pytest.raises(MubinnError, match=words):
        load_model(path)


def mixed(layer):
    return {"wh": LevelTensor(layer.wh.bits, np.ones_like(layer.wh.scales), layer.wh.fraction)}


def offsets_per_cell(layer):
    h = Quantizer(layer.h.scales, layer.h.fraction, np.arange(layer.hidden))
    return {"quantizers": {**layer.quantizers, "h": h}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (mixed, "row nx of the cell does not read h"),
        (offsets_per_cell, "offset of h is not one number"),
        (
            lambda layer: {"quantizers": {"z": layer.gates["z"]}},
            "not those of cell gru: z, r, n, h",
        ),
        (
            lambda layer: {"formats": Formats(y_fraction=4)},
            "scales of z are finer than the numbers",
        ),
        (lambda layer: {"wh": layer.wx}, "are not"),
        (lambda layer: {"b": replace(layer.b, fraction=1)}, "the bias does not have"),
    ],
)
def test_parts_that_do_not_fit_are_a_fault(random_gru, change, words):
    layer = random_gru().layers[0]
    with pytest.raises(MubinnError, match=words):
        replace(layer, **change(layer))


def test_kinds_of_cells_are_told(random_gru, random_model):
    gru, lstm = random_gru(), random_model(features=4, hidden=4)
    below, above = gru.layers[0], lstm.layers[0]
    above = replace(above, x=below.h, b=replace(above.b, fraction=16))
    fraction = above.h.fraction + gru.dense.w.fraction
    dense = replace(gru.dense, b=replace(gru.dense.b, fraction=fraction))
    both = replace(gru, layers=(below, above), dense=dense)
    assert (gru.cell, lstm.cell, both.cell) == ("gru", "lstm", "gru_lstm")


@pytest.mark.parametrize("readout", ["last", "mean"])
@pytest.mark.parametrize("depth", [1, 2])
def test_inference_over_batches_gives_the_same_scores(random_gru, readout, depth):
    model = random_gru(2, (2, 3), depth=depth, readout=readout, per_row=True)
    x = np.random.default_rng(1).normal(size=(7, 9, model.features)).astype(np.float32)
    _, scores, classes = run(model, model.encode_input(x))
    done = []
    found = infer(model, x, batch=3, progress=done.append)
    assert (found.scores == scores).all()
    assert (found.classes == classes).all()
    assert sum(done) == 7
    assert max(done) <= 3
    with pytest.raises(MubinnError, match=r"data of shape \(7, 9\) are not"):
        infer(model, x[:, :, 0])
