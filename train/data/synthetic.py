"""Synthetic EEG, eyes open against eyes closed: stands in where no recording is given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.recordings import LabelledSet, folds_of, numbered

FS_HZ = 80.0
SCALE_UV = 0.1
_BAND_HZ = (0.5, 35.0)
_MONTAGE = (
    "Fp1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 Oz Pz "
    "Fp2 AF4 Fz F4 F8 FC6 FC2 Cz C4 T8 CP6 CP2 P4 P8 PO4 O2"
)
# Front (1) to back (-1) by the letters of the 10-10 system.
_FRONT = {"Fp": 1.0, "AF": 0.8, "F": 0.55, "FC": 0.3, "C": 0.0, "T": 0.0}
_FRONT |= {"CP": -0.3, "P": -0.55, "PO": -0.8, "O": -1.0}


def synthetic_eeg(
    windows: int = 400,
    steps: int = 320,
    channels: int = 32,
    seed: int = 0,
    subjects: int = 10,
) -> LabelledSet:
    """Make labelled windows of synthetic EEG, at 80 Hz and in 0.5-35 Hz.

    A window is the sum of spatially smooth 1/f noise, beta (13-30 Hz, strongest over the middle),
    alpha (strongest at the back, at the subject's own frequency in 8.5-11.5 Hz and with the
    subject's own amplitude and reactivity) that is weaker with eyes open, and, with eyes open,
    blinks (Gaussian bumps of about 0.1 s, at the front). Subjects overlap: no threshold on alpha
    power separates the classes of all of them. Classes alternate within a subject; subjects are
    dealt to five folds.

    Parameters
    ----------
    windows, steps, channels : int
        Shape of the set. 32 channels carry the names of the 10-10 system, another number lies on
        a line from front to back.
    seed : int
        The same seed and shape give the same set.
    subjects : int
        Number of synthetic subjects; window w belongs to subject ``w * subjects // windows``.

    Returns
    -------
    LabelledSet
        int16 samples, 0.1 uV a unit; class 0 eyes open, class 1 eyes closed.

    Raises
    ------
    MubinnError
        A size is too small: at least 2 windows a subject, 16 steps, 1 channel, 1 subject.
    """
    if subjects < 1 or windows < 2 * subjects or steps < 16 or channels < 1:
        raise MubinnError(
            f"Synthetic EEG of {windows} windows, {steps} steps, {channels} channels and "
            f"{subjects} subjects is too small; it needs 2 windows a subject, 16 steps, 1 channel."
        )
    rng = np.random.default_rng(seed)
    names, front = _layout(channels)
    subject = np.arange(windows) * subjects // windows
    first = np.searchsorted(subject, np.arange(subjects))
    y = (np.arange(windows) - first[subject]) % 2
    x = _background(rng, windows, steps, front)
    x += _alpha(rng, subject, y, steps, front)
    x += _blinks(rng, y, steps, front)
    units = np.clip(np.rint(x / SCALE_UV), -32768, 32767).astype(np.int16)
    return LabelledSet(
        x=units,
        y=y.astype(np.int64),
        subject=subject.astype(np.int64),
        fold=folds_of(subject.astype(np.int64)),
        scale_uv=SCALE_UV,
        fs_hz=FS_HZ,
        channels=names,
        classes=("eyes_open", "eyes_closed"),
    )


def _layout(channels: int) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    names = tuple(_MONTAGE.split())
    if channels == len(names):
        letters = [name.rstrip("0123456789z") for name in names]
        return names, np.array([_FRONT[key] for key in letters])
    names = numbered(channels)
    return names, np.linspace(-1.0, 1.0, channels) if channels > 1 else np.array([-1.0])


def _shaped(
    rng: np.random.Generator, shape: tuple[int, ...], gain: NDArray[np.float64], steps: int
) -> NDArray[np.float64]:
    """Noise of the given spectrum along the last axis, unit variance on average."""
    bins = (*shape, len(gain))
    spectrum = (rng.standard_normal(bins) + 1j * rng.standard_normal(bins)) * gain
    power = 4.0 * np.square(gain).sum() / steps**2
    return np.asarray(np.fft.irfft(spectrum, steps, axis=-1) / np.sqrt(power))


def _background(
    rng: np.random.Generator, windows: int, steps: int, front: NDArray[np.float64]
) -> NDArray[np.float64]:
    freq = np.fft.rfftfreq(steps, 1 / FS_HZ)
    inside = (freq >= _BAND_HZ[0]) & (freq <= _BAND_HZ[1])
    pink = np.where(inside, 1 / np.sqrt(np.maximum(freq, 0.1)), 0.0)
    beta = np.where((freq >= 13) & (freq <= 30), 1.0, 0.0)
    # Volume conduction: neighbours share most of their signal.
    mix = np.exp(-np.square((front[:, None] - front[None, :]) / 0.5)) + np.eye(len(front))
    mix /= np.linalg.norm(mix, axis=1, keepdims=True)
    level = 18.0 * np.exp(0.25 * rng.standard_normal((windows, 1, 1)))
    noise = _shaped(rng, (windows, len(front)), pink, steps).transpose(0, 2, 1) @ mix.T * level
    middle = 3.0 * np.exp(-np.square(front / 0.5))
    return noise + _shaped(rng, (windows, len(front)), beta, steps).transpose(0, 2, 1) * middle


def _alpha(
    rng: np.random.Generator,
    subject: NDArray[np.int64],
    y: NDArray[np.int64],
    steps: int,
    front: NDArray[np.float64],
) -> NDArray[np.float64]:
    subjects = int(subject.max()) + 1
    centre = rng.uniform(8.5, 11.5, subjects)
    closed = 16.0 * np.exp(0.35 * rng.standard_normal(subjects))
    reactivity = rng.uniform(0.15, 0.6, subjects)
    amplitude = closed[subject] * np.where(y == 1, 1.0, reactivity[subject])
    amplitude *= np.exp(0.25 * rng.standard_normal(len(y)))
    # Three lines close together make the waxing and waning of a spindle.
    time = np.arange(steps) / FS_HZ
    offset = rng.uniform(-0.5, 0.5, (len(y), 3, 1))
    phase = rng.uniform(0, 2 * np.pi, (len(y), 3, 1))
    lines = np.sin(2 * np.pi * (centre[subject, None, None] + offset) * time + phase).sum(axis=1)
    posterior = 0.15 + 0.85 / (1 + np.exp(6.0 * (front + 0.4)))
    return np.asarray((amplitude[:, None] * lines)[:, :, None] * posterior * np.sqrt(2 / 3))


def _blinks(
    rng: np.random.Generator, y: NDArray[np.int64], steps: int, front: NDArray[np.float64]
) -> NDArray[np.float64]:
    time = np.arange(steps) / FS_HZ
    count = np.where(y == 0, rng.poisson(0.25 * steps / FS_HZ, len(y)), 0)
    owner = np.repeat(np.arange(len(y)), count)
    at = rng.uniform(0, steps / FS_HZ, (len(owner), 1))
    height = rng.uniform(80, 160, (len(owner), 1))
    trace = np.zeros((len(y), steps))
    np.add.at(trace, owner, height * np.exp(-0.5 * np.square((time - at) / 0.1)))
    return np.asarray(trace[:, :, None] * np.exp(3.0 * (front - 1.0)))
