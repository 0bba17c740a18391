import numpy as np
import pytest

from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams, xnor_multiplier
from mubinn.hw.units.xnor_multiplier import XnorMultiplier
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_xnor_multiplier as bench

CASES = [
    *(XnorMultiplierParams(n) for n in (1, 2, 3, 4, 7, 16, 33, 132)),
]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_hardware_equals_golden(params):
    fields = bench.stimulus(params, np.random.default_rng(1), 120)
    expected = bench.golden(params, fields)
    got = evaluate_unit(XnorMultiplier(params), fields)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, name)


def test_bench_on_verilator():
    params = XnorMultiplierParams(132)
    result = check_unit(
        XnorMultiplier(params), bench=bench.__name__, params=params, count=4000, batch=8
    )
    assert result.transfers == 4000


@pytest.mark.parametrize("lanes", [1, 5, 12, 32, 61])
def test_the_form_for_slices_gives_the_same(lanes):
    params = XnorMultiplierParams(lanes)
    fields = bench.stimulus(params, np.random.default_rng(2), 60)
    got = evaluate_unit(XnorMultiplier(params, network="xc7-plain"), fields)
    np.testing.assert_array_equal(got["dot"], bench.golden(params, fields)["dot"])


def test_golden_is_the_dot_product_of_signs():
    random = np.random.default_rng(3)
    for lanes in (1, 2, 31, 132):
        a, w = random.integers(0, 2, (2, 50, lanes), np.uint8)
        want = [np.dot(2.0 * x - 1, 2.0 * y - 1) for x, y in zip(a, w, strict=True)]
        assert xnor_multiplier(XnorMultiplierParams(lanes), a, w).tolist() == want


def test_dot_width_holds_both_ends():
    for lanes in range(1, 40):
        limit = 1 << XnorMultiplierParams(lanes).dot_width - 1
        assert -limit <= -lanes
        assert limit // 2 <= lanes < limit


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="at least one lane"):
        XnorMultiplierParams(0)
    with pytest.raises(ValueError, match="3 and 4 bits for 4 lanes"):
        xnor_multiplier(XnorMultiplierParams(4), np.zeros(3), np.zeros(4))
