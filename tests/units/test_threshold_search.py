import numpy as np
import pytest

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.units.threshold_search import ThresholdSearchParams, encoder_nodes
from mubinn.hw.units.threshold_search import ThresholdSearch
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_threshold_search as bench


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
