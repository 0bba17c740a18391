"""The threshold datapath in hardware: cell and layer held to the bit-true model."""

from dataclasses import replace

import numpy as np
import pytest
from simulators import QUICK

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.units.code_table import CodeTableParams
from mubinn.hw.cells.lstm_cell import LstmCell
from mubinn.sim.cells.cell_check import check_cell
from mubinn.sim.layer.layer_check import check_layer
from mubinn.sim.testbench.compare import SimulationMismatch

SEARCHED = Levels(x=1, w=1, h=2, c=3, gate=3, b=1)
MIXED = Levels(x=2, w=1, h=1, c=2, gate=3, b=2)


def inputs(layer, *shape, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 1 << layer.x.levels, (*shape, layer.features))


@pytest.mark.parametrize(
    ("levels", "offsets", "how"),
    [
        ((1, 1), True, {"units": 2, "classify": True, "simulator": QUICK}),
        (SEARCHED, False, {"pause": 0.3, "simulator": QUICK}),
        ((3, 3), False, {"network": "xc7-plain", "classify": True}),
    ],
    ids=["own offsets, two engines", "one offset, pipeline", "serial on an FPGA"],
)
def test_layer_equals_bit_true_model(random_model, levels, offsets, how):
    model = random_model(seed=2, levels=levels, offsets=offsets, features=3, hidden=2)
    model = model.with_datapath("threshold")
    assert ("h_raw" in model.layers[0].lowered) == offsets
    result = check_layer(model, inputs(model.layers[0], 2, 6), **how)
    assert int(result.outputs["windows"]) == 2


def test_one_wrong_word_is_found(random_model):
    made = (random_model(seed=3, levels=MIXED, offsets=False) for _ in range(2))
    layer, other = (model.with_datapath("threshold").layers[0] for model in made)
    right = other.lowered["h"]
    words = tuple(word ^ 1 for word in right.operation.params.words)
    wrong = replace(right, operation=replace(right.operation, params=CodeTableParams(words)))
    units = tuple(wrong if unit is right else unit for unit in other.lowered.units)
    other._lowered["threshold"] = replace(other.lowered, units=units)
    design = LstmCell(LayerPlan(other, folded_bias=False), trace=True)
    with pytest.raises(SimulationMismatch, match=r"cell 0, signal (o|probe)"):
        check_cell(layer, inputs(layer, 1), design=design, simulator=QUICK)
