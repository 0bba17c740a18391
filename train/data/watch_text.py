"""WISDM's smart-watch files as they are published: lines of text, a file a person and sensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import reason_of
from mubinn.golden.ground.fixed import Floats

ACTIVITIES = {
    **{"A": "walking", "B": "jogging", "C": "stairs", "D": "sitting", "E": "standing"},
    **{"F": "typing", "G": "teeth", "H": "soup", "I": "chips", "J": "pasta", "K": "drinking"},
    **{"L": "sandwich", "M": "kicking", "O": "catch", "P": "dribbling", "Q": "writing"},
    **{"R": "clapping", "S": "folding"},
}
"""Names of the activities by their code in the files."""

PLACES = ("", "watch", "raw/watch", "wisdm-dataset/raw/watch")
"""Where, in the folder that is given, the folders of both sensors may lie."""

SENSORS = ("accel", "gyro")

NAMES = ("person", "code", "time", "x", "y", "z")
"""Values of a line; the time is in nanoseconds."""

LINE = np.dtype(list(zip(NAMES, ("i8", "U2", *["f8"] * 4), strict=True)))

GAP_S = 0.5
"""Seconds without a sample of a sensor from which on a recording is cut in two."""


LONGEST_S = 24 * 3600
"""Longest recording; those of the set have three minutes."""


@dataclass(frozen=True, eq=False)
class Run:
    """Both sensors of one person and activity without a gap: samples float64 [steps, 6]."""

    subject: int
    activity: int
    samples: Floats


def runs_of(folder: Path, rate_hz: int) -> tuple[list[Run], str]:
    """Return the recordings of a folder, and in words what of it is left out.

    Accelerometer in m/s2, then gyroscope in rad/s. Each sensor has times of its own: both are
    interpolated linearly at steps of ``1 / rate_hz`` seconds from where both have begun, and are
    cut where one has no sample for longer than `GAP_S`. Of samples of one time the first counts.

    Raises
    ------
    MubinnError
        The folder is none of WISDM's, or a line of a file is not as they are.
    """
    place = next((p for p in (folder / name for name in PLACES) if (p / "accel").is_dir()), None)
    if place is None or not (place / "gyro").is_dir():
        raise MubinnError(
            f"{folder} has no folders accel and gyro of a watch: give the folder wisdm-dataset as "
            "it is unpacked, or its raw/watch."
        )
    accel, gyro = (_sensor(place / sensor) for sensor in SENSORS)
    runs: list[Run] = []
    alone, parts = len(accel.keys() ^ gyro.keys()), 0
    for subject, code in sorted(accel.keys() & gyro.keys()):
        both = accel[subject, code], gyro[subject, code]
        if any(sensor[-1, 0] - sensor[0, 0] > LONGEST_S for sensor in both):
            raise MubinnError(
                f"{place} has times of person {subject}, activity {code}, that lie more than "
                f"{LONGEST_S // 3600} hours apart: unpack the set again."
            )
        pieces = list(_together(*both, rate_hz))
        parts += len(pieces) - 1 if pieces else 0
        runs += [Run(subject, list(ACTIVITIES).index(code), piece) for piece in pieces]
    return runs, f"{alone} recordings of one sensor left out, {parts} gaps"


def _sensor(folder: Path) -> dict[tuple[int, str], Floats]:
    """Return times in seconds and samples [n, 4] of each person and activity, in order of time."""
    found: dict[tuple[int, str], list[Floats]] = {}
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise MubinnError(f"{folder} holds no .txt files: unpack the set again.")
    for path in paths:
        people, codes, values = _lines(path)
        for subject, code in sorted({*zip(people.tolist(), codes.tolist(), strict=True)}):
            found.setdefault((subject, code), []).append(
                values[(people == subject) & (codes == code)]
            )
    whole = {}
    for key, parts in found.items():
        values = np.concatenate(parts)
        _, first = np.unique(values[:, 0], return_index=True)
        whole[key] = values[first] * [1e-9, 1, 1, 1]
    return whole


def _lines(path: Path) -> tuple[NDArray[np.int64], NDArray[Any], Floats]:
    """Return person, code and values [n, 4] of each line: time in nanoseconds, x, y, z."""
    try:
        text = path.read_text("ascii")
    except (OSError, ValueError) as error:
        why = reason_of(error) if isinstance(error, OSError) else "it is no plain text"
        raise MubinnError(f"{path} cannot be read: {why}; unpack the set again.") from error
    if not text.strip():
        raise MubinnError(f"{path} is empty: unpack the set again.")
    try:
        rows = np.loadtxt(text.replace(";", "").split("\n"), LINE, comments=None, delimiter=",")
        rows = np.atleast_1d(rows)
        values = np.stack([rows[name] for name in NAMES[2:]], axis=1)
        if not np.isfinite(values).all() or not set(rows["code"].tolist()) <= set(ACTIVITIES):
            raise ValueError
    except ValueError:
        raise MubinnError(_fault(path, text)) from None
    return rows["person"], rows["code"], values


def _fault(path: Path, text: str) -> str:
    """Return what is wrong with the first line that is not as it should be."""
    for number, line in enumerate(text.split("\n"), 1):
        words = line.strip().removesuffix(";").split(",")
        try:
            fits = (
                len(words) == len(NAMES) and words[1] in ACTIVITIES and 0 <= int(words[0]) < 1 << 63
            )
            fits = fits and bool(np.isfinite([float(word) for word in words[2:]]).all())
        except ValueError:
            fits = False
        if line.strip() and not fits:
            return (
                f"{path}, line {number}: {line.strip()[:60]!r} is no person, activity, time, x, y "
                "and z; unpack the set again."
            )
    return f"{path} has lines that are cut: unpack the set again."


def _together(one: Floats, other: Floats, rate_hz: int) -> Iterator[Floats]:
    """Yield stretches of both sensors on the same steps, without gaps."""
    begin, end = max(one[0, 0], other[0, 0]), min(one[-1, 0], other[-1, 0])
    if end < begin:
        return
    times = begin + np.arange(int((end - begin) * rate_hz + 1e-6) + 1) / rate_hz
    columns, near = [], np.ones(len(times), bool)
    for sensor in (one, other):
        above = np.clip(np.searchsorted(sensor[:, 0], times), 1, max(1, len(sensor) - 1))
        if len(sensor) > 1:
            near &= sensor[above, 0] - sensor[above - 1, 0] <= GAP_S
        columns += [np.interp(times, sensor[:, 0], sensor[:, k]) for k in (1, 2, 3)]
    samples = np.stack(columns, axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], near, [False]]).astype(np.int8)))
    for first, last in edges.reshape(-1, 2):
        yield samples[first:last]
