"""Algorithm 1 in real numbers against a scalar transcription of the paper's listing."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mubinn.golden.binarize.mlb import fit_scales, mlb, mlb_value


def sign(r):
    return 1 if r >= 0 else -1


def algorithm_1(x, alphas):
    r, levels = x, []
    for alpha in alphas:
        levels.append(max(sign(r), 0))
        r = r - sign(r) * alpha
    return levels


numbers = st.floats(-8, 8)


@given(numbers, st.lists(st.floats(0, 4), min_size=1, max_size=6), numbers)
def test_bits_are_those_of_the_listing(x, scales, offset):
    bits = mlb(x, scales, offset)
    assert bits.tolist() == algorithm_1(x - offset, scales)
    value = offset + sum(a * (1 if b else -1) for a, b in zip(scales, bits, strict=True))
    assert mlb_value(bits, scales, offset) == pytest.approx(value, abs=1e-12)


def test_zero_is_positive():
    assert mlb([0.0, -0.0], [1.0]).tolist() == [[1, 1]]
    assert mlb(2.0, [1.0], 2.0).tolist() == [1]


def test_arrays_and_scales_per_row():
    x = np.random.default_rng(0).normal(size=(3, 7))
    scales = np.array([[[0.9], [0.5], [0.1]], [[0.4], [0.2], [0.05]]])
    bits = mlb(x, scales)
    assert bits.shape == (2, 3, 7)
    assert bits.dtype == np.uint8
    for row in range(3):
        for column in range(7):
            expected = algorithm_1(x[row, column], scales[:, row, 0])
            assert bits[:, row, column].tolist() == expected


def squared_error(x, scales):
    return float(np.square(x - mlb_value(mlb(x, scales), scales)).mean())


def test_one_level_fits_the_mean_magnitude():
    x = np.random.default_rng(1).normal(size=1000)
    assert fit_scales(x, 1) == pytest.approx([np.abs(x).mean()])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("levels", [1, 2, 3, 5])
def test_fit_is_descending_and_no_worse_than_greedy_or_scaled(seed, levels):
    rng = np.random.default_rng(seed)
    x = rng.laplace(size=3000) * rng.uniform(0.01, 10)
    scales = fit_scales(x, levels)
    assert len(scales) == levels
    assert (scales >= 0).all()
    assert (np.diff(scales) <= 0).all()
    error = squared_error(x, scales)
    assert error <= squared_error(x, fit_scales(x, levels, rounds=0))
    for factor in (0.5, 0.8, 1.25, 2.0):
        assert error < 1.02 * squared_error(x, factor * scales)


def test_fit_reaches_the_known_optimum():
    # Uniform values: halving scales are the uniform quantizer, error 4**-N of the variance.
    x = np.linspace(-1, 1, 20001)
    for levels in range(1, 6):
        scales = fit_scales(x, levels)
        assert scales == pytest.approx(2.0 ** -np.arange(1, levels + 1), rel=1e-3)
        assert squared_error(x, scales) == pytest.approx(4.0**-levels / 3, rel=1e-3)


@pytest.mark.parametrize(
    ("levels", "error"), [(1, 0.36338), (2, 0.11885), (3, 0.0377), (4, 0.0118), (5, 0.0036)]
)
def test_fit_of_normal_values(levels, error):
    # One and two levels: within 1 % of Lloyd and Max (0.3634, 0.1175 of the variance).
    x = np.random.default_rng(0).normal(size=20000)
    assert squared_error(x, fit_scales(x, levels)) < 1.01 * error


def test_more_levels_fit_better():
    x = np.random.default_rng(2).normal(size=4000)
    errors = [squared_error(x, fit_scales(x, levels)) for levels in range(1, 6)]
    assert all(after < 0.5 * before for before, after in itertools.pairwise(errors))


def test_constant_and_zero_samples_fit():
    assert fit_scales(np.full(9, -0.25), 3).tolist() == [0.25, 0.0, 0.0]
    assert fit_scales(np.zeros(9), 2).tolist() == [0.0, 0.0]
