"""Eq. (5) from level pairs against the product of the values in exact fractions; its hardware."""

from fractions import Fraction

import numpy as np
import pytest

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.figure3 import with_offset
from mubinn.golden.units.pointwise import PointwiseParams, extended_signs, pointwise
from mubinn.hw.units.pointwise import Pointwise
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_pointwise as bench


def value(quantizer, code):
    total = Fraction(int(quantizer.offset))
    for level, scale in enumerate(quantizer.scales):
        total += int(scale) if code >> level & 1 else -int(scale)
    return total / 2**quantizer.fraction


@pytest.mark.parametrize("offsets", [(0, 0, 0, 0), (128, 0, 128, 0), (100, -7, 90, 11)])
@pytest.mark.parametrize("levels", [(1, 1, 1, 1), (3, 3, 3, 3), (2, 5, 4, 1)])
def test_is_the_sum_of_two_products(levels, offsets):
    rng = np.random.default_rng(sum(levels))
    fractions = (8, 6, 8, 7)
    f, c, i, g = (
        Quantizer(rng.integers(0, 99, n), fraction, offset)
        for n, fraction, offset in zip(levels, fractions, offsets, strict=True)
    )
    params = PointwiseParams(*levels, *(o != 0 for o in offsets), 32, 40)
    fraction = 15
    gamma_ab = np.outer(with_offset(f), with_offset(c)) << (fraction - 14)
    gamma_cd = np.outer(with_offset(i), with_offset(g))
    assert gamma_ab.shape == params.ab_shape
    assert gamma_cd.shape == params.cd_shape
    codes = [rng.integers(0, 2**n, 40) for n in levels]
    result = pointwise(params, *codes, gamma_ab, gamma_cd)
    for index, quad in enumerate(zip(*codes, strict=True)):
        factors = [value(q, int(code)) for q, code in zip((f, c, i, g), quad, strict=True)]
        exact = factors[0] * factors[1] + factors[2] * factors[3]
        assert Fraction(int(result[index]), 2**fraction) == exact


def test_offset_stands_first():
    assert extended_signs([2], 2, True).tolist() == [[1, -1, 1]]
    assert extended_signs([2], 2, False).tolist() == [[-1, 1]]


SIZES = ("a_levels", "b_levels", "c_levels", "d_levels", "gamma_width", "sum_width")


@pytest.mark.parametrize("name", SIZES)
def test_bad_sizes_are_refused(name):
    offsets = dict.fromkeys(("a_offset", "b_offset", "c_offset", "d_offset"), False)
    sizes = dict.fromkeys(SIZES, 1) | {name: 0}
    with pytest.raises(ValueError, match=f"PointwiseParams.{name} is 0: give at least 1"):
        PointwiseParams(**sizes, **offsets)


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
