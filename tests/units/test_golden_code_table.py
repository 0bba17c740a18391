import numpy as np
import pytest

from mubinn.golden.units.code_table import CodeTableParams, code_table


def test_words_by_index():
    params = CodeTableParams((7, 0, 5, 2))
    assert (params.index_width, params.signed, params.width) == (2, False, 3)
    assert code_table(params, [[3, 0], [1, 2]]).tolist() == [[2, 7], [0, 5]]


@pytest.mark.parametrize(
    ("words", "width"), [((-1, 0), 1), ((-8, 7), 4), ((-9, 0), 5), ((-4, -3), 3), ((-1, 8), 5)]
)
def test_a_signed_word_has_as_many_bits_as_it_needs(words, width):
    params = CodeTableParams(words)
    assert params.signed
    assert params.width == width


def test_one_word():
    params = CodeTableParams((6,))
    assert params.index_width == 0
    assert int(code_table(params, np.int64(0))) == 6


def test_a_count_that_is_no_power_of_two():
    with pytest.raises(ValueError, match="3 words"):
        CodeTableParams((1, 2, 3))
