import numpy as np
import pytest

from mubinn.hw.baseline.float_mult import FloatMult
from mubinn.sim.baseline import tb_float_mult as bench
from mubinn.sim.baseline.binary32 import CORNERS, join, split
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.testbench.compare import SimulationMismatch


def test_hardware_equals_golden():
    fields = bench.stimulus(None, np.random.default_rng(1), 3500)
    fields = {name: values[::90] for name, values in fields.items()}
    got, expected = evaluate_unit(FloatMult(), fields), bench.golden(None, fields)
    np.testing.assert_array_equal(join(got), join(expected))


def test_bench_on_verilator():
    result = check_unit(FloatMult(), bench=bench.__name__, count=10_000)
    assert result.transfers >= 10_000 > len(CORNERS) ** 2


@pytest.mark.slow
def test_bench_on_verilator_at_length():
    result = check_unit(FloatMult(), bench=bench.__name__, count=300_000, seed=7)
    assert result.transfers >= 300_000


def test_bench_finds_one_wrong_product():
    fields = bench.stimulus(None, np.random.default_rng(2), 1)
    expected = join(bench.golden(None, fields))
    expected[777] ^= 1
    with pytest.raises(SimulationMismatch, match="transfer 777, field fraction"):
        check_unit(FloatMult(), bench=bench.__name__, fields=fields, expected=split(expected))
