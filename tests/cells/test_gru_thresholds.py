"""The threshold datapath of a GRU against the float64 reference, whose activations are exact."""

import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.step import cell_step
from mubinn.golden.ground.fixed import to_float
from mubinn.golden.inference.run import infer
from mubinn.golden.model import reference
from mubinn.golden.model.bit_true import run
from mubinn.golden.model.bounds import dequantize, margin
from mubinn.golden.model.model_file import load_model, save_model
from mubinn.golden.quantize import quantize

SLACK = 2.0**-40
"""More than float64 rounds in the reference's activations."""


def real(quantizer, codes):
    return to_float(quantizer.decode(codes), quantizer.fraction)


@pytest.mark.parametrize("levels", [(1, 1), (3, 3), (2, 4), (5, 5)])
@pytest.mark.parametrize("offsets", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_every_code_is_that_of_the_exact_equations(random_gru, levels, offsets, seed):
    model = random_gru(seed, levels, 9, 12, offsets=offsets).with_datapath("threshold")
    (layer,), (floats, (own,)) = model.layers, dequantize(model)
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2**layer.x.levels, (80, 9))
    h = rng.integers(0, 2**layer.h.levels, (80, 12))
    t = cell_step(layer, x, h)
    ref = reference.step(floats.layers[0], own, real(layer.x, x), real(layer.h, h))
    gates = zip(np.split(t["gate"], 3, -1), np.split(ref["y"], 3, -1), layer.gates, strict=True)
    for code, y, name in gates:
        safe = margin(y, own[name]) > SLACK
        assert safe.mean() > 0.99
        assert (real(layer.gates[name], code) == own[name](y))[safe].all(), name
    assert (to_float(t["n_raw"], layer.lowered.formats["n_raw"].fraction) == ref["n_raw"]).all()
    assert (real(layer.h, t["h"]) == ref["h"]).all()


def test_tables_are_held_to_their_widths(random_gru):
    layer = random_gru(1, (3, 3)).with_datapath("threshold").layers[0]
    units = ("_zh", "_zn", "z", "r", "h")
    zh, zn, z, r, h = (layer.lowered[name].operation.params for name in units)
    words = [max(abs(w) for w in table.words) for table in (zh, zn)]
    assert sum(words) < 2 ** (h.width - 1)
    assert z is r
    assert z.width == int(layer.z_bound).bit_length() + 1
    assert (z.levels, len(z.trees), h.levels) == (3, 2, 3)
    assert "y" not in cell_step(layer, np.zeros(5, int), np.zeros(4, int))


@pytest.mark.parametrize("depth", [1, 2])
def test_files_and_inference_know_the_datapath(random_float_gru, tmp_path, depth):
    x = np.random.default_rng(3).normal(size=(9, 12, 5)).astype(np.float32)
    float_model = random_float_gru(1, 5, 6, depth=depth, bias=0.2)
    coarse = quantize(float_model, Levels.of(3, 3), x.astype(float), formats=Formats(8, 4, 9, 4))
    model = coarse.with_datapath("threshold")
    save_model(tmp_path / "gru.mubinn", model)
    again = load_model(tmp_path / "gru.mubinn")
    assert (again.cell, again.datapath) == ("gru", "threshold")
    _, scores, _ = run(model, model.encode_input(x))
    assert (infer(again, x, batch=4).scores == scores).all()
    assert (run(coarse, model.encode_input(x))[1] != scores).any()
