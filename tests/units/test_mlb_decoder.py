import numpy as np
import pytest

from mubinn.golden.units.mlb_decoder import MlbDecoderParams
from mubinn.hw.units.mlb_decoder import MlbDecoder
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_mlb_decoder as bench

# levels, offset width, scale width, value width: wide enough for every content.
CASES = [
    MlbDecoderParams(*sizes)
    for sizes in ((1, 0, 1, 2), (1, 4, 3, 6), (2, 0, 8, 10), (3, 9, 8, 12), (5, 12, 10, 15))
]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_hardware_equals_golden(params):
    fields = bench.stimulus(params, np.random.default_rng(1), 400)
    expected = bench.golden(params, fields)
    got = evaluate_unit(MlbDecoder(params), fields)
    np.testing.assert_array_equal(got["value"], expected["value"])


def test_bench_on_verilator():
    params = MlbDecoderParams(3, 9, 8, 12)
    result = check_unit(MlbDecoder(params), bench=bench.__name__, params=params, count=4000)
    assert result.transfers == 4000
