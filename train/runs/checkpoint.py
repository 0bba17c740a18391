"""Checkpoints that survive a kill at any moment, and the training log. NumPy only."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import write_file

_META = "meta"


def save_checkpoint(
    path: Path, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]
) -> None:
    """Write named arrays and a JSON-able `meta` to one .npz, atomically and without pickle."""
    text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{_META: text, **arrays})
    write_file(path, buffer.getvalue(), parents=True)


def load_checkpoint(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read back (arrays, meta).

    Raises
    ------
    MubinnError
        The file is damaged (the archive's CRC covers every array) or no checkpoint.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(arrays.pop(_META).tobytes())
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise MubinnError(
            f"{path} is damaged or no checkpoint; delete it to train from the start."
        ) from error
    return arrays, meta


def write_log(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, atomically: ``pandas.read_json(path, lines=True)`` reads it.

    The whole file is written each time, so that a resumed run's log equals that of one which was
    never interrupted, but for the times.
    """
    text = "".join(json.dumps(row) + "\n" for row in rows)
    write_file(path, text.encode(), parents=True)
