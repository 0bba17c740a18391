"""Heartbeats: windows of the MIT-BIH arrhythmia set, records or compact form. NumPy only.

MIT-BIH Arrhythmia Database (Moody and Mark 2001, PhysioNet, ODC-By 1.0), one lead at 120 Hz; the
classes of AAMI EC57 and the split by patients of de Chazal 2004.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints
from mubinn.train.data.compact import arrays_of, bounds, differences
from mubinn.train.data.resample import resample
from mubinn.train.data.wfdb import read_record

RATE_HZ = 120
PUBLISHED_HZ = 360
CLASSES = ("N", "S", "V", "F")
"""Classes of AAMI EC57 but Q, beats not classified, of which unpaced hearts have hardly any."""
BEFORE, AFTER = 36, 48
"""Steps of a window before the peak of the beat, and from it on: 0.3 and 0.4 s."""

AROUND = 5 * RATE_HZ
"""Steps on each side that level and spread of the signal are taken of."""

NEAR = 8
"""Intervals on each side that an interval is compared with."""

USUAL = 20
"""Beats on each side of which the usual beat is the median."""

MOST = 8.0
"""Bound of the samples, in deviations of the usual beat."""

CORE = slice(BEFORE - 18, BEFORE + 24)
"""Steps of a window that the width of a beat is taken of: 0.15 and 0.2 s."""

SAME = {202: 201}
"""Records of one person: 202 was taken from the person of 201."""

STEP_MV = 0.005
"""Millivolts of a step of the signals."""

DS1 = "101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230"
DS2 = "100 103 105 111 113 117 121 123 200 202 210 212 213 214 219 221 222 228 231 232 233 234"
PACED = "102 104 107 217"
PARTS = {name: part for part, names in enumerate((PACED, DS1, DS2)) for name in names.split()}
"""Part of de Chazal's split by record, 0 for paced hearts."""

CODES = {
    **dict.fromkeys((1, 2, 3, 11, 25, 34), 0),  # N L R j B e
    **dict.fromkeys((4, 7, 8, 9, 35), 1),  # a J A S n
    **dict.fromkeys((5, 10, 41), 2),  # V E r
    6: 3,  # F
    **dict.fromkeys((12, 13, 30, 38), 4),  # / Q ? f
}
"""Class of a beat by its code in an .atr file, which its letter stands beside; 4 is Q."""

CHANNELS = (
    "ecg",
    "ecg less the usual beat",
    "interval before",
    "interval after",
    "distance from the usual beat",
    "likeness to the usual beat",
    "width beside the usual beat",
)


@dataclass(frozen=True, eq=False)
class Record:
    """A record: its number, its part of the split, the signal, and where its beats are.

    `labels` are places among `CLASSES`, or 4 for Q.
    """

    number: int
    part: int
    signal: Floats
    peaks: Ints
    labels: Ints


def windows_of(signal: Floats, peaks: Ints) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the windows of a record's beats, and which beats they are.

    The usual beat of each is the median of the 41 around, from signals less their median over ten
    seconds, and its deviation is the unit. A window holds the signal and what it has beyond the
    usual beat, and five values that are the same at every step: how the intervals to the beats
    before and after compare with the median of the 16 around (three times the logarithm of the
    ratio), and the beat with the usual one: `likenesses`. All of it takes an unlabelled recording
    of the patient, and no more.

    Parameters
    ----------
    signal : float64 [N]
    peaks : int [beats]
        Rising.

    Returns
    -------
    windows : float32 [used, BEFORE + AFTER, 7]
        `CHANNELS`.
    used : int64 [used]
        The first and the last beat have one interval alone and are left out, and so are those too
        near an end of the record.
    """
    intervals = np.diff(peaks)
    shapes, rhythm, used = [], [], []
    for k in range(1, len(peaks) - 1):
        begin, end = int(peaks[k]) - BEFORE, int(peaks[k]) + AFTER
        if begin < 0 or end > len(signal):
            continue
        around = signal[max(0, int(peaks[k]) - AROUND) : int(peaks[k]) + AROUND]
        middle = np.median(intervals[max(0, k - NEAR) : k + NEAR])
        shapes.append(signal[begin:end] - np.median(around))
        rhythm.append(3 * np.log(np.maximum(intervals[k - 1 : k + 1], 1) / max(middle, 1)))
        used.append(k)
    if not used:
        return np.zeros((0, BEFORE + AFTER, len(CHANNELS)), np.float32), np.zeros(0, np.int64)
    raw = np.array(shapes)
    near = [slice(max(0, k - USUAL), k + USUAL + 1) for k in range(len(raw))]
    usual = np.array([np.median(raw[part], axis=0) for part in near])
    unit = np.maximum(usual.std(axis=1, keepdims=True), 1.0)
    beat, usual = np.clip(raw / unit, -MOST, MOST), usual / unit
    values = [*np.array(rhythm).T, *likenesses(beat, usual)]
    steady = [np.repeat(one[:, None], BEFORE + AFTER, axis=1) for one in values]
    windows = np.stack([beat, beat - usual, *steady], axis=2)
    return windows.astype(np.float32), np.array(used, np.int64)


def likenesses(beat: Floats, usual: Floats) -> tuple[Floats, Floats, Floats]:
    """Return how beats compare with the usual ones, both float64 [N, steps]: three times [N].

    The logarithm of their distance over the size of the usual one; their correlation; and three
    times the logarithm of the ratio of their widths. Around 0, and of a size to be read beside
    samples.
    """
    distance, size = np.sqrt(np.square([beat - usual, usual]).mean(axis=2))
    one, other = (x - x.mean(axis=1, keepdims=True) for x in (beat, usual))
    norms = np.sqrt(np.square(one).sum(axis=1) * np.square(other).sum(axis=1))
    likeness = (one * other).sum(axis=1) / np.maximum(norms, 1e-9)
    width = np.log(_width(beat)) - np.log(_width(usual))
    return np.log(distance / np.maximum(size, 1e-9) + 0.05) + 1, 2 * likeness - 1, 3 * width


def _width(beat: Floats) -> Floats:
    """Return the mean height of a beat around its peak over the largest: wide ones have more."""
    height = np.abs(beat - np.median(beat, axis=1, keepdims=True))[:, CORE]
    return np.asarray(height.mean(axis=1) / (height.max(axis=1) + 1e-6) + 1e-3)


def beats(path: Path) -> dict[str, NDArray[Any]]:
    """Return windows of the set: what an .npz for training holds.

    Records of paced hearts are left out, as AAMI EC57 asks. Where records of both parts of de
    Chazal's split are there, fold 0 is his test set, DS2, and the patients of DS1 are dealt to
    folds 1 to 4; else patients are dealt to folds when the windows are loaded.

    Parameters
    ----------
    path : Path
        A folder of PhysioNet's records (.hea, .dat and .atr); or an .npz of ``dsig`` int16
        [records, N] (differences along time, of 5 microvolts), ``rec`` (numbers), ``ds`` (1 or 2,
        0 for paced) [records], ``beat_off`` [records + 1], ``beat_pos`` and ``beat_cls`` (0 to 3,
        the place among `CLASSES`; 4 for Q, left out) [beats].

    Raises
    ------
    MubinnError
        The file is missing or damaged, lacks an array, or has no beat of an unpaced heart; the
        folder holds no such records, or others.
    """
    x, y, subject, test = [], [], [], []
    for record in records_of(path) if path.is_dir() else _compact(path):
        made, used = windows_of(record.signal, record.peaks)
        labels = record.labels[used]
        kept = labels < len(CLASSES)
        x.append(made[kept])
        y.append(labels[kept])
        subject += [SAME.get(record.number, record.number)] * len(y[-1])
        test += [record.part == 2] * len(y[-1])
    if not subject:
        raise MubinnError(f"{path} has no beat of an unpaced heart: give a set that has some.")
    whose = np.array(subject, np.int64)
    return {
        "X": np.concatenate(x),
        "y": np.concatenate(y),
        "subject": whose,
        **_folds(whose, np.array(test)),
        "classes": np.array(CLASSES),
        "channels": np.array(CHANNELS),
        "fs_hz": np.array(float(RATE_HZ)),
    }


def records_of(folder: Path) -> Iterator[Record]:
    """Yield the records of a folder, but those of paced hearts, at `RATE_HZ` and of `STEP_MV`."""
    headers = sorted(folder.glob("*.hea"))
    if not headers:
        raise MubinnError(f"{folder} holds no .hea files: give the folder of MIT-BIH's records.")
    for header in headers:
        part = PARTS.get(header.stem)
        if part is None:
            raise MubinnError(
                f"{header} is no record of the MIT-BIH arrhythmia set: give a folder of its own."
            )
        if part:
            signal, rate, places, codes = read_record(header)
            if rate != PUBLISHED_HZ:
                raise MubinnError(
                    f"{header} speaks of {rate:g} Hz, not of MIT-BIH's {PUBLISHED_HZ}: fetch it "
                    "again."
                )
            beat = np.isin(codes, list(CODES))
            peaks = np.rint(places[beat] * RATE_HZ / rate).astype(np.int64)
            labels = np.array([CODES[code] for code in codes[beat].tolist()], np.int64)
            signal = resample(signal / STEP_MV, rate, RATE_HZ)
            yield Record(int(header.stem), part, signal, peaks, labels)


def _compact(path: Path) -> Iterator[Record]:
    """Yield the records of the compact form, but those of paced hearts."""
    found = arrays_of(path, dsig=2, rec=1, ds=1, beat_off=1, beat_pos=1, beat_cls=1)
    signals = differences(found["dsig"])
    records = found["rec"].astype(np.int64).tolist()
    parts = bounds(path, "beat_off", found["beat_off"], len(found["beat_pos"]), len(records))
    for k in np.flatnonzero(found["ds"]):
        begin, end = parts[k]
        peaks = found["beat_pos"][begin:end].astype(np.int64)
        if (np.diff(peaks) < 0).any() or not len(peaks):
            raise MubinnError(f"{path} has beats out of order in record {records[k]}.")
        labels = found["beat_cls"][begin:end].astype(np.int64)
        yield Record(records[k], int(found["ds"][k]), signals[k], peaks, labels)


def _folds(subject: NDArray[np.int64], test: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Return the folds of the two parts of the split; nothing where one of them is absent."""
    if test.all() or not test.any():
        return {}
    # A person of both parts is in the test set alone.
    tested = np.isin(subject, subject[test])
    rank = np.unique(subject[~tested], return_inverse=True)[1]
    fold = np.zeros(len(subject), np.int64)
    fold[~tested] = 1 + rank % 4
    return {"fold": fold}
