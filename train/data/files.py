"""Loading of recordings from NumPy and EDF files, without pickle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.arrays import NPY, ZIP, beginning, read_arrays
from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.columns import (
    Labels,
    are_of_steps,
    integers,
    labels_of,
    labels_of_steps,
    named,
    numbers_of,
    texts,
)
from mubinn.train.data.joining import joined
from mubinn.train.data.recordings import LabelledSet, Recording, folds_of, numbered, pieces_of

DATA_NAME = "eeg_eegmmidb_eyes.npz"
"""File name of the eyes open/closed windows of the PhysioNet motor imagery database."""

NAMES = {
    "X": ("x",),
    "y": ("y", "label", "labels"),
    "subject": ("subject", "subjects", "subject_id", "subject_ids", "group", "groups"),
    "fold": ("fold", "folds"),
    "scale_uV": ("scale_uv",),
    "fs_hz": ("fs_hz", "fs", "sfreq"),
    "channels": ("channels", "ch_names"),
    "classes": ("classes", "class_names"),
}
"""What an array of an .npz file is called, in small letters."""

OFFSET = 1e-3
"""Steps of float32, in standard deviations of a channel, from which samples would suffer."""


def find_data(name: str = DATA_NAME) -> Path | None:
    """Find an optional data file, or return None.

    Looks in ``$MUBINN_SHARED/data`` and ``$MUBINN_SHARED`` where that variable is set, otherwise
    in ``shared/data`` beside the folder that holds ``train/``. Nothing requires the file.
    """
    shared = os.environ.get("MUBINN_SHARED")
    root = Path(shared) if shared else Path(__file__).resolve().parents[3] / "shared"
    for candidate in (root / "data" / name, root / name):
        try:
            if candidate.is_file():
                return candidate
        except (OSError, ValueError):  # a name too long, or with a NUL
            return None
    return None


def load_labelled(
    path: str | Path | Sequence[Path],
    *,
    labels: str | Path | None = None,
    subjects: str | Path | None = None,
    fs_hz: float | None = None,
    by_windows: bool = False,
    numbers: bool = False,
) -> LabelledSet:
    """Load labelled windows from .npz or .npy files, which are known by their content.

    An .npz holds ``X`` (or ``x``) [windows, steps, channels] and ``y`` [windows], and may hold
    ``scale_uV``, ``subject``, ``fold``, ``fs_hz``, ``channels`` and ``classes``; `NAMES` lists
    other spellings. An .npy holds X alone; its labels come from `labels`, by default the sibling
    ``<stem>_y.npy``.

    Samples stay int16 where they are; other numbers become float32. X of whole numbers [windows,
    steps] is one channel, such as words by their numbers. Labels are text or numbers.
    Whole numbers y [windows, steps] are labels of steps, with -1 where a step has none.
    With ``classes`` they are numbered in its order: text names a class, and whole numbers count
    the classes from 0, or are values of it where it holds numbers. Without it they are numbered
    as they sort. Subjects are numbers or names. Without subjects, those of each fold are taken as
    one; without both, the windows of each class are cut into five contiguous pseudo-subjects, so
    that folds do not mix neighbours in time. Without folds, subjects are dealt to five folds.

    Several files are read as one set; see `mubinn.train.data.joining`.

    Parameters
    ----------
    path : str, Path or sequence of Path
    labels, subjects : str or Path, optional
        .npy files [windows] that take the place of the ``y`` and ``subject`` of the one `path`.
    fs_hz : float, optional
        Sampling rate in hertz where the file has none.
    by_windows : bool
        Take no notice of subjects and folds: cut pseudo-subjects, as where the file names none.
    numbers : bool
        Take y for the numbers of a regression, [windows] or [windows, n].

    Returns
    -------
    LabelledSet

    Raises
    ------
    MubinnError
        A file is missing, truncated, of another kind, needs pickle, or holds data that
        `LabelledSet` refuses; or an array, such as one of people, has a name that is not known; or
        several files differ in what they hold.
    """
    paths = _listed(path, labels, subjects)
    parts = [_fields(one, labels, subjects, people=not by_windows) for one in paths]
    for fields in parts:
        if by_windows:
            fields.pop("subject", None)
            fields.pop("fold", None)
        if fs_hz is not None:
            fields.setdefault("fs_hz", np.asarray(fs_hz))
    fields, notes = joined(paths, parts)
    return _assemble(paths[0], fields, notes, numbers)


def load_windows(
    path: Path | Sequence[Path],
    *,
    labels: Path | None = None,
    subjects: Path | None = None,
    numbers: bool = False,
) -> Recording:
    """Load windows of which nobody asks for labels; the arguments are those of `load_labelled`.

    With `numbers`, for a regression, several numbers a window are left out, which are no classes.

    Raises
    ------
    MubinnError
        A file is missing, truncated, of another kind, or has no windows; or several files differ
        in what they hold.
    """
    paths = _listed(path, labels, subjects)
    parts = [_fields(p, labels, subjects, labelled=False) for p in paths]
    for own in parts:
        if numbers and "y" in own and own["y"].ndim == 2 and 1 not in own["y"].shape:
            del own["y"]
    fields, notes = joined(paths, parts)
    path, x = paths[0], fields["X"]
    y: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    if "y" in fields:
        y, classes = _classes(path, fields)
    _, fold = _people(path, fields, len(x), y)
    return Recording(
        x=x,
        subject=named(path, "subject", fields.get("subject"), len(x)),
        fold=fold,
        fs_hz=_number(path, fields, "fs_hz"),
        channels=_channels(path, fields, x.shape[2]),
        scale_uv=_number(path, fields, "scale_uV"),
        units=_units(fields, x.shape[2]),
        y=y,
        classes=classes,
        notes=notes,
    )


def _listed(
    path: str | Path | Sequence[Path], labels: str | Path | None, subjects: str | Path | None
) -> list[Path]:
    """Return the paths of the files; labels and subjects from elsewhere are of one alone."""
    paths = [Path(path)] if isinstance(path, str | Path) else list(path)
    for what, key, given in (("labels", "y", labels), ("subjects", "subject", subjects)):
        if given is not None and len(paths) > 1:
            raise MubinnError(
                f"{given} has the {what} of one file of windows, and there are {len(paths)}: store "
                f"the {what} of each in it, as {key} in an .npz."
            )
    return paths


def _fields(
    path: Path,
    labels: str | Path | None,
    subjects: str | Path | None,
    *,
    labelled: bool = True,
    people: bool = True,
) -> dict[str, NDArray[Any]]:
    """Return the arrays that `load_labelled` reads, by its names."""
    start = beginning(path)
    if not start.startswith((ZIP, NPY)) and path.suffix.lower() not in (".npz", ".npy"):
        raise MubinnError(
            f"{path} is neither .npz nor .npy; of recordings, such as "
            "EDF, windows are cut by load_recordings."
        )
    read = read_arrays(path)
    fields = _known(path, read) if isinstance(read, dict) else {"X": read}
    sibling = path.with_name(f"{path.stem}_y.npy")
    if not isinstance(read, dict) and labels is None:
        if sibling.is_file():
            labels = sibling
        elif labelled:
            raise MubinnError(
                f"{path} holds no labels and {sibling.name} is not beside it; name their file."
            )
    if labels is not None:
        fields["y"] = _column(Path(labels))
    if subjects is not None:
        fields["subject"] = _column(Path(subjects))
    if labelled and people and isinstance(read, dict) and "subject" not in fields:
        _check_no_people(path, read)
    for key in ("X", "y") if labelled else ("X",):
        if key not in fields:
            what = "X and y" if labelled else "windows under that name"
            raise MubinnError(f"{path} has no array {key!r}; it must hold {what}.")
    fields["X"] = _samples(path, fields["X"])
    return fields


def _known(path: Path, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays that have a name in `NAMES`, by it."""
    found: dict[str, NDArray[Any]] = {}
    spelled: dict[str, str] = {}
    for name, array in arrays.items():
        key = next((key for key, names in NAMES.items() if name.lower() in names), None)
        if key is None:
            continue
        if key in found:
            raise MubinnError(
                f"{path} holds both {spelled[key]!r} and {name!r}, of which one is to be read: "
                "leave one out."
            )
        found[key], spelled[key] = array, name
    return found


def _check_no_people(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Refuse an array of a name unknown that may say whose the windows are: folds would mix."""
    known = {name for names in NAMES.values() for name in names}
    count = max((len(a) for name, a in arrays.items() if name.lower() == "x" and a.ndim), default=0)
    for name, array in arrays.items():
        if name.lower() not in known and count > 1 and array.size == count:
            raise MubinnError(
                f"{path} names no subjects, but its array {name[:80]!r} has one value a window: "
                "call it subject where it says whose each is, or leave it out."
            )


def _column(path: Path) -> NDArray[Any]:
    array = read_arrays(path)
    if isinstance(array, dict):
        raise MubinnError(f"{path} is an archive of arrays; give an .npy file of one value each.")
    return array


def _assemble(
    path: Path, fields: dict[str, NDArray[Any]], notes: tuple[str, ...], numbers: bool
) -> LabelledSet:
    x = fields["X"]
    kinds: NDArray[np.int64] = np.zeros(len(x), np.int64)
    classes: tuple[str, ...] = ()
    if not numbers:
        kinds, classes = _classes(path, fields)
    y = numbers_of(path, fields["y"], fields.get("classes"), len(x)) if numbers else kinds
    subject, fold = _people(path, fields, len(x), kinds)
    assert subject is not None
    assert fold is not None
    return LabelledSet(
        x=x,
        y=y,
        subject=subject,
        fold=fold,
        scale_uv=_number(path, fields, "scale_uV"),
        fs_hz=_number(path, fields, "fs_hz"),
        channels=_channels(path, fields, x.shape[2]),
        classes=classes,
        people="subject" in fields,
        names=_names(path, fields, len(x)),
        units=_units(fields, x.shape[2]),
        notes=notes,
    )


def _classes(path: Path, fields: dict[str, NDArray[Any]]) -> Labels:
    """Return the classes of windows [N], or of their steps [N, T], and the names of classes."""
    x, y, names = fields["X"], fields["y"], fields.get("classes")
    if are_of_steps(y, x):
        return labels_of_steps(path, y, names)
    return labels_of(path, y, names, len(x))


def _samples(path: Path, x: NDArray[Any]) -> NDArray[Any]:
    """Return windows as int16 or float32, into which they have to fit; words as one channel."""
    if x.ndim == 2 and x.dtype.kind in "iu":
        x = x[:, :, None]
    if x.ndim != 3 or 0 in x.shape:
        frames = "; pixels of frames are steps, X.reshape(windows, -1, channels)" * (x.ndim == 5)
        raise MubinnError(
            f"{path} has X of shape {x.shape}; need [windows, steps, channels]{frames}."
        )
    if x.dtype.kind not in "iuf":
        raise MubinnError(f"{path} has X of type {x.dtype}; it must hold real numbers.")
    if x.dtype in (np.int16, np.float32):
        return x
    top = np.max(np.abs(x.astype(np.float64)), axis=(0, 1))
    if np.isfinite(top).all():
        if top.max() > np.finfo(np.float32).max:
            raise MubinnError(
                f"{path} has samples up to {top.max():.3g}, beyond float32: give them in "
                "another unit."
            )
        spread = x.std(axis=(0, 1), dtype=np.float64)
        lost = (spread > 0) & (np.spacing(top.astype(np.float32)) > OFFSET * spread)
        if lost.any():
            worst = int(np.argmax(lost))
            raise MubinnError(
                f"{path} has samples up to {top[worst]:.3g} in channel {worst} that spread by "
                f"{spread[worst]:.3g} alone, which float32 cannot hold: take the mean off first."
            )
    return x.astype(np.float32)


def _people(
    path: Path, fields: dict[str, NDArray[Any]], count: int, y: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Return subject and fold of each window; None where nothing in the file decides them."""
    own = named(path, "subject", fields.get("subject"), count)
    fold = integers(path, "fold", fields["fold"], count) if "fold" in fields else None
    if own is not None:
        _, codes = np.unique(own, return_inverse=True)
        subject = own if own.dtype == np.int64 else codes.astype(np.int64)
    elif fold is not None:
        subject = fold
    elif y is not None:
        subject = pieces_of(y)
    else:
        return None, None
    return subject, folds_of(subject) if fold is None else fold


def _names(path: Path, fields: dict[str, NDArray[Any]], count: int) -> tuple[str, ...] | None:
    """Return the names of subjects, in the order of their numbers, where they are text."""
    own = named(path, "subject", fields.get("subject"), count)
    return None if own is None or own.dtype == np.int64 else tuple(np.unique(own).tolist())


def _channels(path: Path, fields: dict[str, NDArray[Any]], count: int) -> tuple[str, ...]:
    if "channels" not in fields:
        return numbered(count)
    return texts(path, "channels", fields["channels"])


def _units(fields: dict[str, NDArray[Any]], count: int) -> tuple[str, ...] | None:
    """Return the units of samples, which `scale_uV` says are steps of so many microvolts."""
    return (f"{fields['scale_uV']:g} uV",) * count if "scale_uV" in fields else None


def _number(path: Path, fields: dict[str, NDArray[Any]], key: str) -> float | None:
    value = fields.get(key)
    if value is None:
        return None
    if value.size != 1 or value.dtype.kind not in "iuf":
        raise MubinnError(f"{path} has a {key} that is not one number; store a scalar.")
    return float(value.reshape(()))
