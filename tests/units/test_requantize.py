import numpy as np
import pytest

from mubinn.golden.units.requantize import RequantizeParams
from mubinn.hw.units.requantize import Requantize
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_requantize as bench

CASES = [
    *(
        RequantizeParams(*s)
        for s in (
            (12, 4, 12, 4),
            (20, 12, 12, 8),
            (20, 12, 12, 3),
            (8, 2, 12, 6),
            (8, 2, 9, 6),
            (6, 5, 1, 0),
            (5, 9, 4, 0),
            (5, 6, 4, 0),
            (5, 5, 3, 0),
            (9, 5, 10, 4),
            (1, 1, 1, 0),
        )
    ),
]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_hardware_equals_golden(params):
    fields = bench.stimulus(params, np.random.default_rng(1), 150)
    expected = bench.golden(params, fields)
    got = evaluate_unit(Requantize(params), fields)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, name)


def test_bench_on_verilator():
    params = RequantizeParams(24, 14, 12, 8)
    result = check_unit(
        Requantize(params), bench=bench.__name__, params=params, count=4000, batch=8
    )
    assert result.transfers == 4000
