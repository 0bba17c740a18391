"""The fixed-point MAC in plain integers, and its hardware."""

import numpy as np
import pytest

from mubinn.golden.baseline.fixed_mac import FixedMacParams, fixed_mac
from mubinn.hw.baseline.fixed_mac import FixedMac
from mubinn.sim.baseline import tb_fixed_mac as bench
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.testbench.payload import bits_to_ints


def test_is_the_exact_sum_of_products():
    params = FixedMacParams()
    least = -(1 << 31)
    acc = 0
    for _ in range(256):
        acc = fixed_mac(params, least, least, acc).item()
    assert acc == 256 << 62
    assert params.sum_width == 72
    assert params.sum_fraction == 48


def test_wraps_at_the_width():
    params = FixedMacParams(4, 0, 0)
    assert fixed_mac(params, [7, -8, 1], [1, 1, -1], [127, -128, 5]).tolist() == [-122, 120, 4]


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        ((1, 0, 0), "width is 1: give at least 2"),
        ((8, -1, 0), "fraction is -1: give 0 to 8"),
        ((8, 9, 0), "fraction is 9: give 0 to 8"),
        ((8, 4, -1), "guard is -1: give at least 0"),
    ],
)
def test_bad_sizes_are_refused(sizes, fault):
    with pytest.raises(ValueError, match=f"FixedMacParams.{fault}"):
        FixedMacParams(*sizes)


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


@pytest.mark.slow
def test_bench_on_verilator_at_length():
    params = FixedMacParams()
    result = check_unit(FixedMac(params), bench=bench.__name__, params=params, count=200_000)
    assert result.transfers == 200_000
