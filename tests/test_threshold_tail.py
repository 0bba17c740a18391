"""The threshold datapath in hardware: cell and layer held to the bit-true model."""

from dataclasses import replace

import numpy as np
import pytest

from mubinn.golden.code_table import CodeTableParams
from mubinn.golden.layer_plan import LayerPlan
from mubinn.golden.levels import Levels
from mubinn.golden.lstm_cell import LstmCellParams
from mubinn.hw.lstm_cell import LstmCell
from mubinn.hw.threshold_tail import ThresholdTail
from mubinn.sim.cell_check import check_cell
from mubinn.sim.compare import SimulationMismatch
from mubinn.sim.layer_check import check_layer
from mubinn.sim.toolchain import icarus_available

MIXED = Levels(x=2, w=1, h=1, c=2, gate=3, b=2)


def inputs(layer, *shape, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 1 << layer.x.levels, (*shape, layer.features))


@pytest.mark.parametrize(
    ("levels", "offsets"), [((1, 1), True), ((3, 3), False)], ids=["own offsets", "one offset"]
)
def test_layer_equals_bit_true_model(random_model, levels, offsets):
    model = random_model(seed=2, levels=levels, offsets=offsets, features=4, hidden=3)
    model = model.with_datapath("threshold")
    layer = model.layers[0]
    assert ThresholdTail.latency(LstmCellParams(layer)) == (4 if offsets else 3)
    assert check_layer(model, inputs(layer, 3, 20)).tests == 2


@pytest.mark.skipif(not icarus_available(), reason="Icarus Verilog is not installed")
def test_cell_equals_bit_true_model_under_back_pressure(random_model):
    layer = random_model(seed=3, levels=MIXED).with_datapath("threshold").layers[0]
    assert layer.thresholds.h_raw is not None
    assert check_cell(layer, inputs(layer, 4), simulator="icarus").tests == 2


@pytest.mark.skipif(not icarus_available(), reason="Icarus Verilog is not installed")
def test_one_wrong_word_is_found(random_model):
    made = (random_model(seed=3, levels=MIXED, offsets=False) for _ in range(2))
    layer, other = (model.with_datapath("threshold").layers[0] for model in made)
    words = tuple(word ^ 1 for word in other.thresholds.h.words)
    vars(other)["thresholds"] = replace(other.thresholds, h=CodeTableParams(words))
    design = LstmCell(LayerPlan(other, folded_bias=False), trace=True)
    with pytest.raises(SimulationMismatch, match=r"cell 0, signal (o|probe)"):
        check_cell(layer, inputs(layer, 1), design=design, simulator="icarus")
