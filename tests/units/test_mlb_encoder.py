"""The integer encoder against a scalar Algorithm 1, its residual width, and the hardware."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mubinn.golden.units.mlb_encoder import MlbEncoderParams, mlb_encoder
from mubinn.hw.units.mlb_encoder import MlbEncoder
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_mlb_encoder as bench


def residuals(value, offset, scales):
    """The residuals r_0..r_N of the paper's listing, in unbounded integers."""
    found = [value - offset]
    for scale in scales:
        found.append(found[-1] - (scale if found[-1] >= 0 else -scale))
    return found


@st.composite
def cases(draw):
    levels, value_width = draw(st.integers(1, 8)), draw(st.integers(1, 20))
    offset_width, scale_width = draw(st.integers(0, 12)), draw(st.integers(1, 16))
    edge = st.sampled_from

    def signed(width):
        low, high = -(2 ** (width - 1)), 2 ** (width - 1) - 1
        return draw(st.one_of(edge([low, high]), st.integers(low, high)))

    scale = st.one_of(edge([0, 2**scale_width - 1]), st.integers(0, 2**scale_width - 1))
    params = MlbEncoderParams(levels, value_width, offset_width, scale_width)
    offset = signed(offset_width) if offset_width else 0
    return params, signed(value_width), offset, [draw(scale) for _ in range(levels)]


@given(cases())
def test_code_is_that_of_algorithm_1(case):
    params, value, offset, scales = case
    steps = residuals(value, offset, scales)
    code = sum((r >= 0) << level for level, r in enumerate(steps[:-1]))
    assert mlb_encoder(params, value, offset, scales) == code
    limit = 2 ** (params.residual_width - 1)
    assert all(-limit <= r < limit for r in steps)


def test_scales_per_element():
    params = MlbEncoderParams(2, 8, 4, 6)
    assert mlb_encoder(params, [5, -5], [1, -1], [[2, 1], [9, 1]]).tolist() == [3, 2]


def test_other_count_of_scales_is_refused():
    with pytest.raises(ValueError, match="3 scales for 2 levels"):
        mlb_encoder(MlbEncoderParams(2, 8, 0, 6), 0, 0, [1, 2, 3])


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        ((0, 1, 0, 1), "levels is 0: give at least 1"),
        ((1, 0, 0, 1), "value_width is 0: give at least 1"),
        ((1, 1, -1, 1), "offset_width is -1: give at least 0"),
        ((1, 1, 0, 0), "scale_width is 0: give at least 1"),
    ],
)
def test_bad_sizes_are_refused(sizes, fault):
    with pytest.raises(ValueError, match=f"MlbEncoderParams.{fault}"):
        MlbEncoderParams(*sizes)


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
