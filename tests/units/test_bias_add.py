import numpy as np
import pytest

from mubinn.golden.units.bias_add import BiasAddParams
from mubinn.hw.units.bias_add import BiasAdd
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_bias_add as bench

CASES = [
    *(
        BiasAddParams(*s)
        for s in ((1, 1, 1, 1), (1, 9, 8, 12), (2, 5, 9, 6), (3, 24, 10, 28), (5, 17, 16, 24))
    ),
]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_hardware_equals_golden(params):
    fields = bench.stimulus(params, np.random.default_rng(1), 150)
    expected = bench.golden(params, fields)
    got = evaluate_unit(BiasAdd(params), fields)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, name)


def test_bench_on_verilator():
    params = BiasAddParams(3, 24, 10, 28)
    result = check_unit(BiasAdd(params), bench=bench.__name__, params=params, count=4000, batch=8)
    assert result.transfers == 4000
