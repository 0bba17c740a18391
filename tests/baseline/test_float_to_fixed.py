import numpy as np
import pytest

from mubinn.golden.baseline.float_to_fixed import FloatToFixedParams
from mubinn.hw.baseline.float_to_fixed import FloatToFixed
from mubinn.sim.baseline import tb_float_to_fixed as bench
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit


@pytest.mark.parametrize("sizes", [(2, 0), (8, 6), (12, 8), (23, 4), (24, 16), (32, 24), (48, 64)])
def test_hardware_equals_golden(sizes):
    params = FloatToFixedParams(*sizes)
    fields = bench.stimulus(params, np.random.default_rng(1), 300)
    got = evaluate_unit(FloatToFixed(params), fields)["value"]
    np.testing.assert_array_equal(got, bench.golden(params, fields)["value"])


def test_bench_on_verilator():
    params = FloatToFixedParams(16, 8)
    result = check_unit(FloatToFixed(params), bench=bench.__name__, params=params, count=10_000)
    assert result.transfers >= 10_000


@pytest.mark.campaign
@pytest.mark.parametrize("sizes", [(12, 8), (32, 24)])
def test_bench_on_verilator_at_length(sizes):
    params = FloatToFixedParams(*sizes)
    result = check_unit(FloatToFixed(params), bench=bench.__name__, params=params, count=150_000)
    assert result.transfers >= 150_000
