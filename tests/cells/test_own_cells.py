"""Any cell goes all the way: those of the library, and some that no source file knows of."""

import numpy as np
import pytest
from own_cells import MORE, STEPS, float_model, windows
from simulators import QUICK

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.library import rnn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.bit_true import run_layer
from mubinn.golden.quantize import quantize
from mubinn.sim.layer.layer_check import check_layer


@pytest.mark.parametrize("cell", MORE, ids=lambda cell: cell.name)
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
@pytest.mark.parametrize("cell", MORE, ids=lambda cell: cell.name)
def test_inference_equals_the_bit_true_model(cell, datapath):
    x = windows().astype(np.float32)
    made = quantize(float_model(cell, depth=2), Levels.of(2, 3), x).with_datapath(datapath)
    _, scores, classes = bit_true.run(made, made.encode_input(x))
    found = infer(made, x)
    assert (found.scores == scores).all()
    assert (found.classes == classes).all()


def test_thresholds_of_sums_have_one_offset():
    made = quantize(
        float_model(rnn), Levels.of(2, 2), windows(), h_offset=np.linspace(-0.1, 0.1, 4)
    )
    assert run_layer(made.layers[0], made.encode_input(windows()))["h"].shape == (STEPS, 12, 4)
    with pytest.raises(
        MubinnError, match=r"cell rnn computes tanh\(h\): its thresholds would differ"
    ):
        run_layer(made.with_datapath("threshold").layers[0], made.encode_input(windows()))


@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
@pytest.mark.parametrize("levels", [(1, 1), (3, 2)])
@pytest.mark.parametrize("cell", MORE, ids=lambda cell: cell.name)
def test_hardware_equals_the_bit_true_model(cell, levels, datapath):
    x = windows()
    made = quantize(float_model(cell), Levels.of(*levels), x).with_datapath(datapath)
    codes = made.encode_input(x)[:2]
    how = {"units": 4, "classify": True} if levels == (1, 1) else {}
    assert check_layer(made, codes, pause=0.4, simulator=QUICK, **how).tests == 2
