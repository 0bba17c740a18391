"""Eq. (5) from level pairs against the product of the values themselves, in exact fractions."""

from fractions import Fraction

import numpy as np
import pytest

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.recurrent_layer import with_offset
from mubinn.golden.units.pointwise import PointwiseParams, extended_signs, pointwise


def value(quantizer, code):
    total = Fraction(int(quantizer.offset))
    for level, scale in enumerate(quantizer.scales):
        total += int(scale) if code >> level & 1 else -int(scale)
    return total / 2**quantizer.fraction


@pytest.mark.parametrize("offsets", [(0, 0, 0, 0), (128, 0, 128, 0), (100, -7, 90, 11)])
@pytest.mark.parametrize("levels", [(1, 1, 1, 1), (3, 3, 3, 3), (2, 5, 4, 1)])
def test_is_fc_plus_ig(levels, offsets):
    rng = np.random.default_rng(sum(levels))
    fractions = (8, 6, 8, 7)
    f, c, i, g = (
        Quantizer(rng.integers(0, 99, n), fraction, offset)
        for n, fraction, offset in zip(levels, fractions, offsets, strict=True)
    )
    params = PointwiseParams(*levels, *(o != 0 for o in offsets), 32, 40)
    fraction = 15
    gamma_fc = np.outer(with_offset(f), with_offset(c)) << (fraction - 14)
    gamma_ig = np.outer(with_offset(i), with_offset(g))
    assert gamma_fc.shape == params.fc_shape
    assert gamma_ig.shape == params.ig_shape
    codes = [rng.integers(0, 2**n, 40) for n in levels]
    result = pointwise(params, *codes, gamma_fc, gamma_ig)
    for index, quad in enumerate(zip(*codes, strict=True)):
        factors = [value(q, int(code)) for q, code in zip((f, c, i, g), quad, strict=True)]
        exact = factors[0] * factors[1] + factors[2] * factors[3]
        assert Fraction(int(result[index]), 2**fraction) == exact


def test_offset_stands_first():
    assert extended_signs([2], 2, True).tolist() == [[1, -1, 1]]
    assert extended_signs([2], 2, False).tolist() == [[-1, 1]]


SIZES = ("f_levels", "c_levels", "i_levels", "g_levels", "gamma_width", "sum_width")


@pytest.mark.parametrize("name", SIZES)
def test_bad_sizes_are_refused(name):
    offsets = dict.fromkeys(("f_offset", "c_offset", "i_offset", "g_offset"), False)
    sizes = dict.fromkeys(SIZES, 1) | {name: 0}
    with pytest.raises(ValueError, match=f"PointwiseParams.{name} is 0: give at least 1"):
        PointwiseParams(**sizes, **offsets)
