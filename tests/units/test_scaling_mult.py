import numpy as np
import pytest

from mubinn.golden.units.scaling_mult import ScalingMultParams, scaling_mult
from mubinn.hw.units.scaling_mult import ScalingMult
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_scaling_mult as bench

CASES = [ScalingMultParams(*w) for w in ((1, 1), (2, 1), (1, 4), (5, 3), (9, 8), (9, 16), (12, 12))]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_hardware_equals_golden(params):
    fields = bench.stimulus(params, np.random.default_rng(1), 150)
    expected = bench.golden(params, fields)
    got = evaluate_unit(ScalingMult(params), fields)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, name)


def test_bench_on_verilator():
    params = ScalingMultParams(9, 16)
    result = check_unit(
        ScalingMult(params), bench=bench.__name__, params=params, count=4000, batch=8
    )
    assert result.transfers == 4000


def test_golden_is_exact_in_its_width():
    for dot_width, scale_width in ((9, 16), (9, 4), (1, 1)):
        params = ScalingMultParams(dot_width, scale_width)
        dot, scale = -(1 << dot_width - 1), (1 << scale_width) - 1
        product = scaling_mult(params, dot, scale)
        assert product == dot * scale
        assert -(1 << params.product_width - 1) <= product


def test_bad_sizes_are_refused():
    for sizes, name in (((0, 1), "dot_width"), ((1, 0), "scale_width")):
        with pytest.raises(ValueError, match=f"ScalingMultParams.{name} is 0: give at least 1"):
            ScalingMultParams(*sizes)
