"""The GRU layer in simulation against the bit-true model, at every intermediate."""

import json

import numpy as np
import pytest
from simulators import needs_icarus

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.export.layer_folder import generate
from mubinn.hw.layer.lstm_layer import LstmLayer, cycles_per_step
from mubinn.sim.layer.layer_check import check_layer
from mubinn.sim.testbench.compare import SimulationMismatch

MIXED = Levels(x=4, w=2, h=3, c=3, gate=2, b=5)
CONFIGURATIONS = {
    "all levels different, scales per row": (
        {"levels": MIXED, "features": 7, "hidden": 3, "per_row": True},
        {"units": 3},
    ),
    "no offsets, few lanes": (
        {"levels": (2, 3), "offsets": False, "features": 2, "hidden": 5},
        {"lanes": 3, "classify": True},
    ),
}


THRESHOLDS = {
    "two engines": ({"levels": (1, 2), "h": 1, "features": 3, "hidden": 3}, {"units": 4}),
    "no offsets, few lanes": (
        {"levels": (2, 1), "offsets": False, "features": 3, "hidden": 2},
        {"lanes": 2},
    ),
}


def inputs(model, windows, steps, seed=0):
    layer = model.layers[0]
    random = np.random.default_rng(seed)
    return random.integers(0, 1 << layer.x.levels, (windows, steps, layer.features))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_layer_equals_bit_true_model(random_gru, name):
    own, how = CONFIGURATIONS[name]
    model = random_gru(seed=5, **own)
    assert check_layer(model, inputs(model, 3, 4), pause=0.4, **how).tests == 2


ON_ICARUS = {
    "one level, one cell": ({"levels": (1, 1), "features": 3, "hidden": 1}, {}),
    "two engines": ({"levels": (1, 2), "features": 4, "hidden": 5}, {"units": 4}),
}


@needs_icarus
@pytest.mark.parametrize("name", ON_ICARUS)
def test_layer_on_icarus(random_gru, name):
    own, how = ON_ICARUS[name]
    model = random_gru(seed=6, **own)
    result = check_layer(model, inputs(model, 2, 3), pause=0.3, simulator="icarus", **how)
    assert result.tests == 2


@needs_icarus
@pytest.mark.parametrize("name", THRESHOLDS)
def test_threshold_datapath(random_gru, name):
    own, how = THRESHOLDS[name]
    model = random_gru(seed=7, **own).with_datapath("threshold")
    result = check_layer(model, inputs(model, 2, 3), simulator="icarus", **how)
    assert result.tests == 2


@needs_icarus
def test_second_layer_of_a_stack(random_gru):
    model = random_gru(seed=6, levels=(1, 2), features=3, hidden=2, depth=2)
    codes = np.random.default_rng(1).integers(0, 1 << model.layers[1].x.levels, (2, 3, 2))
    assert check_layer(model, codes, layer=1, simulator="icarus").tests == 2


def test_cycles_are_those_of_an_lstm_but_for_the_tail(random_gru, random_model):
    gru = LayerPlan(random_gru().layers[0])
    assert cycles_per_step(gru) == 4 * 4 * 9 + 3 + 6 + 1
    assert cycles_per_step(LayerPlan(random_model().layers[0])) == cycles_per_step(gru) + 1


@needs_icarus
def test_a_wrong_scale_of_the_reset_gate_is_found(random_gru):
    model, other = (random_gru(seed=5, levels=(1, 1), features=3, hidden=1) for _ in range(2))
    reset = other.layers[0].gates["r"]
    object.__setattr__(reset, "scales", reset.scales + 1)
    design = LstmLayer(LayerPlan(other.layers[0], readout=model.readout), trace=True)
    with pytest.raises(SimulationMismatch, match=r"signal (z_q|rnh|n_raw) at step \d, cell 0"):
        check_layer(model, inputs(model, 1, 2), design=design, simulator="icarus")


def test_its_verilog_is_generated(random_gru):
    files = generate(random_gru(levels=(1, 2), depth=2))
    assert set(files) == {"gru_layer_0.v", "gru_layer_1.v", "parameters.json", "README.md"}
    assert "module gru_layer_1(" in files["gru_layer_1.v"]
    assert files["README.md"].startswith("# GRU layers in Verilog")
    about = json.loads(files["parameters.json"])["layers"][0]
    assert about["cell"] == "gru"
    assert "codes of h, written as cells are computed" in str(about["memories"])
