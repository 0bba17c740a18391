import numpy as np
import pytest

from mubinn.golden.units.level_table import LevelTableParams, level_table
from mubinn.hw.units.level_table import LevelTable
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_level_table as bench


def test_every_code_gives_its_own_word():
    params = LevelTableParams(3, 8)
    words = np.array([7, 1, 255, 0, 9, 12, 100, 3])
    assert (level_table(params, np.arange(8), words) == words).all()
    got = evaluate_unit(LevelTable(params), {"code": np.arange(8), "words": np.tile(words, (8, 1))})
    assert (got["word"] == words).all()


@pytest.mark.parametrize("params", [LevelTableParams(1), LevelTableParams(5, 32)], ids=str)
def test_hardware_equals_golden(params):
    fields = bench.stimulus(params, np.random.default_rng(1), 200)
    got = evaluate_unit(LevelTable(params), fields)
    np.testing.assert_array_equal(got["word"], bench.golden(params, fields)["word"])


def test_bench_on_verilator():
    params = LevelTableParams(2, 32)
    result = check_unit(LevelTable(params), bench=bench.__name__, params=params, batch=8)
    assert result.transfers == 2000


def test_wrong_sizes():
    for levels in (0, 9):
        with pytest.raises(ValueError, match=f"LevelTableParams.levels is {levels}: give 1 to 8"):
            LevelTableParams(levels)
    for width in (0, 64):
        with pytest.raises(ValueError, match=f"LevelTableParams.width is {width}: give 1 to 63"):
            LevelTableParams(1, width)
    with pytest.raises(ValueError, match="4 words for 3 levels"):
        level_table(LevelTableParams(3), [0], [1, 2, 3, 4])
