import numpy as np
import pytest

from mubinn.golden.cells import shorten as module
from mubinn.golden.cells.shorten import shorten


def reached(left, right, thresholds):
    return np.add.outer(left, right)[..., None] >= thresholds


@pytest.mark.parametrize("seed", range(40))
def test_every_comparison_comes_out_alike(seed):
    rng = np.random.default_rng(seed)
    left, right = (rng.integers(-(1 << 15), 1 << 15, rng.choice([1, 2, 8, 64])) for _ in range(2))
    thresholds = rng.integers(-(1 << 17), 1 << 17, rng.choice([1, 3, 7]))
    short = shorten(left, right, thresholds)
    assert [part.shape for part in short] == [left.shape, right.shape, thresholds.shape]
    assert short[2][0] == 0
    assert (reached(*short) == reached(left, right, thresholds)).all()


def test_numbers_become_shorter():
    rng = np.random.default_rng(1)
    left, right = rng.integers(-50_000, 50_000, (2, 64))
    thresholds = np.array([0, -34_000, 34_000])
    short = shorten(left, right, thresholds)
    assert np.ptp(short[0]) < np.ptp(left) // 16


def test_thresholds_next_to_a_sum():
    left, right = np.array([-700, 300, 41]), np.array([1000, -20])
    sums = np.unique(np.add.outer(left, right))
    thresholds = np.concatenate([sums, sums + 1])
    short = shorten(left, right, thresholds)
    assert (reached(*short) == reached(left, right, thresholds)).all()


def test_too_many_comparisons_leave_the_numbers_as_they_are(monkeypatch):
    monkeypatch.setattr(module, "MAX_COMPARISONS", 1)
    left, right, thresholds = np.array([5000, 9000]), np.array([0, 100]), np.array([50, 8000])
    short = shorten(left, right, thresholds)
    assert [part.tolist() for part in short] == [[4950, 8950], [0, 100], [0, 7950]]
