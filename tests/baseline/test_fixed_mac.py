import numpy as np
import pytest

from mubinn.golden.baseline.fixed_mac import FixedMacParams
from mubinn.hw.baseline.fixed_mac import FixedMac
from mubinn.sim.baseline import tb_fixed_mac as bench
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.testbench.payload import bits_to_ints


def as_integers(values, width):
    """Fields of more than 63 bits come back as bits."""
    if values.ndim == 1:
        return values.tolist()
    return [v - (v >> (width - 1) << width) for v in bits_to_ints(values)]


@pytest.mark.parametrize("sizes", [(32, 24, 8), (8, 4, 0), (7, 0, 3), (2, 1, 1), (12, 12, 5)])
def test_hardware_equals_golden(sizes):
    params = FixedMacParams(*sizes)
    fields = bench.stimulus(params, np.random.default_rng(1), 2100)
    fields = {name: values[::21] for name, values in fields.items()}
    got = evaluate_unit(FixedMac(params), fields)["acc"]
    assert as_integers(got, params.sum_width) == bench.golden(params, fields)["acc"].tolist()


def test_bench_on_verilator():
    params = FixedMacParams()
    result = check_unit(FixedMac(params), bench=bench.__name__, params=params, count=10_000)
    assert result.transfers == 10_000


@pytest.mark.campaign
def test_bench_on_verilator_at_length():
    params = FixedMacParams()
    result = check_unit(FixedMac(params), bench=bench.__name__, params=params, count=200_000)
    assert result.transfers == 200_000
