"""The binary32 activation against the functions themselves, and its hardware."""

import numpy as np
import pytest

from mubinn.golden.baseline.binary32 import CANONICAL_NAN, INFINITY, SIGN, from_bits, to_bits
from mubinn.golden.baseline.float_activation import FloatActivationParams, float_activation
from mubinn.golden.baseline.float_add import float_add
from mubinn.golden.baseline.float_mult import float_mult
from mubinn.golden.units.activation import exact
from mubinn.hw.baseline.float_activation import FloatActivation, FloatSegment
from mubinn.sim.baseline import tb_float_activation as bench
from mubinn.sim.baseline.binary32 import join
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit


def values(params, x):
    return from_bits(float_activation(params, to_bits(x))).astype(np.float64)


@pytest.mark.parametrize(("kind", "bound"), [("sigmoid", 3.0e-4), ("tanh", 8.0e-4)])
def test_is_close_to_the_function(kind, bound):
    x = np.linspace(-20, 20, 400_001).astype(np.float32)
    error = np.abs(values(FloatActivationParams(kind), x) - exact(kind, x))
    assert bound / 2 < error.max() < bound


def test_finer_tables_are_closer():
    x = np.linspace(-20, 20, 40_001).astype(np.float32)
    errors = [
        np.abs(values(FloatActivationParams("tanh", -5, 4, bits), x) - np.tanh(x)).max()
        for bits in (2, 3, 4)
    ]
    # The error of a line falls with the square of its length.
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.3)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize(("kind", "low"), [("sigmoid", 0.0), ("tanh", -1.0)])
def test_ends(kind, low):
    params = FloatActivationParams(kind)
    bits = [INFINITY, INFINITY | SIGN, *to_bits([16.0, -16.0, 1e38, -1e38]).tolist()]
    assert from_bits(float_activation(params, bits)).tolist() == [1.0, low] * 3
    nan = [0x7F800001, 0xFFC00000]
    assert float_activation(params, nan).tolist() == [CANONICAL_NAN] * 2


def test_tanh_is_odd_and_sigmoid_is_half_at_zero():
    x = np.concatenate([np.logspace(-30, 2, 2000)]).astype(np.float32)
    params = FloatActivationParams("tanh")
    np.testing.assert_array_equal(values(params, -x), -values(params, x))
    assert values(FloatActivationParams("sigmoid"), [0.0, -0.0]).tolist() == [0.5, 0.5]


def test_segments_meet_the_borders():
    params = FloatActivationParams("tanh", -2, 2, 2)
    borders = to_bits(params.borders[1:])
    assert params.segment(borders).tolist() == list(range(1, 18))
    assert params.segment(borders - np.uint32(1)).tolist() == list(range(17))


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        (("relu",), "unknown activation 'relu'"),
        (("tanh", 3, 3), "last_exponent is 3: give 4 to 10"),
        (("tanh", 3, 11), "last_exponent is 11: give 4 to 10"),
        (("tanh", -21), "first_exponent is -21: give -20 to 9"),
        (("tanh", -3, 4, 9), "octave_bits is 9: give 0 to 8"),
    ],
)
def test_bad_sizes_are_refused(sizes, fault):
    with pytest.raises(ValueError, match=fault):
        FloatActivationParams(*sizes)


def test_hardware_equals_golden():
    params = FloatActivationParams("tanh", -2, 2, 1)
    fields = bench.stimulus(params, np.random.default_rng(1), 150)
    fields = {name: values[::2] for name, values in fields.items()}
    got = evaluate_unit(FloatActivation(params), fields)
    np.testing.assert_array_equal(join(got), join(bench.golden(params, fields)))


def test_a_segment_makes_the_function_elsewhere():
    params = FloatActivationParams("sigmoid", -2, 2, 1)
    fields = bench.stimulus(params, np.random.default_rng(2), 150)
    fields = {name: values[::2] for name, values in fields.items()}
    got = evaluate_unit(FloatSegment(params), fields)
    slope, factor, base = (got[name].astype(np.uint32) for name in ("slope", "factor", "base"))
    want = join(bench.golden(params, fields))
    np.testing.assert_array_equal(float_add(float_mult(slope, factor), base), want)


def test_bench_on_verilator():
    params = FloatActivationParams("sigmoid")
    result = check_unit(FloatActivation(params), bench=bench.__name__, params=params, count=5_000)
    assert result.transfers >= 4_999


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_bench_on_verilator_at_length(kind):
    params = FloatActivationParams(kind)
    result = check_unit(FloatActivation(params), bench=bench.__name__, params=params, count=150_000)
    assert result.transfers >= 149_999
