"""The layer on Verilator against the bit-true model; real sizes are in the campaign."""

import numpy as np
import pytest

from mubinn.golden.errors import MubinnError
from mubinn.golden.levels import Levels
from mubinn.golden.lstm_cell import LstmCellParams
from mubinn.hw.lstm_layer import LstmLayer
from mubinn.sim.compare import SimulationMismatch
from mubinn.sim.layer_check import check_layer
from mubinn.sim.toolchain import icarus_available

CONFIGURATIONS = {
    "one level, one cell": {"levels": (1, 1), "features": 3, "hidden": 1},
    "all levels different, scales per row": {
        "levels": Levels(x=4, w=2, h=3, c=1, gate=2, b=5),
        "features": 7,
        "hidden": 3,
        "per_row": True,
    },
    "paper's literal form": {"levels": (2, 3), "offsets": False, "features": 2, "hidden": 5},
}


def inputs(model, windows, steps, seed=0):
    layer = model.layers[0]
    random = np.random.default_rng(seed)
    return random.integers(0, 1 << layer.x.levels, (windows, steps, layer.features))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_layer_equals_bit_true_model(random_model, name):
    model = random_model(seed=5, **CONFIGURATIONS[name])
    design = LstmLayer(LstmCellParams(model.layers[0]), trace=True)
    layer = model.layers[0]
    assert design.cycles_per_step == 4 * layer.hidden * layer.levels.passes + 13
    result = check_layer(model, inputs(model, 3, 4), pause=0.4, design=design)
    assert result.tests == 2
    assert int(result.outputs["windows"]) == 3


@pytest.mark.skipif(not icarus_available(), reason="Icarus Verilog is not installed")
def test_layer_on_icarus(random_model):
    model = random_model(seed=3, levels=(2, 1), features=3, hidden=2)
    assert check_layer(model, inputs(model, 2, 5), pause=0.3, simulator="icarus").tests == 2


def test_second_layer_of_a_stack(random_model):
    model = random_model(seed=6, levels=(1, 2), features=3, hidden=2, depth=2)
    random = np.random.default_rng(1)
    codes = random.integers(0, 1 << model.layers[1].x.levels, (2, 3, 2))
    assert check_layer(model, codes, layer=1).tests == 2


def test_a_flipped_weight_is_found_with_its_place(random_model):
    model = random_model(seed=5, **CONFIGURATIONS["one level, one cell"])
    other = random_model(seed=5, **CONFIGURATIONS["one level, one cell"])
    bits = other.layers[0].wx.bits.copy()
    bits[0, 2, 1] ^= 1
    object.__setattr__(other.layers[0].wx, "bits", bits)
    design = LstmLayer(LstmCellParams(other.layers[0]), trace=True)
    message = r"window 0: signal dot_x at step 0, cell 0, gate 2, pass 0: expected"
    with pytest.raises(SimulationMismatch, match=message):
        check_layer(model, inputs(model, 1, 2), design=design)


def test_input_of_the_wrong_shape(random_model):
    with pytest.raises(MubinnError, match=r"input codes of shape \(2, 9\) are not"):
        check_layer(random_model(), np.zeros((2, 9)))
