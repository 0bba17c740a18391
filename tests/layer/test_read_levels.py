"""Layers whose rows read the first levels of h, and the classifier all of them, in simulation."""

from dataclasses import replace

import numpy as np
import pytest
from read_signs import reading
from simulators import QUICK

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scales import LevelTensor
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.cells.lstm_cell import LstmCell
from mubinn.hw.layer.lstm_layer import cycles_per_step, cycles_per_window
from mubinn.sim.layer.layer_check import check_layer

SIGNS = Levels(x=1, w=1, h=4, c=4, gate=4, b=2)
CASES = {
    "signs, readout last": (SIGNS, 1, "last", {}, {}, "figure3"),
    "three engines, a result at every step": (SIGNS, 1, "every", {}, {"units": 3}, "threshold"),
    "words of three lanes, scales of rows": (
        SIGNS,
        1,
        "mean",
        {"per_row": True},
        {"lanes": 3},
        "figure3",
    ),
    "two levels of four, two multipliers, bias in levels": (
        Levels(x=1, w=1, h=4, c=2, gate=2, b=2),
        2,
        "last",
        {"per_row": True},
        {"units": 2, "folded_bias": False},
        "figure3",
    ),
}


def model_of(random_model, name):
    """A model with a classifier of three levels."""
    levels, count, readout, made, _, datapath = CASES[name]
    model = reading(random_model(5, levels, readout=readout, **made), count)
    model = model.with_datapath(datapath)
    rng, dense = np.random.default_rng(2), model.dense
    shape = (3, *dense.w.bits.shape[1:])
    scales = rng.integers(1, 60, (len(dense.w.scales), 3))
    w = LevelTensor(rng.integers(0, 2, shape), scales, dense.w.fraction)
    return replace(model, dense=replace(dense, w=w))


@pytest.mark.parametrize("name", CASES)
def test_layer_equals_bit_true_model(random_model, name):
    model, how = model_of(random_model, name), CASES[name][-2]
    x = np.random.default_rng(1).normal(0, 1.5, (3, 3, 5))
    options = {"pause": 0.4, "simulator": QUICK}
    result = check_layer(model, model.encode_input(x), classify=True, **options, **how)
    assert result.tests == 2


def test_rows_take_a_cycle_a_level_pair_that_they_read(random_model):
    """A row of the layer one, of the classifier 4 x 3; without it nothing takes longer."""
    model = model_of(random_model, "signs, readout last")
    layer = model.layers[0]
    plan = LayerPlan(layer, model.dense, readout="last")
    step = 4 * layer.hidden + LstmCell.latency(plan) + 1
    assert (plan.planes, plan.class_schedule.planes) == (1, 12)
    assert cycles_per_step(plan) == cycles_per_step(LayerPlan(layer)) == step
    assert cycles_per_window(plan, 5) == 5 * step + 3 * 12
