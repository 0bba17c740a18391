"""The leaky readout: scores of each step summed up, what is long ago forgotten."""

import numpy as np

from mubinn.golden.ground.fixed import Ints

LEAKS = (6, 7)
"""k: what a step adds is down to 1/e after ``2**k`` steps, 1.6 and 3.2 s of 40 steps a second."""


def leaky(scores: Ints, k: int) -> Ints:
    """Return S after each step, ``S += s - (S >> k)``, from 0 on.

    Parameters
    ----------
    scores : int64 [..., T, C]
        s of each step.
    k : int
        1 or more; shifts round down.

    Returns
    -------
    int64 [..., T, C]

    Examples
    --------
    >>> leaky(np.array([[8], [8], [-8], [-1]]), 1).ravel().tolist()
    [8, 12, -2, -2]
    """
    found, total = np.empty_like(scores), np.zeros_like(scores[..., 0, :])
    for t in range(scores.shape[-2]):
        total = total + scores[..., t, :] - (total >> k)
        found[..., t, :] = total
    return found
