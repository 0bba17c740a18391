"""The data set object that every loader returns, and the preparation of windows for the LSTM."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model.float_model import CAUSAL, Preprocessing
from mubinn.golden.model.front_end import MOST_WIDTH, FrontEnd

FOLDS = 5
"""Number of subject-wise folds made where a recording names none."""

_CHUNK = 256

NO_LABEL = -1
"""What stands for the class of a step that has none."""

REFERENCED = "referenced-"
"""How normalisations begin that take the average reference first."""


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """Labelled windows of samples, of EEG or any other sensors, checked on construction.

    Parameters
    ----------
    x : ndarray of int16 or float32, shape [windows, steps, channels]
        Samples; ``x * scale_uv`` is in microvolts.
    y : ndarray of int64, shape [windows], or of float64, shape [windows, n]
        Class of each window, ``0 .. len(classes) - 1``; at least two classes occur. Or the numbers
        of each, where there are no classes. Or int64 [windows, steps], the class of each step,
        `NO_LABEL` where a step has none.
    subject : ndarray of int64, shape [windows]
        Subject of each window (any integers).
    fold : ndarray of int64, shape [windows]
        Cross-validation fold of each window, 0 or more; no subject lies in two folds.
    scale_uv : float or None
        Microvolts per unit of `x`; None where nothing says it.
    fs_hz : float or None
        Sampling rate in hertz; None where nothing says it.
    channels, classes : tuple of str
        Names of the channels and of the classes.
    people : bool
        Whether `subject` says whose each window is; False where it only keeps neighbours together.
    names : tuple of str or None
        What subjects 0, 1 and so on are called; None where their numbers are their names.
    units : tuple of str or None
        Unit of each channel of `x`, where a file states them; "" for none.
    notes : tuple of str
        What was left out or assumed in reading, as sentences without a full stop.

    Raises
    ------
    MubinnError
        A shape, type or value above does not hold, or a sample is NaN or infinite.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    subject: NDArray[np.int64]
    fold: NDArray[np.int64]
    scale_uv: float | None
    fs_hz: float | None
    channels: tuple[str, ...]
    classes: tuple[str, ...]
    people: bool = True
    names: tuple[str, ...] | None = None
    units: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_windows(self.x)
        n, _, features = self.x.shape
        for name in ("y", "subject", "fold") if self.classes else ("subject", "fold"):
            column = getattr(self, name)
            shape = self.x.shape[:2] if name == "y" and self.of_steps else (n,)
            if column.shape != shape or column.dtype != np.int64:
                raise MubinnError(
                    f"{name} has shape {column.shape} and type {column.dtype}, "
                    f"but {n} windows need one int64 each."
                )
        _check_positive("scale", "number of uV", self.scale_uv)
        _check_positive("sampling rate", "number", self.fs_hz)
        if len(self.channels) != features:
            raise MubinnError(
                f"{len(self.channels)} channel names are given for {features} channels; "
                "give one name per channel."
            )
        if self.classes:
            self._check_labels()
        elif self.y.ndim != 2 or self.y.dtype != np.float64 or not np.isfinite(self.y).all():
            raise MubinnError("y has neither classes nor float64 numbers [windows, n].")
        self._check_folds()

    def _check_labels(self) -> None:
        if self.y.min() < (NO_LABEL if self.of_steps else 0) or self.y.max() >= len(self.classes):
            raise MubinnError(
                f"Labels run from {self.y.min()} to {self.y.max()}, but there are "
                f"{len(self.classes)} classes; labels count from 0."
            )
        own = np.unique(labelled(self.y))
        if len(own) < 2:
            what = "steps with a label" if self.of_steps else f"{len(self.y)} windows"
            of = f"belong to class {self.classes[own[0]]!r}" if len(own) else "are none"
            raise MubinnError(f"All {what} {of}; training needs at least two classes.")

    def _check_folds(self) -> None:
        if self.fold.min() < 0:
            raise MubinnError(f"Fold {self.fold.min()} is negative; folds count from 0.")
        pairs = np.unique(np.stack([self.subject, self.fold]), axis=1)
        subjects, counts = np.unique(pairs[0], return_counts=True)
        if (counts > 1).any():
            raise MubinnError(
                f"Subject {subjects[counts > 1][0]} lies in several folds; "
                "keep each subject in one fold, or leave the folds out."
            )

    @property
    def of_steps(self) -> bool:
        """Whether `y` has the class of each step."""
        return bool(self.classes) and self.y.ndim == 2

    @property
    def who(self) -> NDArray[np.str_] | None:
        """Name of the subject of each window; None where nothing says whose they are."""
        if not self.people:
            return None
        names = self.subject if self.names is None else np.array(self.names)[self.subject]
        return np.asarray(names.astype(np.str_))

    @property
    def noted(self) -> dict[str, str]:
        """Rate and units, as JSON, where they are known: what a model notes of its data."""
        known = {"rate_hz": self.fs_hz, "units": self.units}
        return {name: json.dumps(value) for name, value in known.items() if value is not None}

    @property
    def windows(self) -> int:
        """Number of windows."""
        return int(self.x.shape[0])

    @property
    def steps(self) -> int:
        """Time steps of a window."""
        return int(self.x.shape[1])

    @property
    def features(self) -> int:
        """Number of channels."""
        return int(self.x.shape[2])

    def take(self, index: NDArray[Any]) -> LabelledSet:
        """Return the windows that a mask or an index array selects, as a set of its own."""
        columns = {name: getattr(self, name)[index] for name in ("x", "y", "subject", "fold")}
        return replace(self, **columns)


@dataclass(frozen=True, eq=False)
class Recording:
    """Windows of which nobody asks for labels, checked on construction.

    Parameters
    ----------
    x : ndarray of int16 or float32, shape [windows, steps, channels]
    subject : ndarray of int64 or str, shape [windows], or None
        Whose each window is, as the file says it.
    fold : ndarray of int64, shape [windows], or None
        Fold of each window, where anything decides it.
    fs_hz, channels, scale_uv, units, notes
        As those of `LabelledSet`.
    y : ndarray of int64, shape [windows] or [windows, steps], or None
        Classes, where the file has labels all the same; `classes` are their names.
    """

    x: NDArray[Any]
    subject: NDArray[Any] | None
    fold: NDArray[np.int64] | None
    fs_hz: float | None
    channels: tuple[str, ...]
    scale_uv: float | None = None
    units: tuple[str, ...] | None = None
    y: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_windows(self.x)
        if len(self.channels) != self.features:
            raise MubinnError(
                f"{len(self.channels)} channel names are given for {self.features} channels; "
                "give one name per channel."
            )

    @property
    def features(self) -> int:
        """Number of channels."""
        return int(self.x.shape[2])

    @property
    def who(self) -> NDArray[np.str_] | None:
        """Name of the subject of each window; None where nothing says whose they are."""
        return None if self.subject is None else np.asarray(self.subject.astype(np.str_))


def _check_positive(what: str, kind: str, value: float | None) -> None:
    if value is not None and not (np.isfinite(value) and value > 0):
        raise MubinnError(f"The {what} must be a positive {kind}, not {value}.")


def numbered(count: int) -> tuple[str, ...]:
    """Return the names that channels have where nothing names them: E1, E2 and so on."""
    return tuple(f"E{k + 1}" for k in range(count))


def check_windows(x: NDArray[Any]) -> None:
    """Raise MubinnError unless `x` is finite int16 or float32 [windows, steps, channels]."""
    if x.ndim != 3 or 0 in x.shape:
        raise MubinnError(
            f"The samples have shape {x.shape}; they must be [windows, steps, channels], none 0."
        )
    if x.dtype not in (np.int16, np.float32):
        raise MubinnError(f"The samples are {x.dtype}; give int16 or float32.")
    if x.dtype == np.float32:
        bad = ~np.isfinite(x).all(axis=(1, 2))
        if bad.any():
            raise MubinnError(
                f"Window {int(np.argmax(bad))} holds NaN or infinite samples ({int(bad.sum())} "
                "such windows); remove or repair them."
            )


def labelled(y: NDArray[Any]) -> NDArray[Any]:
    """Return the labels [N] of windows, or those [M] that steps have, of y [N, T].

    >>> labelled(np.array([[-1, 3], [2, -1]])).tolist()
    [3, 2]
    """
    return y if y.ndim == 1 else y[y != NO_LABEL]


def folds_of(subject: NDArray[np.int64], folds: int = FOLDS) -> NDArray[np.int64]:
    """Deal subjects to folds in turn: the k-th smallest subject goes to fold ``k % folds``."""
    _, rank = np.unique(subject, return_inverse=True)
    return (rank % folds).astype(np.int64)


def pieces_of(y: NDArray[np.int64], pieces: int = FOLDS) -> NDArray[np.int64]:
    """Cut the windows of each class into pieces of neighbours, in place of subjects.

    Windows whose steps have labels, y [windows, steps], are cut as one class.
    """
    y = y if y.ndim == 1 else np.zeros(len(y), np.int64)
    subject = np.empty(len(y), np.int64)
    for label in np.unique(y):
        own = np.flatnonzero(y == label)
        subject[own] = np.arange(len(own)) * pieces // len(own)
    return subject


Normalise = Literal[
    "window", "subject", "referenced-window", "referenced-subject", "causal", "none"
]


def prepare(
    x: NDArray[Any],
    *,
    normalise: Normalise = "window",
    decimate: int = 2,
    subject: NDArray[np.int64] | None = None,
    constants: Mapping[str, int] | None = None,
) -> NDArray[np.float32]:
    """Make LSTM inputs of raw windows.

    With ``normalise="window"`` each channel's mean over the window's steps is subtracted, and all
    is divided by one population standard deviation, taken over the steps and channels of the
    window. With ``"subject"`` mean and standard deviation are those of each channel over all
    windows of the subject: an unlabelled recording of each subject stands behind it. Before either,
    ``"referenced-window"`` and ``"referenced-subject"`` subtract from every step its mean over the
    channels, the average reference of EEG, so that what all channels share is gone. Then every
    `decimate` consecutive steps are averaged; steps that do not fill a last group are left out.
    Arithmetic is float64, rounded once to float32 (nearest even), so a window's result does not
    depend on windows of other subjects nor on the scale of `x`. ``"causal"`` is the arithmetic in
    integers that hardware does sample by sample, `mubinn.golden.model.front_end.FrontEnd`, from
    each window's first sample on: it sums up `decimate` steps and takes whole numbers alone.

    Parameters
    ----------
    x : ndarray of int16 or float32, shape [windows, steps, channels]
    normalise : "window", "subject", "referenced-window", "referenced-subject", "causal" or "none"
    decimate : int
        Steps averaged into one, 1 or more.
    subject : ndarray of int64, shape [windows], or None
        Whose window each is; needed where it is normalised by subject.
    constants : mapping of str to int, optional
        Of ``"causal"``, `mubinn.golden.model.float_model.CONSTANTS`; the usual ones without it.

    Returns
    -------
    ndarray of float32, shape [windows, steps // decimate, channels]
        In standard deviations (in units of `x` with ``normalise="none"``, in powers of two near
        the mean magnitude with ``"causal"``).

    Raises
    ------
    MubinnError
        A wrong shape or type, NaN, a window in which every channel is constant (a channel, by
        subject), an unknown normalisation, subjects missing, a decimation outside 1 .. steps, or
        with ``"causal"`` another one than 1, 2 and 4, or samples that are no integers.
    """
    check_windows(x)
    n, steps, features = x.shape
    if normalise not in get_args(Normalise):
        raise MubinnError(
            f"Normalisation {normalise!r} is unknown; use one of {', '.join(get_args(Normalise))}."
        )
    if normalise.startswith(REFERENCED) and features < 2:
        raise MubinnError(
            f"Normalisation {normalise!r} takes the mean over the channels off, and there is one "
            "channel alone; use 'window' or 'subject'."
        )
    if not 1 <= decimate <= steps:
        raise MubinnError(f"Decimation {decimate} does not fit windows of {steps} steps.")
    how = Preprocessing(normalise, decimate, **(constants or {}))
    kept = steps // decimate
    out = np.empty((n, kept, features), np.float32)
    for part in _parts(n, normalise, subject):
        if normalise == CAUSAL:
            out[part] = _causal(x[part, : kept * decimate], how)
            continue
        values = _normalised(x[part].astype(np.float64), normalise, int(part[0]))
        grouped = values[:, : kept * decimate].reshape(len(part), kept, decimate, features)
        out[part] = grouped.mean(axis=2)
    return out


def _parts(
    n: int, normalise: Normalise, subject: NDArray[np.int64] | None
) -> Iterator[NDArray[np.int64]]:
    """Yield the windows that are prepared at once, which bounds the float64 copy."""
    if not normalise.endswith("subject"):
        for start in range(0, n, _CHUNK):
            yield np.arange(start, min(start + _CHUNK, n))
        return
    if subject is None or subject.shape != (n,):
        raise MubinnError(
            "Normalisation by subject needs to know whose window each is: give the subjects."
        )
    for one in np.unique(subject):
        yield np.flatnonzero(subject == one)


def whole_numbers(x: NDArray[Any]) -> NDArray[np.int64]:
    """Return samples as the integers of an ADC; raise `MubinnError` where they have fractions.

    >>> whole_numbers(np.array([2.0, -3.0])).tolist()
    [2, -3]
    """
    whole = x.astype(np.int64)
    if (whole != x).any():
        raise MubinnError(
            "Normalisation 'causal' takes samples as an ADC gives them, whole numbers, and these "
            "have fractions: give X in units of its least step, and of recordings this step as "
            "--lsb."
        )
    return whole


def counted(samples: Floats, lsb: float) -> Floats:
    """Return samples as an ADC of 24 bits counts them: the nearest whole number of its steps.

    >>> counted(np.array([0.75, -1.0]), 0.5).tolist()
    [2.0, -2.0]

    Parameters
    ----------
    samples : float64 [n]
    lsb : float
        Its step, in the unit of the samples. A half goes to the even one.

    Raises
    ------
    MubinnError
        A sample is beyond 24 bits.
    """
    whole, most = np.rint(samples / lsb), 1 << MOST_WIDTH - 1
    if whole.size and not (whole.min() >= -most and whole.max() < most):
        raise MubinnError(
            f"Samples of up to {np.abs(samples).max():g} are beyond {MOST_WIDTH} bits in steps of "
            f"{lsb:g}: give a larger --lsb."
        )
    return np.asarray(whole, np.float64)


def _causal(x: NDArray[Any], how: Preprocessing) -> Floats:
    """Return windows as the front end of hardware makes them of the integers of an ADC."""
    front_end = FrontEnd.made(how, x.shape[2], MOST_WIDTH)
    steps, _ = front_end.run(whole_numbers(x))
    return np.asarray(np.ldexp(steps.astype(np.float64), -INPUT_FRACTION))


def _normalised(values: Floats, normalise: Normalise, first: int) -> Floats:
    """Return float64 windows normalised; `first` is the number of the first, for messages."""
    if normalise == "none":
        return values
    flat = "constant"
    if normalise.startswith(REFERENCED):
        values = values - values.mean(axis=2, keepdims=True)
        flat = "constant beside the mean of all"
    if normalise.endswith("subject"):
        values = values - values.mean(axis=(0, 1))
        std = np.sqrt(np.square(values).mean(axis=(0, 1)))
        if (std == 0).any():
            raise MubinnError(
                f"Channel {int(np.argmin(std))} is {flat} in all windows of the subject of "
                f"window {first}, so it cannot be normalised; remove the subject or the channel."
            )
        return np.asarray(values / std, np.float64)
    values = values - values.mean(axis=1, keepdims=True)
    std = np.sqrt(np.square(values).mean(axis=(1, 2), keepdims=True))
    if (std == 0).any():
        raise MubinnError(
            f"Window {first + int(np.argmin(std))} is flat: every channel is {flat}, "
            "so it cannot be normalised; remove such windows."
        )
    return np.asarray(values / std, np.float64)
