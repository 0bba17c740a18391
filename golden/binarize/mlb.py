"""Residual (multi-level) binarization, the paper's Algorithm 1, in real numbers and in integers.

``r = x - offset``; for k = 1..N: ``b_k = [r >= 0]``, ``r -= a_k (2 b_k - 1)``. The N bits stand for
``offset + sum_k a_k (2 b_k - 1)``. In real numbers the level axis is the first one of bits and of
scales; in integers the bits make one code, and the level axis is the last one of scales.
"""

import hashlib

import numpy as np
import numpy.typing as npt

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

    Two starts: the greedy one (``a_k = mean |r|``, the minimiser for one level), and the best of
    some halving ones (``a_k = a 2**-k``, the minimiser for uniform values), which wins from about
    four levels on. Each is refined by up to `rounds` alternations of encoding and least squares
    for the scales; one that hardly lowers the error is the last, and one that makes a scale
    negative or the order of the scales other than descending is not taken.

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
    key = hashlib.sha256(flat.data).digest(), levels, rounds
    if key not in _FITTED:
        starts = _greedy(flat, levels), _halving(flat, levels)
        fits = [_refine(flat, start, rounds) for start in starts]
        _FITTED[key] = min(fits, key=lambda scales: _squared_error(flat, scales))
    return _FITTED[key].copy()


_FITTED: dict[tuple[bytes, int, int], Floats] = {}
"""Fits by SHA-256 of the sample: a model at many (A, W) fits each of its tensors a few times."""


SPREADS = np.linspace(0.8, 3.0, 12)
"""Sums of halving scales that are tried, in root mean squares of the sample."""

FEW = 10_000
"""Values that the halving starts are judged on."""

WORTH = 1e-4
"""Least relative gain of an alternation that lets another one follow."""


def _greedy(flat: Floats, levels: int) -> Floats:
    residual, scales = flat, []
    for _ in range(levels):
        scales.append(np.abs(residual).mean())
        residual = residual - np.where(residual >= 0, scales[-1], -scales[-1])
    return np.array(scales)


def _halving(flat: Floats, levels: int) -> Floats:
    few = flat[:: -(-flat.size // FEW)]
    shape = np.sqrt(np.square(few).mean()) * 2.0 ** -np.arange(1, levels + 1)
    return min(
        (spread * shape for spread in SPREADS), key=lambda scales: _squared_error(few, scales)
    )


def _refine(flat: Floats, start: Floats, rounds: int) -> Floats:
    best, current = start, start
    best_error = _squared_error(flat, best)
    for _ in range(rounds):
        signs = mlb(flat, current).astype(np.float64) * 2 - 1
        gram = signs @ signs.T
        current = np.asarray(np.linalg.lstsq(gram, signs @ flat, rcond=None)[0], np.float64)
        if (current < 0).any() or (np.diff(current) > 0).any():
            break
        error = _squared_error(flat, current)
        if error >= best_error:
            break
        gain = 1 - error / best_error
        best, best_error = current, error
        if gain < WORTH:
            break
    return best


def _squared_error(flat: Floats, scales: Floats) -> float:
    return float(np.square(flat - mlb_value(mlb(flat, scales), scales)).mean())
