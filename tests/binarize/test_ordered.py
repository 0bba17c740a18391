"""Ordered thresholds: their codes, their trees, and what is no encoder."""

import numpy as np
import pytest
from ordered import QC, TC

from mubinn.golden.binarize.ordered import Ordered, full_codes
from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.units.threshold_search import encoder_search, threshold_search


def test_ternary_and_quaternary_codes():
    values = [-9, -5, -4, 3, 4, 9]
    ternary = Quantizer([4, 4], 3, 0, Ordered([-4, 4], TC))
    assert ternary.decode(ternary.encode(values, 3)).tolist() == [-8, -8, 0, 0, 8, 8]
    quaternary = Quantizer([6, 2], 3, 0, Ordered([-4, 0, 4], QC))
    assert quaternary.decode(quaternary.encode(values, 3)).tolist() == [-8, -8, -4, 4, 8, 8]
    assert ternary.encode(np.array(values) * 4, 5).tolist() == [0, 0, 1, 1, 3, 3]


def test_thresholds_stand_about_the_offset_of_each_element():
    quantizer = Quantizer([4, 4], 3, [-20, 0, 20], Ordered([-4, 4], TC))
    assert quantizer.encode([-20, -20, -20], 3).tolist() == [1, 0, 0]
    assert quantizer.encode([20, 4, 24], 3).tolist() == [3, 3, 3]
    assert quantizer.zero_code(3).tolist() == [3, 1, 0]
    assert quantizer.reach == 28
    far = Quantizer([4, 4], 3, [-20, 0, 20], Ordered([-4, 40], TC))
    assert far.reach == 60


@pytest.mark.parametrize("levels", range(1, 6))
@pytest.mark.parametrize("seed", range(8))
def test_the_search_of_the_tree_finds_the_same_codes(levels, seed):
    random = np.random.default_rng([levels, seed])
    inner = full_codes(levels)[1:-1]
    chosen = inner[random.random(len(inner)) < random.random()]
    codes = [0, *chosen, (1 << levels) - 1]
    thresholds = np.sort(random.choice(np.arange(-99, 99), len(codes) - 1, replace=False))
    scales = 1 << np.arange(levels)[::-1]
    quantizer = Quantizer(scales, 2, int(random.integers(-9, 9)), Ordered(thresholds, codes))
    values = np.arange(-500, 500)
    search = encoder_search((quantizer,), 4, 12)
    assert (threshold_search(search, values) == quantizer.encode(values, 4)).all()
    assert len(np.unique(quantizer.encode(values, 4))) == len(codes)


def test_algorithm_1_as_ordered_thresholds_is_the_same():
    chain = Quantizer([9, 4, 2], 3, 5)
    own = Quantizer.of([9 / 8, 4 / 8, 2 / 8], 5 / 8, most=3, thresholds=np.sort(chain.nodes) / 8)
    assert own.encoder.codes.tolist() == full_codes(3).tolist()
    assert own.nodes.tolist() == chain.nodes.tolist()
    values = np.arange(-99, 99)
    assert (own.encode(values, 4) == chain.encode(values, 4)).all()


@pytest.mark.parametrize(
    ("thresholds", "codes", "why"),
    [
        ([], [0], r"thresholds \[\] do not rise"),
        ([3, 3], TC, r"thresholds \[3, 3\] do not rise"),
        ([1, 3], QC, "2 thresholds need 3 codes"),
        ([1, 3], [0, 1, 4], r"codes \[0, 1, 4\] do not have 2 bits"),
        ([1, 3], [0, 1, -3], r"codes \[0, 1, -3\] do not have 2 bits"),
        ([1, 3, 5], [0, 1, 2, 3], r"codes \[0, 1, 2, 3\] do not rise"),
        ([1, 3], [0, 2, 1], "do not rise from all bits 0 to all bits 1"),
        ([1, 3], [2, 1, 3], "do not rise from all bits 0 to all bits 1"),
        ([1, 1 << 24], TC, "a threshold is 16777216 units or more"),
    ],
)
def test_faults(thresholds, codes, why):
    with pytest.raises(MubinnError, match=why):
        Quantizer([4, 4], 3, 0, Ordered(thresholds, codes))


def test_values_do_not_fall():
    with pytest.raises(MubinnError, match="stand for values that fall as thresholds rise"):
        Quantizer([2, 6], 3, 0, Ordered([-4, 0, 4], QC))
