"""Which reader a file is for, told by its content; the recordings of a folder."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from mubinn.golden.ground.arrays import NPY, ZIP, beginning
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import reason_of
from mubinn.train.data.edf import is_edf, read_edf
from mubinn.train.data.signals import Signals
from mubinn.train.data.through_mne import ENDINGS, FOLDERS, read_mne

ARRAY_ENDINGS = (".npz", ".npy")


def is_arrays(path: Path) -> bool:
    """Return whether a file holds NumPy's arrays, or is called as if it did.

    Raises
    ------
    MubinnError
        There is no such file.
    """
    if path.is_dir() or (path.suffix.lower() in ARRAY_ENDINGS and not is_edf(beginning(path))):
        return path.is_file()
    start = beginning(path)
    if not start.startswith(ZIP):
        return start.startswith(NPY)
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return all(name.endswith(".npy") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False


def is_recording(path: Path) -> bool:
    """Return whether a path is one of a recording: by its content, else by its ending."""
    ending = path.name.lower().endswith
    if path.is_dir():
        return ending(FOLDERS)
    if path.suffix.lower() == ".eeg" and path.with_suffix(".vhdr").exists():
        return False  # samples of BrainVision, which are read by their header
    return is_edf(beginning(path)) or ending(ENDINGS)


def read_signals(path: Path) -> Signals:
    """Return a recording of any format.

    Raises
    ------
    MubinnError
        The file is missing, damaged, or of no format that is known.
    """
    if path.is_dir():
        return read_mne(path)
    start = beginning(path)
    if is_edf(start):
        return read_edf(path)
    if path.suffix.lower() in (".edf", ".bdf", ".rec"):
        raise MubinnError(
            f"{path} does not begin as EDF or BDF does: it is damaged or of another format; "
            "fetch or export it again."
        )
    return read_mne(path)


def recordings_of(paths: Sequence[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return the recordings that paths of files and folders name, and notes of what is left out.

    Raises
    ------
    MubinnError
        A folder holds none, or a file is named twice.
    """
    found: list[Path] = []
    notes: list[tuple[Path, str]] = []
    for path in paths:
        if not path.is_dir() or path.name.lower().endswith(FOLDERS):
            found.append(path)
            continue
        files = _files(path)
        own = [file for file in files if is_recording(file)]
        if not own:
            raise MubinnError(f"{path} holds no recordings: give a folder of EDF or BDF files.")
        if len(own) < len(files):
            notes.append((path, f"{len(files) - len(own)} files left out, no recordings"))
        found += own
    seen: set[Path] = set()
    for path in found:
        if path.resolve() in seen:
            raise MubinnError(f"{path} is given twice: name each recording once.")
        seen.add(path.resolve())
    return found, notes


def _files(folder: Path) -> list[Path]:
    """Return the files below a folder, in order, without hidden ones; a `FOLDERS` one is one."""
    found: list[Path] = []
    try:
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            inside = path.is_dir() and not path.name.lower().endswith(FOLDERS)
            found += _files(path) if inside else [path]
    except OSError as error:
        raise MubinnError(
            f"{folder} cannot be read: {reason_of(error)}; give another path."
        ) from error
    return found
