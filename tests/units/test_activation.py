import numpy as np
import pytest

from mubinn.golden.units.activation import ActivationParams
from mubinn.hw.units.activation import Activation
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_activation as bench

CASES = [
    ActivationParams("sigmoid"),
    ActivationParams("tanh"),
    ActivationParams("tanh", 8, 4, 6, 8),
    ActivationParams("sigmoid", 6, 3, 4, 1),
    ActivationParams("sigmoid", 10, 6, 12, 5),
]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_hardware_equals_golden(params):
    fields = bench.stimulus(params, np.random.default_rng(1), 500)
    expected = bench.golden(params, fields)
    got = evaluate_unit(Activation(params), fields)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, name)


def test_bench_on_verilator():
    params = ActivationParams("tanh")
    result = check_unit(
        Activation(params), bench=bench.__name__, params=params, count=4096, batch=8
    )
    assert result.transfers == 4096
