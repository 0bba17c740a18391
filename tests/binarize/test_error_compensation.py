"""Bits chosen for the sum, not for each weight."""

import itertools

import numpy as np
import pytest

from mubinn.golden.binarize.error_compensation import compensated_bits
from mubinn.golden.binarize.mlb import mlb, mlb_value


def correlated(rng, samples, size):
    return rng.normal(size=(samples, size)) @ rng.normal(size=(size, size)) + rng.normal(size=size)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_sums_come_closer_than_with_every_weight_for_itself(levels):
    rng = np.random.default_rng(levels)
    inputs = correlated(rng, 4000, 24)
    rows = rng.normal(size=(40, 24))
    scales = np.broadcast_to(np.array([0.8, 0.4, 0.2])[:levels, None, None], (levels, *rows.shape))
    bits = compensated_bits(rows, scales, inputs.T @ inputs / len(inputs))
    assert bits.shape == (levels, 40, 24)

    def error(own):
        return np.square(inputs @ (rows - mlb_value(own, scales)).T).mean()

    assert error(bits) < 0.9 * error(mlb(rows, scales))


def test_independent_inputs_of_equal_power_leave_rounding_as_it_is():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(10, 8))
    scales = np.full((2, 10, 8), 0.5)
    assert (compensated_bits(rows, scales, np.eye(8)) == mlb(rows, scales)).all()


def test_the_last_of_two_columns_takes_the_best_bit_for_the_first():
    # Two inputs that are nearly the same: the second weight makes good what the first lacks.
    moments = np.array([[1.0, 0.99], [0.99, 1.0]])
    rows, scales = np.array([[0.1, 0.1]]), np.ones((1, 1, 2))
    bits = compensated_bits(rows, scales, moments)
    signs = 2.0 * bits[:, 0].T.ravel() - 1

    def cost(values):
        error = rows[0] - np.array(values)
        return error @ moments @ error

    best = min(cost(values) for values in itertools.product((-1.0, 1.0), repeat=2))
    assert cost(signs) == best
    assert cost(2.0 * mlb(rows, scales)[0, 0] - 1) > best
