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
