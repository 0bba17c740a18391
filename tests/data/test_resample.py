"""Resampling: what lies in the pass band stays, what would alias goes, nothing is delayed."""

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.resample import band_passed, resample


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


def test_a_band_is_passed_without_delay():
    rate = 160.0
    inside, outside = tone(10, 160), tone(70, 160) + tone(0.05, 160) + 300
    got = band_passed(inside + outside, rate, (0.5, 35.0))
    np.testing.assert_allclose(middle(got), middle(inside), atol=0.02)
    half = 1 / (1 + 1)  # both passes take 3 dB at an edge
    edge = middle(band_passed(tone(35, 160), rate, (0.5, 35.0)))
    assert abs(edge.max() - half) < 0.01
    slow = band_passed(inside + 300, rate, (0.0, 35.0))
    np.testing.assert_allclose(middle(slow), middle(inside) + 300, atol=0.02)
    assert len(band_passed(np.ones(1), rate, (0.5, 35.0))) == 1


@pytest.mark.parametrize("band", [(35.0, 0.5), (1.0, 80.0), (-1.0, 5.0), (1.0, float("nan"))])
def test_a_band_lies_below_half_the_rate(band):
    with pytest.raises(MubinnError, match="pass band from"):
        band_passed(np.zeros(50), 160.0, band)


def test_the_filter_is_the_one_of_others():
    signal = pytest.importorskip("scipy.signal")
    x = np.random.default_rng(0).normal(0, 1, 8000)
    sos = signal.butter(4, (0.5, 35), "bandpass", fs=160, output="sos")
    want = signal.sosfiltfilt(sos, x)
    got = band_passed(x, 160.0, (0.5, 35.0))
    assert np.abs(middle(got - want)).max() < 1e-6
