"""Bias add in unbounded integers, wrapped by hand, and its hardware."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mubinn.golden.units.bias_add import BiasAddParams, bias_add
from mubinn.hw.units.bias_add import BiasAdd
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_bias_add as bench

products = st.integers(-(2**15), 2**15 - 1)


@given(
    st.integers(4, 20).flatmap(
        lambda w: st.tuples(st.just(w), st.integers(-(2 ** (w - 1)), 2 ** (w - 1) - 1))
    ),
    st.booleans(),
    products,
    products,
    st.lists(st.tuples(st.booleans(), st.integers(0, 1000)), min_size=1, max_size=6),
)
def test_sum_wraps_like_a_register(width_acc, first, product_x, product_h, levels):
    width, acc = width_acc
    code = sum(bit << k for k, (bit, _) in enumerate(levels))
    params = BiasAddParams(len(levels), 16, 10, width)
    start = sum(a if bit else -a for bit, a in levels) if first else acc
    total = (start + product_x + product_h) % 2**width
    expected = total - 2**width if total >= 2 ** (width - 1) else total
    scales = [a for _, a in levels]
    assert bias_add(params, acc, first, product_x, product_h, code, scales) == expected


def test_wrapping_in_between_leaves_a_fitting_sum_right():
    params = BiasAddParams(1, 8, 8, 8)
    acc = 0
    terms = [(100, 60), (-90, -50), (70, 0)]
    for index, (x, h) in enumerate(terms):
        acc = bias_add(params, acc, index == 0, x, h, 0, [20])
    assert acc == sum(map(sum, terms)) - 20


SIZES = ("levels", "product_width", "scale_width", "sum_width")


@pytest.mark.parametrize("name", SIZES)
def test_bad_sizes_are_refused(name):
    sizes = dict.fromkeys(SIZES, 1) | {name: 0}
    with pytest.raises(ValueError, match=f"BiasAddParams.{name} is 0: give at least 1"):
        BiasAddParams(**sizes)


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
