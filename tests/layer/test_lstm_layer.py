"""The layer on both simulators against the bit-true model; real sizes are slow tests."""

import numpy as np
import pytest
from simulators import QUICK
from stacks import stacked

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import LAYERS
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.bit_true import run_layer_from
from mubinn.golden.model.layer_state import zero_codes
from mubinn.golden.quantize import quantize
from mubinn.hw.cells.lstm_cell import LstmCell
from mubinn.hw.layer.lstm_layer import LstmLayer, cycles_per_step, cycles_per_window
from mubinn.sim.layer.layer_check import check_layer
from mubinn.sim.testbench.compare import SimulationMismatch

CONFIGURATIONS = {
    "all levels different, scales per row, bias in levels": (
        {
            "levels": Levels(x=3, w=2, h=1, c=2, gate=1, b=4),
            "features": 7,
            "hidden": 2,
            "per_row": True,
        },
        {"units": 4, "classify": True, "folded_bias": False},
        "figure3",
    ),
    "two engines, a dummy cell and a dummy class, readout last": (
        {"levels": (1, 2), "features": 5, "hidden": 3, "readout": "last"},
        {"units": 5, "classify": True},
        "threshold",
    ),
    "three engines, words of three, one cell and one class missing": (
        {"levels": (1, 1), "features": 5, "hidden": 5, "classes": 5},
        {"units": 3, "lanes": 3, "classify": True},
        "threshold",
    ),
    "rows that share cycles on two engines of three multipliers, a dummy class": (
        {"levels": (2, 2), "features": 5, "hidden": 4},
        {"units": 6, "classify": True},
        "threshold",
    ),
    "words of four, three of four pairs at once": (
        {"levels": (2, 2), "features": 5, "hidden": 3},
        {"units": 3, "lanes": 4, "classify": True},
        "threshold",
    ),
    "a sigmoid at every step": (
        {"levels": (1, 2), "features": 3, "hidden": 2, "readout": "every"}
        | {"head": "sigmoid", "classes": 1},
        {"units": 2, "classify": True},
        "threshold",
    ),
    "running values, three of them on two engines": (
        {"levels": (1, 1), "features": 3, "hidden": 3, "readout": "running"}
        | {"head": "regression", "classes": 3},
        {"units": 2, "classify": True},
        "threshold",
    ),
}


def inputs(model, windows, steps, seed=0):
    layer = model.layers[0]
    random = np.random.default_rng(seed)
    return random.integers(0, 1 << layer.x.levels, (windows, steps, layer.features))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_layer_equals_bit_true_model(random_model, name):
    made, how, datapath = CONFIGURATIONS[name]
    model = random_model(seed=5, **made).with_datapath(datapath)
    result = check_layer(model, inputs(model, 3, 3), pause=0.4, simulator=QUICK, **how)
    assert result.tests == 2
    assert int(result.outputs["windows"]) == 3


KEPT = {
    "a sum over the steps": (
        {"seed": 6, "levels": (2, 2), "features": 3, "hidden": 2, "readout": "mean"},
        {"units": 4, "classify": True},
        "figure3",
        3,
    ),
    "a result at every step, windows of one": (
        {"seed": 3, "levels": (1, 2), "features": 3, "hidden": 2, "readout": "running"},
        {"units": 2, "classify": True},
        "threshold",
        1,
    ),
    "a leaky mean": (
        {"seed": 6, "levels": (2, 2), "features": 3, "hidden": 2, "readout": "leaky:2"},
        {"units": 4, "classify": True},
        "figure3",
        2,
    ),
    "a GRU without a classifier": (
        {"seed": 10, "cell": "gru", "levels": (2, 2), "features": 3, "hidden": 3},
        {},
        "threshold",
        1,
    ),
    "a GRU of two phases, readout last": (
        {"seed": 3, "cell": "gru", "reset": "before", "levels": (1, 1), "features": 3, "hidden": 3}
        | {"readout": "last"},
        {"units": 2, "classify": True},
        "figure3",
        3,
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_state_is_kept_where_it_is_told(random_of, name):
    made, how, datapath, steps = KEPT[name]
    model = random_of(**made).with_datapath(datapath)
    kept = [True, True, False, True, False]
    codes = inputs(model, len(kept), steps)
    zeros = zero_codes(model.layers[0])
    _, left = run_layer_from(model.layers[0], codes[0], zeros)
    assert all((own != zero).any() for own, zero in zip(left, zeros, strict=True))
    result = check_layer(model, codes, kept=kept, pause=0.4, simulator=QUICK, **how)
    assert result.tests == 2


def test_layer_on_verilator(random_model):
    model = random_model(seed=3, levels=(2, 1), features=3, hidden=2)
    assert check_layer(model, inputs(model, 2, 5), pause=0.3, classify=True).tests == 2


@pytest.mark.parametrize(("levels", "form"), [(7, "power-of-two"), (8, "free")])
def test_scales_of_many_levels_have_their_widths(random_float, levels, form):
    x = np.random.default_rng(levels).standard_t(3, size=(8, 20, 3))
    floats = random_float(levels, features=3, hidden=2, c_clip=0.6)
    model = quantize(floats, Levels.of(levels, levels), x, scale_form=form)
    layer = model.layers[0]
    assert min(layer.quantizers["c"].scales.min(), layer.x.scales.min()) > 0
    assert layer.quantizers["c"].scales.sum() > 255
    codes = model.encode_input(x[:2, :3])
    assert check_layer(model, codes, pause=0.3, classify=True).tests == 2


def test_steps_of_one_row_follow_each_other_at_once():
    x = np.random.default_rng(2).normal(0, 1, (4, 6, 2))
    model = quantize(stacked([(LAYERS["rnn"], 1, Frames())], 2, readout="last"), Levels.of(1, 1), x)
    assert len(LayerPlan(model.layers[0]).rows) == 1
    # The first of both runs, without pauses, demands the cycles of the formula.
    assert check_layer(model, model.encode_input(x), pause=0.4, simulator=QUICK).tests == 2


def test_second_layer_of_a_stack(random_model):
    model = random_model(seed=6, levels=(1, 2), features=3, hidden=2, depth=2)
    random = np.random.default_rng(1)
    codes = random.integers(0, 1 << model.layers[1].x.levels, (2, 3, 2))
    assert check_layer(model, codes, layer=1, simulator=QUICK).tests == 2


@pytest.mark.parametrize(
    ("levels", "lanes", "units", "rows"),
    [
        ((3, 3), None, 1, (400 + 2) * 9),
        ((3, 3), 132, 3, (400 + 2) * 3),
        ((3, 3), 132, 9, 400 + 2),
        ((3, 3), 200, 19, 4 * 50 + 1),
        ((1, 1), 132, 1, 400 + 2),
        ((2, 4), 132, 5, 400 * 16 // 5 + 7),
        ((2, 4), None, 24, 4 * 50 * 16 // 12 + 1 + 2),
        ((2, 2), None, 5, 4 * 20 * 4 + 4),
        ((3, 3), 64, 2, 400 * 3 * 5 + 2 * 2 * 5),
    ],
)
def test_cycles_of_a_step(random_model, levels, lanes, units, rows):
    model = random_model(levels=levels, features=32, hidden=100, classes=2)
    plan = LayerPlan(model.layers[0], model.dense, lanes, units)
    assert cycles_per_step(plan) == rows + LstmCell.latency(plan) + 1
    assert cycles_per_window(plan, 320) == 320 * cycles_per_step(plan)
    if lanes != 64:
        bound = 1.05 * -(-402 * plan.planes // units) + 64
        assert cycles_per_step(plan) <= bound


def test_the_last_steps_classes_cost_cycles_of_their_own(random_model):
    model = random_model(levels=(2, 2), features=3, hidden=4, classes=3, readout="last")
    plan = LayerPlan(model.layers[0], model.dense, readout="last")
    assert cycles_per_step(plan) == 4 * 4 * 4 + LstmCell.latency(plan) + 1
    assert cycles_per_window(plan, 7) == 7 * cycles_per_step(plan) + 3 * 4


@pytest.mark.parametrize("how", [{"units": 0}, {"lanes": 0}])
def test_no_parallelism_is_refused(random_model, how):
    with pytest.raises(MubinnError, match="compute nothing: give 1 or more"):
        LayerPlan(random_model().layers[0], **how)


def test_a_flipped_weight_is_found_with_its_place(random_model):
    made = {"levels": (1, 1), "features": 3, "hidden": 1}
    model, other = (random_model(seed=5, **made) for _ in range(2))
    bits = other.layers[0].wx.bits.copy()
    bits[0, 2, 1] ^= 1
    object.__setattr__(other.layers[0].wx, "bits", bits)
    design = LstmLayer(LayerPlan(other.layers[0]), trace=True)
    message = r"window 0: signal dot_x at step 0, cell 0, gate 2, pass 0: expected"
    with pytest.raises(SimulationMismatch, match=message):
        check_layer(model, inputs(model, 1, 2), design=design, simulator=QUICK)


def test_another_classifier_is_found(random_model):
    model = random_model(seed=5, levels=(1, 1), features=3, hidden=2)
    other = random_model(seed=5, levels=(1, 1), features=3, hidden=2)
    bits = 1 - other.dense.b.bits
    object.__setattr__(other.dense.b, "bits", bits)
    design = LstmLayer(LayerPlan(other.layers[0], other.dense), trace=True)
    with pytest.raises(SimulationMismatch, match=r"window 0: signal logits at result 0, class \d"):
        check_layer(model, inputs(model, 1, 2), design=design, classify=True, simulator=QUICK)


def test_input_of_the_wrong_shape(random_model):
    with pytest.raises(MubinnError, match=r"input codes of shape \(2, 9\) are not"):
        check_layer(random_model(), np.zeros((2, 9)))
