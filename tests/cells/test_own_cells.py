"""Cells that this folder writes go all the way, and no source file knows of them."""

import numpy as np
import pytest
from own_cells import OWN

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.quantize import quantize
from mubinn.sim.layer.layer_check import check_layer

FEATURES, HIDDEN, STEPS = 5, 4, 6


def float_model(cell, depth=1, seed=3):
    random = np.random.default_rng(seed)

    def normal(*shape):
        return random.normal(0, 0.5, shape)

    rows = len(cell.rows) * HIDDEN
    layers = [
        FloatLayer(
            cell,
            normal(rows, FEATURES if k == 0 else HIDDEN),
            normal(rows, HIDDEN),
            normal(rows),
            stored={node.name: normal(HIDDEN) for node in cell.stored},
        )
        for k in range(depth)
    ]
    return FloatModel(tuple(layers), normal(3, HIDDEN), normal(3))


def windows(count=12):
    return np.random.default_rng(1).normal(0, 1, (count, STEPS, FEATURES))


@pytest.mark.parametrize("cell", OWN, ids=lambda cell: cell.name)
def test_many_levels_come_close_to_the_float_model(cell):
    model, x = float_model(cell), windows()
    real = reference.logits(model, x)
    errors = []
    for levels in (1, 3, 5):
        made = quantize(model, Levels.of(levels, levels), x)
        _, scores, _ = bit_true.run(made, made.encode_input(x))
        found = np.ldexp(scores.astype(float), -made.dense.b.fraction) / STEPS
        errors.append(float(np.sqrt(np.square(found - real).mean()) / real.std()))
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.15


@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
@pytest.mark.parametrize("levels", [(1, 1), (3, 2)])
@pytest.mark.parametrize("cell", OWN, ids=lambda cell: cell.name)
def test_hardware_equals_the_bit_true_model(cell, levels, datapath):
    x = windows()
    made = quantize(float_model(cell), Levels.of(*levels), x).with_datapath(datapath)
    codes = made.encode_input(x)[:2]
    how = {"units": 4, "classify": True} if levels == (1, 1) else {}
    assert check_layer(made, codes, pause=0.4, simulator="icarus", **how).tests == 2
