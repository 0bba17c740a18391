"""Loading of EDF recordings through MNE (extra ``mubinn[edf]``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.recordings import EegSet, folds_of


def load_edf(
    paths: Sequence[str | Path],
    labels: Sequence[str],
    subjects: Sequence[int] | None = None,
    *,
    channels: Sequence[str] | None = None,
    window_s: float = 4.0,
    fs_hz: float = 80.0,
    band_hz: tuple[float, float] = (0.5, 35.0),
) -> EegSet:
    """Cut EDF recordings, one class a file, into labelled windows that do not overlap.

    Each file is filtered (Butterworth, order 4, zero phase), resampled to `fs_hz` and cut from
    its start; what does not fill a last window is left out. Trailing dots of channel names, as
    PhysioNet writes them, are dropped.

    Parameters
    ----------
    paths : sequence of path
        EDF or EDF+ files.
    labels : sequence of str
        Class of each file; classes are numbered in sorted order.
    subjects : sequence of int, optional
        Subject of each file; by default every file is a subject of its own. Folds follow from
        the subjects.
    channels : sequence of str, optional
        Channels to take, in this order; by default all of the first file.
    window_s, fs_hz, band_hz : float
        Window length in seconds, new sampling rate and pass band in hertz.

    Returns
    -------
    EegSet
        float32 samples in microvolts.

    Raises
    ------
    MubinnError
        MNE is missing, a file is unreadable, too short or lacks a channel, or the lists differ
        in length.
    """
    subjects = list(range(len(paths))) if subjects is None else subjects
    if not paths or not len(paths) == len(labels) == len(subjects):
        raise MubinnError(
            f"{len(paths)} EDF files come with {len(labels)} labels and {len(subjects)} subjects; "
            "give at least one file, and one label and one subject for each."
        )
    try:
        import mne
    except ImportError as error:
        raise MubinnError(
            "Reading EDF needs MNE, which is not installed; run: pip install 'mubinn[edf]'."
        ) from error
    classes = sorted(set(labels))
    parts: list[NDArray[np.float32]] = []
    for path in paths:
        part, names = _windows(mne, Path(path), channels, window_s, fs_hz, band_hz)
        channels = names if channels is None else channels
        parts.append(part)
    assert channels is not None
    count = [len(part) for part in parts]
    subject = np.repeat(np.asarray(subjects, np.int64), count)
    return EegSet(
        x=np.concatenate(parts),
        y=np.repeat(np.array([classes.index(label) for label in labels], np.int64), count),
        subject=subject,
        fold=folds_of(subject),
        scale_uv=1.0,
        fs_hz=fs_hz,
        channels=tuple(channels),
        classes=tuple(classes),
    )


def _windows(
    mne: Any,
    path: Path,
    channels: Sequence[str] | None,
    window_s: float,
    fs_hz: float,
    band_hz: tuple[float, float],
) -> tuple[NDArray[np.float32], list[str]]:
    if not path.is_file():
        raise MubinnError(f"{path} does not exist; check the path of the EDF recording.")
    _check_length(path)
    try:
        raw = mne.io.read_raw_edf(path, preload=True, verbose="error")
    except Exception as error:  # MNE raises many kinds, assertions among them, on damaged files
        raise MubinnError(f"{path} cannot be read as EDF; it is damaged or no EDF file.") from error
    raw.rename_channels({name: name.rstrip(".") for name in raw.ch_names})
    names = list(raw.ch_names if channels is None else channels)
    missing = [name for name in names if name not in raw.ch_names]
    if missing:
        raise MubinnError(f"{path} has no channel {missing[0]!r}; choose channels all files have.")
    if band_hz[1] * 2 >= min(fs_hz, float(raw.info["sfreq"])):
        raise MubinnError(
            f"A pass band up to {band_hz[1]} Hz needs more than {2 * band_hz[1]} Hz; "
            f"{path} has {raw.info['sfreq']} Hz and {fs_hz} Hz is asked for."
        )
    raw.pick(names, verbose="error")
    raw.filter(*band_hz, method="iir", iir_params={"order": 4, "ftype": "butter"}, verbose="error")
    raw.resample(fs_hz, verbose="error")
    data = raw.get_data(picks=names, units="uV", verbose="error").T
    steps = round(window_s * fs_hz)
    if steps < 1 or len(data) < steps:
        raise MubinnError(
            f"{path} holds {len(data) / fs_hz:.1f} s, less than one window of {window_s} s."
        )
    kept = len(data) // steps
    windows = data[: kept * steps].reshape(kept, steps, len(names))
    return windows.astype(np.float32), names


def _check_length(path: Path) -> None:
    """Hold the file to the length its header states: MNE fills what is cut off with zeros."""
    data = path.read_bytes()
    try:
        header, records, signals = (int(data[a:b]) for a, b in ((184, 192), (236, 244), (252, 256)))
        column = 256 + 216 * signals  # samples per record follow 216 bytes of fields per signal
        samples = sum(int(data[column + 8 * k : column + 8 * k + 8]) for k in range(signals))
    except ValueError as error:
        raise MubinnError(f"{path} cannot be read as EDF; it is damaged or no EDF file.") from error
    if len(data) < header + records * samples * 2:
        raise MubinnError(f"{path} is shorter than its EDF header says; fetch it again.")
