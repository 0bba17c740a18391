"""Tables of codes: their words by index, and their hardware."""

import numpy as np
import pytest
from simulators import QUICK

from mubinn.golden.units.code_table import CodeTableParams, code_table
from mubinn.hw.units.code_table import CodeTable
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_code_table as bench


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


RANDOM = np.random.default_rng(0)
TABLES = {
    "signed": tuple(RANDOM.integers(-300, 300, 64).tolist()),
    "unsigned": tuple(RANDOM.integers(0, 5, 32).tolist()),
    "one bit": (0, 1, 1, 0),
    "constant": (3, 3, 3, 3),
    "negative": (-4, -3),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_word_of_a_table(name):
    params = CodeTableParams(TABLES[name])
    index = np.arange(len(params.words))
    got = evaluate_unit(CodeTable(params), {"index": index})
    assert got["word"].tolist() == list(params.words)


def test_bench():
    params = CodeTableParams(TABLES["signed"])
    result = check_unit(
        CodeTable(params), bench=bench.__name__, params=params, count=300, simulator=QUICK
    )
    assert result.transfers == 300
