"""The layer without its trace: outputs are compared, and a broken layer is seen."""

import numpy as np
import pytest
from simulators import QUICK

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.bit_true import run_layer
from mubinn.hw.layer.lstm_layer import LstmLayer
from mubinn.sim.layer.layer_speed import simulate_outputs
from mubinn.sim.testbench.compare import SimulationMismatch


@pytest.fixture(scope="module")
def case(random_model):
    model = random_model(seed=3, levels=(2, 2), features=5, hidden=4)
    codes = np.random.default_rng(0).integers(0, 4, (2, 6, 5))
    # The second window shows whether the state starts anew.
    own, joined = (run_layer(model.layers[0], x)["h"] for x in (codes, codes.reshape(1, 12, 5)))
    assert (own[:, 1] != joined[6:, 0]).any()
    return model, codes


def test_outputs_of_two_windows_are_equal(case):
    model, codes = case
    result = simulate_outputs(model, codes, simulator=QUICK)
    assert int(result.outputs["steps"]) == 12
    per_step = 4 * 4 * 4 + 11
    assert 11 * per_step < result.cycles < 13 * per_step


def test_another_layer_is_seen(case, random_model):
    model, codes = case
    other = random_model(seed=1, levels=(2, 2), features=5, hidden=4)
    broken = LstmLayer(LayerPlan(other.layers[0]))
    with pytest.raises(SimulationMismatch, match=r"step \d+, signal o: expected 0x"):
        simulate_outputs(model, codes, design=broken, simulator=QUICK)


def test_wrong_shapes_are_refused(case):
    model, codes = case
    for wrong in (codes[0], codes[..., :4], codes[:0]):
        with pytest.raises(MubinnError, match=r"not \(windows, steps, 5\)"):
            simulate_outputs(model, wrong)
