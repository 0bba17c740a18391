"""Smart-watch movements: windows of the WISDM set from its compact form. NumPy only.

WISDM Smartphone and Smartwatch Activity and Biometrics, 2019 (CC BY 4.0): accelerometer and
gyroscope of a watch at 20 Hz, 18 activities, two minutes of each by each person.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.train.data.compact import arrays_of, bounds, differences

RATE_HZ = 20
UNITS = np.array([6.0, 6.0, 6.0, 1.5, 1.5, 1.5]) / [0.02, 0.02, 0.02, 0.01, 0.01, 0.01]
"""Counts of a channel that make 1: 6 m/s2 of the accelerometer, 1.5 rad/s of the gyroscope."""

SLOW, ENERGY = 2 * RATE_HZ, RATE_HZ
"""Steps that gravity is a mean of, and steps whose energy is taken."""

FLOOR, MIDDLE = 0.05, 1.2
"""Least deviation that a logarithm is taken of, and what is added to the logarithm."""

CHANNELS = tuple(
    f"{kind} {name}"
    for kind, names in (
        ("gravity", ("ax", "ay", "az")),
        ("change", ("ax", "ay", "az", "gx", "gy", "gz")),
        ("log energy", ("ax", "ay", "az", "gx", "gy", "gz")),
    )
    for name in names
)


def channels_of(samples: Floats) -> NDArray[np.float32]:
    """Return the 15 channels that a recording of accelerometer and gyroscope is read as.

    Gravity, the mean of the accelerometer over the last two seconds; what is left of it, and the
    gyroscope; and the logarithm of the deviation of these six over the last second. Each is a
    function of the samples up to its step, the first of which counts for those before it.

    Parameters
    ----------
    samples : float64 [steps, 6]
        In `UNITS`.

    Returns
    -------
    float32 [steps, 15]
        `CHANNELS`.
    """
    gravity = _running_mean(samples[:, :3], SLOW)
    change = np.concatenate([1.5 * (samples[:, :3] - gravity), samples[:, 3:]], axis=1)
    power = np.maximum(_running_mean(change * change, ENERGY), 0)
    energy = np.log(np.sqrt(power) + FLOOR) + MIDDLE
    return np.concatenate([gravity, change, energy], axis=1).astype(np.float32)


def _running_mean(x: Floats, steps: int) -> Floats:
    """Return the mean of the last `steps` rows at each row."""
    total = np.cumsum(np.concatenate([np.repeat(x[:1], steps, axis=0), x]), axis=0)
    return np.asarray((total[steps:] - total[:-steps]) / steps)


def watch(path: Path, *, window_s: float = 10.0, hop_s: float = 5.0) -> dict[str, NDArray[Any]]:
    """Return windows of the compact form of the set: what an .npz for training holds.

    Parameters
    ----------
    path : Path
        An .npz of ``dx`` int16 [6, N] (differences along time; 0.02 m/s2 and 0.01 rad/s), ``off``
        [runs + 1] (where each run begins), ``subject`` and ``y`` [runs], ``activities``.
    window_s, hop_s : float
        Length of a window, and from the beginning of one to that of the next, in seconds.

    Raises
    ------
    MubinnError
        The file is missing or damaged, lacks an array, or has no run as long as a window.
    """
    steps, hop = round(window_s * RATE_HZ), round(hop_s * RATE_HZ)
    if min(steps, hop) < 1:
        raise MubinnError("A window and a hop have a step of 0.05 s at least: give longer ones.")
    found = arrays_of(path, dx=2, off=1, subject=1, y=1, activities=1)
    samples = differences(found["dx"]).T / UNITS
    runs = bounds(path, "off", found["off"], len(samples), len(found["y"]))
    parts, whose = [], []
    for run, (begin, end) in enumerate(runs):
        read = channels_of(samples[begin:end])
        for start in range(0, end - begin - steps + 1, hop):
            parts.append(read[start : start + steps])
            whose.append(run)
    if not parts:
        raise MubinnError(f"{path} has no run of {window_s:g} s: give a shorter --window.")
    return {
        "X": np.stack(parts),
        "y": found["y"][whose].astype(np.int64),
        "subject": found["subject"][whose].astype(np.int64),
        "classes": found["activities"],
        "channels": np.array(CHANNELS),
        "fs_hz": np.array(float(RATE_HZ)),
    }
