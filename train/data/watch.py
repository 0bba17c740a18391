"""Smart-watch movements: windows of the WISDM set, its files or its compact form. NumPy only.

WISDM Smartphone and Smartwatch Activity and Biometrics, 2019 (CC BY 4.0): accelerometer and
gyroscope of a watch at 20 Hz, 18 activities, two minutes of each by each person.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.train.data.compact import arrays_of, bounds, differences
from mubinn.train.data.watch_text import ACTIVITIES, Run, runs_of

RATE_HZ = 20
ONE = np.array([6.0, 6.0, 6.0, 1.5, 1.5, 1.5])
"""What makes 1 of a channel: 6 m/s2 of the accelerometer, 1.5 rad/s of the gyroscope."""

UNITS = ONE / [0.02, 0.02, 0.02, 0.01, 0.01, 0.01]
"""The same in counts of the compact form."""

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
        In units of `ONE`.

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


def watch(
    path: Path, *, window_s: float = 10.0, hop_s: float = 5.0
) -> tuple[dict[str, NDArray[Any]], str]:
    """Return windows of the set: what an .npz for training holds.

    Parameters
    ----------
    path : Path
        A folder of the set as it is published, see `mubinn.train.data.watch_text`; or an .npz of
        ``dx`` int16 [6, N] (differences along time; 0.02 m/s2 and 0.01 rad/s), ``off`` [runs + 1]
        (where each run begins), ``subject`` and ``y`` [runs], ``activities``.
    window_s, hop_s : float
        Length of a window, and from the beginning of one to that of the next, in seconds.

    Returns
    -------
    arrays : dict
    told : str
        What of a folder is left out; "" for an .npz.

    Raises
    ------
    MubinnError
        The file is missing or damaged, lacks an array, or has no run as long as a window; the
        folder is none of the set's.
    """
    steps, hop = round(window_s * RATE_HZ), round(hop_s * RATE_HZ)
    if min(steps, hop) < 1:
        raise MubinnError("A window and a hop have a step of 0.05 s at least: give longer ones.")
    names, told = np.array(list(ACTIVITIES.values())), ""
    if path.is_dir():
        found, told = runs_of(path, RATE_HZ)
        runs = [replace(run, samples=run.samples / ONE) for run in found]
    else:
        runs, names = _compact(path)
    parts: list[NDArray[np.float32]] = []
    whose: list[Run] = []
    for run in runs:
        if len(run.samples) >= steps:
            read = channels_of(run.samples)
            starts = range(0, len(read) - steps + 1, hop)
            parts += [read[start : start + steps] for start in starts]
            whose += [run] * len(starts)
    if not parts:
        raise MubinnError(f"{path} has no run of {window_s:g} s: give a shorter --window.")
    return {
        "X": np.stack(parts),
        "y": np.array([run.activity for run in whose], np.int64),
        "subject": np.array([run.subject for run in whose], np.int64),
        "classes": names,
        "channels": np.array(CHANNELS),
        "fs_hz": np.array(float(RATE_HZ)),
    }, told


def _compact(path: Path) -> tuple[list[Run], NDArray[Any]]:
    """Return the runs of the compact form in units of `ONE`, and the names of the activities."""
    found = arrays_of(path, dx=2, off=1, subject=1, y=1, activities=1)
    samples = differences(found["dx"]).T / UNITS
    parts = bounds(path, "off", found["off"], len(samples), len(found["y"]))
    subjects, labels = (found[name].astype(np.int64).tolist() for name in ("subject", "y"))
    runs = zip(subjects, labels, parts, strict=True)
    return [Run(whose, label, samples[a:b]) for whose, label, (a, b) in runs], found["activities"]
