"""The decoder: what a code stands for, the inverse of the encoder, and the hardware."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mubinn.golden.units.mlb_decoder import MlbDecoderParams, mlb_decoder
from mubinn.golden.units.mlb_encoder import encode
from mubinn.hw.units.mlb_decoder import MlbDecoder
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_mlb_decoder as bench


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(-256, 255),
)
def test_value_is_the_signed_sum(levels, offset):
    code = sum(bit << k for k, (bit, _) in enumerate(levels))
    value = offset + sum(a if bit else -a for bit, a in levels)
    params = MlbDecoderParams(len(levels), 9, 8, 13)
    assert mlb_decoder(params, code, offset, [a for _, a in levels]) == value


def test_encodes_back_where_scales_fall_fast_enough():
    scales = [64, 32, 16, 8]
    codes = list(range(16))
    values = mlb_decoder(MlbDecoderParams(4, 5, 7, 9), codes, 11, scales)
    assert encode(values, 11, scales).tolist() == codes


def test_encoding_once_more_may_give_another_code():
    # Why a layer above the first takes codes, and is never given values to encode again.
    assert encode(mlb_decoder(MlbDecoderParams(3, 0, 2, 4), 1, 0, [3, 2, 2]), 0, [3, 2, 2]) != 1


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        ((0, 0, 1, 1), "levels is 0: give at least 1"),
        ((1, -1, 1, 1), "offset_width is -1: give at least 0"),
        ((1, 0, 0, 1), "scale_width is 0: give at least 1"),
        ((1, 0, 1, 0), "value_width is 0: give at least 1"),
    ],
)
def test_bad_sizes_are_refused(sizes, fault):
    with pytest.raises(ValueError, match=f"MlbDecoderParams.{fault}"):
        MlbDecoderParams(*sizes)


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
