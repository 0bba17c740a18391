"""The fixed-point MAC in plain integers."""

import pytest

from mubinn.golden.baseline.fixed_mac import FixedMacParams, fixed_mac


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


@pytest.mark.parametrize("sizes", [(1, 0, 0), (8, -1, 0), (8, 9, 0), (8, 4, -1)])
def test_bad_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="bad sizes"):
        FixedMacParams(*sizes)
