"""The GRU that resets before the product, in simulation against the bit-true model."""

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
    "shared cycles, scales per row": (
        "figure3",
        {"levels": MIXED, "features": 7, "hidden": 3, "per_row": True},
        {"units": 5, "classify": True},
    ),
    "shared cycles, scales per gate": (
        "figure3",
        {"levels": (2, 3), "features": 2, "hidden": 5},
        {"units": 4, "classify": True},
    ),
    "no offsets, few lanes": (
        "figure3",
        {"levels": (2, 3), "offsets": False, "features": 2, "hidden": 5},
        {"lanes": 3, "classify": True},
    ),
    "thresholds, two engines": (
        "threshold",
        {"levels": (1, 2), "features": 4, "hidden": 5},
        {"units": 4, "classify": True},
    ),
    "thresholds, one cell": ("threshold", {"levels": (1, 1), "features": 3, "hidden": 1}, {}),
    "second of two layers": (
        "figure3",
        {"levels": (1, 2), "features": 3, "hidden": 2, "depth": 2},
        {"layer": 1},
    ),
}


def inputs(model, windows, steps, layer=0):
    own = model.layers[layer]
    random = np.random.default_rng(0)
    return random.integers(0, 1 << own.x.levels, (windows, steps, own.features))


@needs_icarus
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_layer_equals_bit_true_model(random_gru, name):
    datapath, own, how = CONFIGURATIONS[name]
    model = random_gru(seed=5, reset="before", **own).with_datapath(datapath)
    codes = inputs(model, 3, 3, how.get("layer", 0))
    assert check_layer(model, codes, pause=0.4, simulator="icarus", **how).tests == 2


@pytest.mark.parametrize(("units", "cycles"), [(1, 12 * 9), (5, 15 + 8), (9, 12)])
def test_cycles_are_those_of_three_rows_and_two_tails(random_gru, units, cycles):
    model = random_gru(reset="before")
    # Eight rows z and r of nine pairs, then four rows n: 72 and 36 pairs, each begun anew.
    plan = LayerPlan(model.layers[0], units=units)
    assert cycles_per_step(plan) == cycles + 2 * (3 + 4 + 1)


@needs_icarus
@pytest.mark.parametrize(("name", "signals"), [("r", "z_q|gate|s_raw|s"), ("n", "gate|h_raw")])
def test_a_wrong_scale_of_a_gate_is_found(random_gru, name, signals):
    model, other = (
        random_gru(seed=5, levels=(1, 1), features=3, hidden=2, reset="before") for _ in range(2)
    )
    gate = other.layers[0].gates[name]
    object.__setattr__(gate, "scales", gate.scales + 1)
    design = LstmLayer(LayerPlan(other.layers[0], readout=model.readout), trace=True)
    with pytest.raises(SimulationMismatch, match=rf"signal ({signals}) at step \d, cell \d"):
        check_layer(model, inputs(model, 1, 2), design=design, simulator="icarus")


def test_its_verilog_is_generated(random_gru):
    files = generate(random_gru(levels=(1, 2), reset="before"))
    about = json.loads(files["parameters.json"])["layers"][0]
    assert about["cycles"]["formula"] == "3 H P + 2 (L + 1)"
    assert about["cycles"]["per_step"] == 3 * 4 * 4 + 2 * (7 + 1)
    memories = {memory["name"]: memory for memory in about["memories"]}
    assert memories["m_g"]["width"] == 4
    assert memories["m_w"]["words"] == 3 * 4 * 2
