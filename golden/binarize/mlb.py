"""Residual (multi-level) binarization, the paper's Algorithm 1, in real numbers and in integers.

``r = x - offset``; for k = 1..N: ``b_k = [r >= 0]``, ``r -= a_k (2 b_k - 1)``. The N bits stand for
``offset + sum_k a_k (2 b_k - 1)``. In real numbers the level axis is the first one of bits and of
scales; in integers the bits make one code, and the level axis is the last one of scales.
"""

import hashlib

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.sorted_sample import SortedSample
from mubinn.golden.ground.fixed import Bits, Floats, Ints


def mlb(x: npt.ArrayLike, scales: npt.ArrayLike, offset: npt.ArrayLike = 0.0) -> Bits:
    """Return the level bits of `x` (Algorithm 1).

    Parameters
    ----------
    x : float64 [...]
    scales : float64 [N, ...]
        a_1..a_N, each broadcast against x.
    offset : float64
        Broadcast against x.

    Returns
    -------
    uint8 [N, ...]
        1 stands for +1 and 0 for -1, Eq. (7) and (8).
    """
    residual = np.asarray(x, np.float64) - np.asarray(offset, np.float64)
    planes = []
    for scale in np.asarray(scales, np.float64):
        bit = residual >= 0
        residual = residual - np.where(bit, scale, -scale)
        planes.append(bit)
    return np.stack(planes).astype(np.uint8)


def encode(value: npt.ArrayLike, offset: npt.ArrayLike, scales: npt.ArrayLike) -> Ints:
    """Return the codes of integers that share a fraction: bit k - 1 of a code is level k.

    Parameters
    ----------
    value : int64 [...]
    offset : int64, broadcast against value
    scales : int64 [..., N], leading axes broadcast against value
    """
    scales = np.asarray(scales, np.int64)
    residual = np.asarray(value, np.int64) - np.asarray(offset, np.int64)
    code = np.zeros(residual.shape, np.int64)
    for level in range(scales.shape[-1]):
        bit = residual >= 0
        residual = residual - np.where(bit, scales[..., level], -scales[..., level])
        code = code | (bit.astype(np.int64) << level)
    return code


def mlb_value(bits: Bits, scales: npt.ArrayLike, offset: npt.ArrayLike = 0.0) -> Floats:
    """Return ``offset + sum_k a_k (2 b_k - 1)`` as float64 [...]; shapes as in `mlb`."""
    total = np.zeros(bits.shape[1:]) + np.asarray(offset, np.float64)
    for plane, scale in zip(bits, np.asarray(scales, np.float64), strict=True):
        total = total + np.where(plane == 1, scale, -scale)
    return np.asarray(total, np.float64)


def fit_scales(x: npt.ArrayLike, levels: int, *, rounds: int = 30) -> Floats:
    """Return the scales a_1..a_N that binarize the sample `x` with little squared error.

    Of several starts: the greedy one (``a_k = mean |r|``, the minimiser for one level), some whose
    scales fall by a ratio (``a_k = a 2**-k``, the minimiser for uniform values, wins from about
    four levels on; slower falls keep the tails), and the fit of one level less with what lowers
    its error most. Each is refined by up to `rounds` alternations of encoding and least squares
    for the scales; one that hardly lowers the error is the last, and one that makes a scale
    negative or the order of the scales other than descending is not taken. So no fit is worse
    than that of fewer levels.

    Parameters
    ----------
    x : float64 [...]
        Offset already subtracted; flattened.
    levels : int
    rounds : int

    Returns
    -------
    float64 [levels]
        Not negative, descending.
    """
    flat = np.ascontiguousarray(x, np.float64).ravel()
    fits = _FITTED.setdefault((hashlib.sha256(flat.data).digest(), rounds), [])
    if len(fits) < levels:
        sample = SortedSample.of(flat)
        while len(fits) < levels:
            fits.append(_fit(sample, fits[-1] if fits else np.zeros(0), rounds))
    return fits[levels - 1].copy()


_FITTED: dict[tuple[bytes, int], list[Floats]] = {}
"""Fits of 1, 2, .. levels by SHA-256 of the sample: a model at many (A, W) fits each of its tensors
a few times."""


SPREADS = np.linspace(0.8, 3.0, 12)
"""Sums of falling scales that are tried, in root mean squares of the sample."""

REACHES = np.linspace(0.4, 1.0, 4)
"""The same in largest magnitudes, for samples with tails."""

RATIOS = (0.5, 0.55, 0.6, 0.65)
"""From each falling scale to the next."""

WORTH = 1e-4
"""Least relative gain of an alternation that lets another one follow."""


def _fit(sample: SortedSample, fewer: Floats, rounds: int) -> Floats:
    """Return the fit of one level more than `fewer` has."""
    longer = np.append(fewer, min([sample.next_scale(fewer), *fewer]))
    levels = len(longer)
    return _refined(
        sample, np.stack([longer, _greedy(sample, levels), *_falling(sample, levels)]), rounds
    )


def _greedy(sample: SortedSample, levels: int) -> Floats:
    scales = np.zeros(0)
    for _ in range(levels):
        scales = np.append(scales, sample.next_scale(scales))
    return scales


def _falling(sample: SortedSample, levels: int) -> list[Floats]:
    """Return the best start of each ratio, and the best of those that reach for the tails."""
    shapes = np.power.outer(RATIOS, np.arange(levels, dtype=np.float64))
    shapes /= shapes.sum(axis=1, keepdims=True)
    spread = [np.outer(SPREADS * sample.deviation, shape) for shape in shapes]
    reaching = np.concatenate([np.outer(REACHES * sample.peak, shape) for shape in shapes])
    return [tried[np.argmin(sample.errors(tried))] for tried in (*spread, reaching)]


def _refined(sample: SortedSample, starts: Floats, rounds: int) -> Floats:
    """Return the best of all `starts` [K, N] after their alternations."""
    best, current = starts.copy(), starts
    errors = sample.errors(best)
    live = np.arange(len(starts))
    for _ in range(rounds):
        current = sample.refitted(best[live])
        descending = (current >= 0).all(axis=1) & (np.diff(current, axis=1) <= 0).all(axis=1)
        live, current = live[descending], current[descending]
        found = sample.errors(current)
        better = found < errors[live]
        live, current, found = live[better], current[better], found[better]
        gain = 1 - found / errors[live]
        best[live], errors[live] = current, found
        live = live[gain >= WORTH]
        if not len(live):
            break
    return np.asarray(best[np.argmin(errors)], np.float64)
