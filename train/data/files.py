"""Loading of labelled EEG from NumPy files, without pickle."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.recordings import FOLDS, EegSet, folds_of

DATA_NAME = "eeg_eegmmidb_eyes.npz"
"""File name of the eyes open/closed windows of the PhysioNet motor imagery database."""

_READ_ERRORS = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, MemoryError)


def find_data(name: str = DATA_NAME) -> Path | None:
    """Find an optional data file, or return None.

    Looks in ``$MUBINN_SHARED/data`` and ``$MUBINN_SHARED`` where that variable is set, otherwise
    in ``shared/data`` beside the folder that holds ``train/``. Nothing requires the file.
    """
    shared = os.environ.get("MUBINN_SHARED")
    root = Path(shared) if shared else Path(__file__).resolve().parents[3] / "shared"
    for candidate in (root / "data" / name, root / name):
        if candidate.is_file():
            return candidate
    return None


def load_eeg(
    path: str | Path,
    *,
    labels: str | Path | None = None,
    subjects: str | Path | None = None,
    fs_hz: float | None = None,
) -> EegSet:
    """Load labelled windows from an .npz or .npy file.

    An .npz holds ``X`` (or ``x``) [windows, steps, channels] and ``y`` [windows], and may hold
    ``scale_uV``, ``subject``, ``fold``, ``fs_hz``, ``channels`` and ``classes``. An .npy holds X
    alone; its labels come from `labels`, by default the sibling ``<stem>_y.npy``.

    Samples stay int16 where they are; other numbers become float32. Labels may be integers from 0
    or any values that sort, which are then numbered in order. Without subjects, the windows of
    each class are cut into five contiguous pseudo-subjects, so that folds do not mix neighbours
    in time; without folds, subjects are dealt to five folds.

    Parameters
    ----------
    path : str or Path
    labels, subjects : str or Path, optional
        .npy files [windows] that take the place of the ``y`` and ``subject`` of `path`.
    fs_hz : float, optional
        Sampling rate in hertz where the file has none (default 1.0).

    Returns
    -------
    EegSet

    Raises
    ------
    MubinnError
        The file is missing, truncated, of another kind, needs pickle, or holds data that
        `EegSet` refuses.
    """
    path = Path(path)
    fields = _read(path)
    if path.suffix == ".npy" and labels is None:
        labels = path.with_name(f"{path.stem}_y.npy")
        if not labels.is_file():
            raise MubinnError(
                f"{path} holds no labels and {labels.name} is not beside it; name their file."
            )
    if labels is not None:
        fields["y"] = _read_npy(Path(labels))
    if subjects is not None:
        fields["subject"] = _read_npy(Path(subjects))
    if fs_hz is not None:
        fields.setdefault("fs_hz", np.asarray(fs_hz))
    return _assemble(path, fields)


def load_windows(path: Path) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Load windows without labels, of which a file may have none.

    Returns
    -------
    x : [windows, steps, channels]
    subject : int64 [windows] or None
        None where the file names none.

    Raises
    ------
    MubinnError
        The file is missing, truncated, of another kind, or has no windows.
    """
    fields = _read(path)
    if "X" not in fields:
        raise MubinnError(f"{path} has no array 'X'; it must hold windows under that name.")
    x = _samples(path, fields["X"])
    subject = _integers(path, "subject", fields["subject"]) if "subject" in fields else None
    if subject is not None and len(subject) != len(x):
        raise MubinnError(
            f"{path} has {len(x)} windows but {len(subject)} subjects; give one each."
        )
    return x, subject


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name; those of an .npy file are windows."""
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix == ".npy":
        return {"X": _read_npy(path)}
    raise MubinnError(f"{path} is neither .npz nor .npy; convert it, or load EDF with mne.")


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {("X" if key == "x" else key): archive[key] for key in archive.files}
    except _READ_ERRORS as error:
        raise _unreadable(path, error) from error


def _read_npy(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as file:  # NumPy leaves files it fails on open
            array = np.load(file, allow_pickle=False)
    except _READ_ERRORS as error:
        raise _unreadable(path, error) from error
    if not isinstance(array, np.ndarray):
        raise MubinnError(f"{path} is named .npy but holds an archive; rename it to .npz.")
    return array


def _unreadable(path: Path, error: BaseException) -> MubinnError:
    if not path.exists():
        return MubinnError(f"{path} does not exist; check the path of the EEG data.")
    if "pickle" in str(error).lower():
        return MubinnError(
            f"{path} holds pickled objects or is no NumPy file; save plain arrays of numbers."
        )
    return MubinnError(f"{path} cannot be read as NumPy data; it is truncated or damaged.")


def _assemble(path: Path, fields: dict[str, NDArray[Any]]) -> EegSet:
    for key in ("X", "y"):
        if key not in fields:
            raise MubinnError(f"{path} has no array {key!r}; it must hold X and y.")
    x = _samples(path, fields["X"])
    y, classes = _labels(path, fields["y"], fields.get("classes"))
    if len(y) != len(x):
        raise MubinnError(f"{path} has {len(x)} windows but {len(y)} labels; give one each.")
    subject = _integers(path, "subject", fields["subject"]) if "subject" in fields else _pseudo(y)
    fold = _integers(path, "fold", fields["fold"]) if "fold" in fields else folds_of(subject)
    names = fields.get("channels", np.array([f"E{k + 1}" for k in range(x.shape[2])]))
    return EegSet(
        x=x,
        y=y,
        subject=subject,
        fold=fold,
        scale_uv=_number(path, fields, "scale_uV"),
        fs_hz=_number(path, fields, "fs_hz"),
        channels=tuple(str(name) for name in np.atleast_1d(names)),
        classes=classes,
    )


def _samples(path: Path, x: NDArray[Any]) -> NDArray[Any]:
    if x.ndim != 3 or 0 in x.shape:
        raise MubinnError(f"{path} has X of shape {x.shape}; need [windows, steps, channels].")
    if x.dtype.kind not in "iuf":
        raise MubinnError(f"{path} has X of type {x.dtype}; it must hold real numbers.")
    return x if x.dtype == np.int16 else x.astype(np.float32)


def _labels(
    path: Path, y: NDArray[Any], classes: NDArray[Any] | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if y.ndim != 1 or y.dtype.kind not in "iufUSb" or not len(y):
        raise MubinnError(f"{path} has labels of shape {y.shape}; they must be [windows].")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise MubinnError(f"{path} has labels that are NaN or infinite; remove those windows.")
    values, codes = np.unique(y, return_inverse=True)
    if classes is not None:
        names = tuple(str(name) for name in np.atleast_1d(classes))
        if y.dtype.kind in "iu":
            return y.astype(np.int64), names
        if len(names) != len(values):
            raise MubinnError(f"{path} names {len(names)} classes but has {len(values)} labels.")
        return codes.astype(np.int64), names
    return codes.astype(np.int64), tuple(str(value) for value in values)


def _integers(path: Path, name: str, column: NDArray[Any]) -> NDArray[np.int64]:
    if column.dtype.kind not in "iu":
        raise MubinnError(f"{path} has a {name} array of type {column.dtype}; give integers.")
    return column.astype(np.int64)


def _number(path: Path, fields: dict[str, NDArray[Any]], key: str) -> float:
    value = fields.get(key, np.asarray(1.0))
    if value.size != 1 or value.dtype.kind not in "iuf":
        raise MubinnError(f"{path} has a {key} that is not one number; store a scalar.")
    return float(value.reshape(()))


def _pseudo(y: NDArray[np.int64]) -> NDArray[np.int64]:
    subject = np.empty(len(y), np.int64)
    for label in np.unique(y):
        own = np.flatnonzero(y == label)
        subject[own] = np.arange(len(own)) * FOLDS // len(own)
    return subject
