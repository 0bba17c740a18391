import numpy as np
import pytest

from mubinn.golden.units.mac import MacParams
from mubinn.hw.units.mac import Mac
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_mac as bench

CASES = [
    *(
        MacParams(*s)
        for s in ((1, 1, 1, 4), (1, 8, 12, 24), (3, 8, 12, 24), (5, 10, 8, 26), (2, 3, 5, 11))
    ),
]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_hardware_equals_golden(params):
    fields = bench.stimulus(params, np.random.default_rng(1), 150)
    expected = bench.golden(params, fields)
    got = evaluate_unit(Mac(params), fields)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, name)


def test_bench_on_verilator():
    params = MacParams(3, 8, 12, 24)
    result = check_unit(Mac(params), bench=bench.__name__, params=params, count=4000, batch=8)
    assert result.transfers == 4000
