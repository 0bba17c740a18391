"""Eq. (6) in exact fractions, and its hardware."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mubinn.golden.units.mac import MacParams, mac
from mubinn.hw.units.mac import Mac
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_mac as bench


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(-256, 255),
    st.integers(-1024, 1024),
)
def test_is_o_times_tanh(levels, offset, tanh_c):
    code = sum(bit << k for k, (bit, _) in enumerate(levels))
    scales = [a for _, a in levels]
    o = offset + sum(a if bit else -a for bit, a in levels)
    assert mac(MacParams(len(levels), 8, 12, 24), code, tanh_c, offset, scales) == o * tanh_c


def test_scales_per_element():
    params = MacParams(2, 8, 12, 24)
    assert mac(params, [3, 1], [10, -10], 4, [[2, 1], [5, 3]]).tolist() == [70, -60]


SIZES = ("levels", "scale_width", "tanh_width", "sum_width")


@pytest.mark.parametrize("name", SIZES)
def test_bad_sizes_are_refused(name):
    sizes = dict.fromkeys(SIZES, 1) | {name: 0}
    with pytest.raises(ValueError, match=f"MacParams.{name} is 0: give at least 1"):
        MacParams(**sizes)


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
