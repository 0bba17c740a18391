"""A signal at another rate, or less what lies outside a band, without delay. NumPy only."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats

CROSSINGS = 24
"""Zero crossings of the sinc on each side."""

BETA = 8.0
"""Of its Kaiser window: what aliases is damped by about 80 dB."""

PASS = 0.92
"""Middle of the transition band, as a share of half the lower rate."""

LARGEST = 10_000

ORDER = 4
"""Of the Butterworth filter, which is taken forwards and backwards."""

SETTLE = 3.0
"""Periods of the lower edge by which a signal is continued at both ends."""

_ROWS = 1 << 14


def resample(x: Floats, old_hz: float, new_hz: float) -> Floats:
    """Return a signal at another rate: sample k of the result lies at ``k / new_hz`` seconds.

    What lies above half the lower rate is filtered away; at both ends the first and the last sample
    are taken to go on.

    Parameters
    ----------
    x : float64 [n]
    old_hz, new_hz : float

    Raises
    ------
    MubinnError
        The rates are no ratio of whole numbers up to `LARGEST`.
    """
    ratio = Fraction(repr(new_hz)) / Fraction(repr(old_hz))
    if ratio == 1:
        return x
    if max(ratio.numerator, ratio.denominator) > LARGEST:
        raise MubinnError(
            f"{old_hz:g} Hz and {new_hz:g} Hz are in no ratio of small whole numbers: choose "
            "another --rate."
        )
    up, down = ratio.numerator, ratio.denominator
    cut = PASS * min(1.0, up / down)
    half = int(np.ceil(CROSSINGS / cut))
    count = -(-len(x) * up // down)
    out = np.empty(count)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(x, half, mode="edge"), 2 * half + 1)
    for phase in range(min(up, count)):
        # Samples that lie alike between those of x share their taps.
        places = np.arange(phase, count, up) * down // up
        distance = np.arange(-half, half + 1) - (phase * down % up) / up
        window = np.i0(BETA * np.sqrt(np.clip(1 - (distance / (half + 1)) ** 2, 0, 1)))
        taps = np.sinc(cut * distance) * window
        taps /= taps.sum()
        for begin in range(0, len(places), _ROWS):
            rows = places[begin : begin + _ROWS]
            out[phase + begin * up : phase + (begin + len(rows)) * up : up] = around[rows] @ taps
    return out


def band_passed(x: Floats, rate_hz: float, band_hz: tuple[float, float]) -> Floats:
    """Return what a Butterworth filter of order 4 passes, forwards and backwards: no delay.

    Both ends are continued by their point reflection.

    Parameters
    ----------
    x : float64 [n]
    rate_hz : float
    band_hz : (float, float)
        Both edges, in hertz; a lower edge of 0 keeps what is slow.

    Raises
    ------
    MubinnError
        The band does not lie between 0 and half the rate.
    """
    low, high = band_hz
    if not 0 <= low < high < rate_hz / 2:
        raise MubinnError(
            f"A pass band from {low:g} to {high:g} Hz needs more than {2 * high:g} Hz, and the "
            f"recording has {rate_hz:g} Hz: choose another --band."
            if 0 <= low < high
            else f"A pass band from {low:g} to {high:g} Hz is none: give --band LOW,HIGH."
        )
    room = min(len(x) - 1, int(np.ceil(SETTLE * rate_hz / (low or high))))
    wide = np.pad(x, room, mode="reflect", reflect_type="odd") if room > 0 else x
    turn = np.pi / rate_hz  # the bilinear transform takes frequencies to their tangents
    first, last = np.tan(turn * low), np.tan(turn * high)
    warped = np.tan(turn * np.fft.rfftfreq(len(wide), 1 / rate_hz))
    with np.errstate(divide="ignore", over="ignore"):
        off = (warped - first * last / warped if low else warped) / (last - first)
        gain = 1 / (1 + off ** (2 * ORDER))
    passed = np.fft.irfft(np.fft.rfft(wide) * gain, len(wide))
    return np.asarray(passed[room : room + len(x)], np.float64)
