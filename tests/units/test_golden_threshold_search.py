import numpy as np
import pytest

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.units.threshold_search import (
    ThresholdSearchParams,
    encoder_nodes,
    threshold_search,
)

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
