"""Sigmoid and tanh tables, every input of several formats, and their hardware."""

import math
from fractions import Fraction

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.units.activation import ActivationParams, activation, exact
from mubinn.hw.units.activation import Activation
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_activation as bench

FORMATS = [
    (12, 8, 10, 7),
    (12, 8, 10, 4),
    (10, 6, 8, 5),
    (8, 5, 12, 8),
    (14, 10, 9, 9),
    (6, 2, 4, 1),
]


def truth(kind, z):
    return math.tanh(z) if kind == "tanh" else 1 / (1 + math.exp(-z))


def inputs(params):
    return np.arange(-(1 << (params.in_width - 1)), 1 << (params.in_width - 1))


@pytest.fixture(params=[(kind, *f) for kind in ("sigmoid", "tanh") for f in FORMATS], ids=str)
def params(request):
    return ActivationParams(*request.param)


def test_error_stays_within_its_bound(params):
    z = inputs(params)
    real = np.array([truth(params.kind, float(v) / 2**params.in_fraction) for v in z])
    error = np.abs(activation(params, z) / 2**params.out_fraction - real).max()
    assert error <= params.error_bound
    # Segments too wide for the second-order bound to be near show nothing about it.
    assert error > 0.3 * params.error_bound or params.segment_bits == 1


def test_value_is_the_line_between_two_nodes(params):
    half, step = 1 << (params.segment_bits - 1), 1 << params.step_bits
    for z in inputs(params)[:: 1 << max(0, params.in_width - 9)]:
        k, rest = divmod(int(z), step)
        left, right = (
            math.floor(
                Fraction(truth(params.kind, n * step / 2**params.in_fraction))
                * 2**params.out_fraction
                + Fraction(1, 2)
            )
            for n in (k, k + 1)
        )
        line = left + math.floor(Fraction(rest * (right - left), step) + Fraction(1, 2))
        assert activation(params, z) == line
        assert params.nodes[k + half] == left


def test_never_decreases_and_stays_in_range(params):
    y = activation(params, inputs(params))
    assert (np.diff(y) >= 0).all()
    one = 1 << params.out_fraction
    assert -one * (params.kind == "tanh") <= y.min() <= y.max() <= one
    assert params.out_width == params.out_fraction + 2
    assert one < 1 << (params.out_width - 1)


def test_a_wrong_node_leaves_the_bound():
    params = ActivationParams("sigmoid")
    nodes = params.nodes.copy()
    nodes[len(nodes) // 2] += 2
    params.__dict__["nodes"] = nodes
    real = exact("sigmoid", inputs(params) / 2**params.in_fraction)
    error = np.abs(activation(params, inputs(params)) / 2**params.out_fraction - real).max()
    assert error > params.error_bound


def test_exact_functions_do_not_overflow():
    z = np.array([-1e6, -800.0, 0.0, 800.0, 1e6])
    assert exact("sigmoid", z).tolist() == [0, 0, 0.5, 1, 1]
    assert exact("tanh", z).tolist() == [-1, -1, 0, 1, 1]
    small = np.linspace(-20, 20, 101)
    assert exact("sigmoid", small) == pytest.approx(1 / (1 + np.exp(-small)), abs=1e-15)


@pytest.mark.parametrize(
    ("name", "size", "wanted"),
    [
        ("segment_bits", 0, "1 to 12"),
        ("segment_bits", 13, "1 to 12"),
        ("out_fraction", 0, "at least 1"),
    ],
)
def test_bad_formats_are_refused(name, size, wanted):
    with pytest.raises(ValueError, match=f"ActivationParams.{name} is {size}: give {wanted}"):
        ActivationParams("tanh", **{name: size})


def test_unknown_kind_is_refused():
    with pytest.raises(MubinnError, match="unknown activation"):
        ActivationParams("relu")


CASES = [
    ActivationParams("sigmoid"),
    ActivationParams("tanh"),
    ActivationParams("tanh", 8, 4, 6, 8),
    ActivationParams("sigmoid", 6, 3, 4, 1),
    ActivationParams("sigmoid", 10, 6, 12, 5),
]


@pytest.mark.parametrize("params", CASES, ids=str)
def test_hardware_equals_golden(params):
    fields = bench.stimulus(params, np.random.default_rng(1), 500)
    expected = bench.golden(params, fields)
    got = evaluate_unit(Activation(params), fields)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, name)


def test_bench_on_verilator():
    params = ActivationParams("tanh")
    result = check_unit(
        Activation(params), bench=bench.__name__, params=params, count=4096, batch=8
    )
    assert result.transfers == 4096
