"""Resampling of a signal by a windowed sinc, without delay. NumPy only."""

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
