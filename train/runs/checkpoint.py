"""Checkpoints that survive a kill at any moment, and the training log. NumPy only."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.arrays import read_arrays, write_arrays
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import write_file

_META = "meta"


def save_checkpoint(
    path: Path, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]
) -> None:
    """Write named arrays and a JSON-able `meta` to one .npz, atomically and without pickle."""
    text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    write_arrays(path, {_META: text, **arrays}, parents=True)


def load_checkpoint(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read back (arrays, meta).

    Raises
    ------
    MubinnError
        The file is damaged (the archive's CRC covers every array) or no checkpoint.
    """
    try:
        arrays = read_arrays(path)
        if not isinstance(arrays, dict):
            raise TypeError("one array")
        meta = json.loads(arrays.pop(_META).tobytes())
        if not isinstance(meta, dict):
            raise TypeError("no object")
    except (MubinnError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(path) from error
    return arrays, meta


def damaged(path: Path) -> MubinnError:
    """Return what to tell of a checkpoint that cannot be gone on from."""
    return MubinnError(f"{path} is damaged or no checkpoint; delete it to train from the start.")


@contextlib.contextmanager
def alone_in(folder: Path | None) -> Iterator[None]:
    """Hold a run's folder, which is made where there is none, while its run trains.

    Whatever ends the process lets go of it, a kill as well. A file system without locks holds none.

    Raises
    ------
    MubinnError
        Another process holds it, and would do the same work.
    """
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MubinnError(
                f"Another process trains in {folder}: wait until it is done, or give another "
                "folder."
            ) from error
        except OSError:
            pass  # A file system without locks.
        yield
    finally:
        os.close(held)


def write_log(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, atomically: ``pandas.read_json(path, lines=True)`` reads it.

    The whole file is written each time, so that a resumed run's log equals that of one which was
    never interrupted, but for the times.
    """
    text = "".join(json.dumps(row) + "\n" for row in rows)
    write_file(path, text.encode(), parents=True)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a log.

    Raises
    ------
    MubinnError
        The file is unreadable, or a line is no JSON object.
    """
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError, RecursionError) as error:
        raise no_log(path) from error
    if not all(isinstance(row, dict) for row in rows):
        raise no_log(path)
    return rows


def no_log(path: Path) -> MubinnError:
    """Return what to tell of a log that was not written by a training run."""
    return MubinnError(f"{path} is no log of a training run: remove its folder or train it anew.")
