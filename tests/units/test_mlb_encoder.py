import numpy as np
import pytest

from mubinn.golden.units.mlb_encoder import MlbEncoderParams
from mubinn.hw.units.mlb_encoder import MlbEncoder
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_mlb_encoder as bench

CASES = [
    *(
        MlbEncoderParams(*s)
        for s in (
            (1, 1, 0, 1),
            (1, 12, 0, 8),
            (2, 8, 5, 4),
            (3, 12, 11, 10),
            (5, 12, 12, 10),
            (3, 4, 9, 3),
            (4, 26, 0, 24),
        )
    ),
]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_hardware_equals_golden(params):
    fields = bench.stimulus(params, np.random.default_rng(1), 150)
    expected = bench.golden(params, fields)
    got = evaluate_unit(MlbEncoder(params), fields)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, name)


def test_bench_on_verilator():
    params = MlbEncoderParams(3, 12, 11, 10)
    result = check_unit(
        MlbEncoder(params), bench=bench.__name__, params=params, count=4000, batch=8
    )
    assert result.transfers == 4000
