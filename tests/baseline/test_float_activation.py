import numpy as np
import pytest

from mubinn.golden.baseline.float_activation import FloatActivationParams
from mubinn.golden.baseline.float_add import float_add
from mubinn.golden.baseline.float_mult import float_mult
from mubinn.hw.baseline.float_activation import FloatActivation, FloatSegment
from mubinn.sim.baseline import tb_float_activation as bench
from mubinn.sim.baseline.binary32 import join
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit


def test_hardware_equals_golden():
    params = FloatActivationParams("tanh", -2, 2, 1)
    fields = bench.stimulus(params, np.random.default_rng(1), 150)
    fields = {name: values[::2] for name, values in fields.items()}
    got = evaluate_unit(FloatActivation(params), fields)
    np.testing.assert_array_equal(join(got), join(bench.golden(params, fields)))


def test_a_segment_makes_the_function_elsewhere():
    params = FloatActivationParams("sigmoid", -2, 2, 1)
    fields = bench.stimulus(params, np.random.default_rng(2), 150)
    fields = {name: values[::2] for name, values in fields.items()}
    got = evaluate_unit(FloatSegment(params), fields)
    slope, factor, base = (got[name].astype(np.uint32) for name in ("slope", "factor", "base"))
    want = join(bench.golden(params, fields))
    np.testing.assert_array_equal(float_add(float_mult(slope, factor), base), want)


def test_bench_on_verilator():
    params = FloatActivationParams("sigmoid")
    result = check_unit(FloatActivation(params), bench=bench.__name__, params=params, count=5_000)
    assert result.transfers >= 4_999


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_bench_on_verilator_at_length(kind):
    params = FloatActivationParams(kind)
    result = check_unit(FloatActivation(params), bench=bench.__name__, params=params, count=150_000)
    assert result.transfers >= 149_999
