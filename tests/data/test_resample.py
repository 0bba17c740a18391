"""Resampling: what lies in the pass band stays, what would alias goes, nothing is delayed."""

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.resample import resample


def tone(hertz, rate, seconds=20):
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


def middle(x):
    return x[len(x) // 4 : -len(x) // 4]


@pytest.mark.parametrize(
    ("old", "new"), [(160, 80), (256, 100), (250, 128), (100, 256), (160, 160), (127.5, 85)]
)
def test_tones_pass_or_vanish(old, new):
    low = 0.35 * min(old, new)
    got = resample(tone(low, old), float(old), float(new))
    assert len(got) == round(20 * new)
    np.testing.assert_allclose(middle(got), middle(tone(low, new)), atol=1e-3)
    if new < old:
        high = resample(tone(0.55 * new, old), float(old), float(new))
        assert np.abs(middle(high)).max() < 2e-3


def test_a_constant_stays_to_its_ends():
    np.testing.assert_allclose(resample(np.full(50, 7.0), 160.0, 60.0), 7.0, rtol=1e-12)


def test_odd_ratios_are_refused():
    with pytest.raises(MubinnError, match="in no ratio of small whole numbers"):
        resample(np.zeros(50), 160.0, 79.9999)
