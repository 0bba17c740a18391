"""Biases with scales of their own for every row: a sign and a magnitude each. NumPy only."""

from __future__ import annotations

import numpy as np

from mubinn.golden.binarize.scales import LevelTensor
from mubinn.golden.ground.fixed import Ints


def row_bias(values: Ints, levels: int, fraction: int) -> LevelTensor:
    """Return integers [R] as a bias of `levels` levels, of which the first holds all.

    Further levels of a bias with scales for each row have nothing left to add: they are 0.
    """
    scales = np.zeros((len(values), levels), np.int64)
    scales[:, 0] = np.abs(values)
    bits = np.repeat((values >= 0)[None], levels, axis=0).astype(np.uint8)
    return LevelTensor(bits, scales, fraction)
