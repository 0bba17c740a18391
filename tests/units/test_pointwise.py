import numpy as np
import pytest

from mubinn.golden.units.pointwise import PointwiseParams
from mubinn.hw.units.pointwise import Pointwise
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_pointwise as bench

CASES = [
    PointwiseParams(1, 1, 1, 1, False, False, False, False, 4, 6),
    PointwiseParams(3, 3, 3, 3, True, False, True, False, 12, 18),
    PointwiseParams(2, 4, 1, 3, True, True, False, True, 9, 14),
    PointwiseParams(5, 5, 5, 5, True, False, True, True, 16, 23),
]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_hardware_equals_golden(params):
    fields = bench.stimulus(params, np.random.default_rng(1), 60)
    expected = bench.golden(params, fields)
    got = evaluate_unit(Pointwise(params), fields)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, name)


def test_bench_on_verilator():
    params = PointwiseParams(3, 3, 3, 3, True, False, True, False, 12, 18)
    result = check_unit(Pointwise(params), bench=bench.__name__, params=params, count=3000, batch=8)
    assert result.transfers == 3000
