"""The nodes of encoders, and the search among them in hardware."""

import numpy as np
import pytest

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.units.threshold_search import (
    ThresholdSearchParams,
    encoder_nodes,
    threshold_search,
)
from mubinn.hw.units.threshold_search import ThresholdSearch
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_threshold_search as bench

SCALES = [[9], [40, 20, 10], [3, 30, 7], [0, 5], [1, 1, 1, 1], [2, 9, 40, 100, 3]]


@pytest.mark.parametrize("scales", SCALES, ids=str)
@pytest.mark.parametrize("offset", [0, -13])
def test_the_nodes_of_an_encoder_give_its_codes(scales, offset):
    quantizer = Quantizer(scales, 4, offset)
    params = ThresholdSearchParams(12, (tuple(encoder_nodes(quantizer)),))
    assert params.levels == len(scales)
    assert params.select_width == 0
    value = np.arange(-300, 300)
    assert (threshold_search(params, value) == quantizer.encode(value, 4)).all()


def test_each_value_has_a_tree_of_its_own():
    params = ThresholdSearchParams(6, ((0, -5, 5), (9, -31, 10), (1, 1, 1)))
    assert params.select_width == 2
    assert params.node_width == 6
    value = np.array([[-6, -5, 0, 5], [-6, 8, 9, 10], [0, 1, 2, -9]])
    code = threshold_search(params, value, np.arange(3)[:, None])
    assert code.tolist() == [[0, 2, 1, 3], [2, 2, 1, 3], [0, 3, 3, 0]]


def test_another_offset():
    assert encoder_nodes(Quantizer([4, 2], 3, [1, 9])) == [1, -3, 5]
    assert encoder_nodes(Quantizer([4, 2], 3, [1, 9]), 9) == [9, 5, 13]


@pytest.mark.parametrize("trees", [((1, 2),), ((0,), (1, 2, 3)), ((),)])
def test_bad_trees(trees):
    with pytest.raises(ValueError, match="full trees"):
        ThresholdSearchParams(4, trees)
    with pytest.raises(ValueError, match="holds nothing"):
        ThresholdSearchParams(0, ((0,),))


def trees(seed, count, levels, top):
    """Trees of encoders, the scales of which rise and fall."""
    random = np.random.default_rng(seed)
    quantizers = [Quantizer(random.integers(0, top, levels), 0, 0) for _ in range(count)]
    return tuple(tuple(encoder_nodes(q, int(random.integers(-9, 9)))) for q in quantizers)


CASES = {
    "a sign": ThresholdSearchParams(5, ((0,),)),
    "a sign of each": ThresholdSearchParams(6, ((0,), (0,), (3,), (-32,))),
    "always and never": ThresholdSearchParams(4, ((-8,), (8,), (-300,), (300,))),
    "one tree": ThresholdSearchParams(9, trees(1, 1, 3, 90)),
    "four trees": ThresholdSearchParams(11, trees(2, 4, 3, 400)),
    "three trees": ThresholdSearchParams(8, trees(3, 3, 2, 100)),
    "five levels": ThresholdSearchParams(10, trees(4, 2, 5, 120)),
    "one bit": ThresholdSearchParams(1, ((0,), (-1,), (1,))),
}


@pytest.mark.parametrize("name", CASES)
def test_hardware_equals_golden(name):
    params = CASES[name]
    fields = bench.stimulus(params, np.random.default_rng(5), 300)
    got = evaluate_unit(ThresholdSearch(params), fields)
    np.testing.assert_array_equal(got["code"], bench.golden(params, fields)["code"])


def test_bench_on_verilator():
    params = CASES["four trees"]
    result = check_unit(ThresholdSearch(params), bench=bench.__name__, params=params, batch=8)
    assert result.transfers == 2000
