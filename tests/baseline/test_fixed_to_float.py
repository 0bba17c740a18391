import numpy as np
import pytest

from mubinn.golden.baseline.fixed_to_float import FixedToFloatParams
from mubinn.hw.baseline.fixed_to_float import FixedToFloat
from mubinn.sim.baseline import tb_fixed_to_float as bench
from mubinn.sim.baseline.binary32 import join
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit


@pytest.mark.parametrize("sizes", [(2, 0), (12, 8), (25, 3), (26, 26), (32, 24), (63, 64)])
def test_hardware_equals_golden(sizes):
    params = FixedToFloatParams(*sizes)
    fields = bench.stimulus(params, np.random.default_rng(1), 1200)
    fields = {"value": fields["value"][::7]}
    got = join(evaluate_unit(FixedToFloat(params), fields))
    np.testing.assert_array_equal(got, join(bench.golden(params, fields)))


def test_bench_on_verilator():
    params = FixedToFloatParams(40, 20)
    result = check_unit(FixedToFloat(params), bench=bench.__name__, params=params, count=10_000)
    assert result.transfers >= 10_000


@pytest.mark.campaign
@pytest.mark.parametrize("sizes", [(20, 8), (48, 24)])
def test_bench_on_verilator_at_length(sizes):
    params = FixedToFloatParams(*sizes)
    result = check_unit(FixedToFloat(params), bench=bench.__name__, params=params, count=150_000)
    assert result.transfers >= 150_000
