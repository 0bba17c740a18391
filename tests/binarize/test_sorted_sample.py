"""Sums over a sorted sample against Algorithm 1 on the sample itself."""

import numpy as np
import pytest

from mubinn.golden.binarize.mlb import mlb, mlb_value
from mubinn.golden.binarize.sorted_sample import SortedSample


@pytest.mark.parametrize("scales", [[0.7], [0.9, 0.4, 0.1], [0.5, 0.5, 0.5], [0.2, 0.0, 0.0]])
def test_error_is_that_of_the_encoded_sample(scales):
    # Quarters and tenths meet thresholds exactly, and so does 0.
    x = np.concatenate([np.random.default_rng(0).laplace(size=500), [0.0, 0.7, -0.7, 0.25]])
    error = np.square(x - mlb_value(mlb(x, scales), scales)).mean()
    assert SortedSample.of(x).error(scales) == pytest.approx(error, rel=1e-12)


def test_refitted_scales_are_least_squares_for_their_codes():
    x = np.random.default_rng(1).normal(size=400)
    scales = np.array([1.0, 0.4, 0.3])
    signs = 2.0 * mlb(x, scales) - 1
    expected = np.linalg.lstsq(signs.T, x, rcond=None)[0]
    assert SortedSample.of(x).refitted(scales[None])[0] == pytest.approx(expected)


def test_next_scale_is_the_mean_magnitude_of_what_is_left():
    x = np.random.default_rng(2).normal(size=400)
    scales = np.array([0.8, 0.3])
    rest = x - mlb_value(mlb(x, scales), scales)
    assert SortedSample.of(x).next_scale(scales) == pytest.approx(np.abs(rest).mean())
    assert SortedSample.of(x).next_scale(np.zeros(0)) == pytest.approx(np.abs(x).mean())
