import shutil

import numpy as np
import pytest

from mubinn.golden.units.code_table import CodeTableParams
from mubinn.hw.units.code_table import CodeTable
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_code_table as bench

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


@pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus Verilog is not installed")
def test_bench():
    params = CodeTableParams(TABLES["signed"])
    result = check_unit(
        CodeTable(params), bench=bench.__name__, params=params, count=300, simulator="icarus"
    )
    assert result.transfers == 300
