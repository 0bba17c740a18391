"""Residual (multi-level) binarization, the paper's Algorithm 1, in real numbers.

``r = x - offset``; for k = 1..N: ``b_k = [r >= 0]``, ``r -= a_k (2 b_k - 1)``. The N bits stand for
``offset + sum_k a_k (2 b_k - 1)``. The level axis is the first axis of bits and of scales.
"""

import numpy as np
import numpy.typing as npt

from mubinn.golden.fixed import Bits, Floats


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


def mlb_value(bits: Bits, scales: npt.ArrayLike, offset: npt.ArrayLike = 0.0) -> Floats:
    """Return ``offset + sum_k a_k (2 b_k - 1)`` as float64 [...]; shapes as in `mlb`."""
    total = np.zeros(bits.shape[1:]) + np.asarray(offset, np.float64)
    for plane, scale in zip(bits, np.asarray(scales, np.float64), strict=True):
        total = total + np.where(plane == 1, scale, -scale)
    return np.asarray(total, np.float64)


def fit_scales(x: npt.ArrayLike, levels: int, *, rounds: int = 10) -> Floats:
    """Return the scales a_1..a_N that binarize the sample `x` with little squared error.

    Greedy start (``a_k = mean |r|``, the minimiser for one level), then `rounds` alternations of
    encoding and least squares for the scales; an alternation that makes the error larger, a scale
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
    flat = np.asarray(x, np.float64).ravel()
    residual, greedy = flat, []
    for _ in range(levels):
        greedy.append(np.abs(residual).mean())
        residual = residual - np.where(residual >= 0, greedy[-1], -greedy[-1])
    best = np.array(greedy)
    best_error = _squared_error(flat, best)
    current = best
    for _ in range(rounds):
        signs = mlb(flat, current).astype(np.float64) * 2 - 1
        gram = signs @ signs.T
        current = np.asarray(np.linalg.lstsq(gram, signs @ flat, rcond=None)[0], np.float64)
        if (current < 0).any() or (np.diff(current) > 0).any():
            break
        error = _squared_error(flat, current)
        if error >= best_error:
            break
        best, best_error = current, error
    return np.asarray(best, np.float64)


def _squared_error(flat: Floats, scales: Floats) -> float:
    return float(np.square(flat - mlb_value(mlb(flat, scales), scales)).mean())
