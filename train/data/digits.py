"""Spoken digits: windows of the FSDD set from its compact form. NumPy only.

Free Spoken Digit Dataset (CC BY-SA 4.0): digits spoken fifty times by each speaker, as 13
mel-frequency cepstral coefficients every 10 ms.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.train.data.compact import arrays_of, bounds

RATE_HZ = 100
TEST_TAKES = 5
"""Takes 0 to 4 of each digit and speaker are the official test set."""

LEAST = 1e-3
"""Least standard deviation of a coefficient that is divided by."""


def normalised(spoken: Floats) -> Floats:
    """Return a recording [frames, coefficients] less its mean over its standard deviation."""
    return np.asarray((spoken - spoken.mean(axis=0)) / np.maximum(spoken.std(axis=0), LEAST))


def digits(path: Path, *, frames: int = 80) -> tuple[dict[str, NDArray[Any]], str]:
    """Return windows of the compact form of the set: what an .npz for training holds.

    Each recording is normalised over its own frames, and then padded with zeros behind, or cut at
    its end. `subject` is the take, of which every speaker has one of each digit: fold 0 is the
    official test set, and validation takes whole takes. The speakers are the same in all folds.

    Parameters
    ----------
    path : Path
        An .npz of ``x`` [all frames, coefficients], ``off`` [recordings + 1], ``y`` (the digit) and
        ``index`` (the take) [recordings].
    frames : int
        Length of all windows.

    Returns
    -------
    arrays : dict
    told : str
        How many were padded and cut.

    Raises
    ------
    MubinnError
        The file is missing or damaged, or lacks an array.
    """
    if frames < 1:
        raise MubinnError("A window has a frame at least: give more --frames.")
    found = arrays_of(path, x=2, off=1, y=1, index=1)
    features = found["x"].astype(np.float64)
    parts = bounds(path, "off", found["off"], len(features), len(found["y"]))
    lengths = np.array([end - begin for begin, end in parts])
    if not lengths.all():
        raise MubinnError(f"{path} has a recording without frames: leave it out.")
    x = np.zeros((len(parts), frames, features.shape[1]), np.float32)
    for own, (begin, end) in zip(x, parts, strict=True):
        own[: end - begin] = normalised(features[begin:end])[:frames]
    take = found["index"].astype(np.int64)
    arrays: dict[str, NDArray[Any]] = {
        "X": x,
        "y": found["y"].astype(np.int64),
        "subject": take,
        "fold": np.where(take < TEST_TAKES, 0, 1 + take % 4),
        "classes": np.array([str(digit) for digit in range(10)]),
        "channels": np.array([f"mfcc {k}" for k in range(features.shape[1])]),
        "fs_hz": np.array(float(RATE_HZ)),
    }
    padded, cut = int((lengths < frames).sum()), int((lengths > frames).sum())
    return arrays, f"{padded} recordings padded behind, {cut} cut at {frames} frames"
