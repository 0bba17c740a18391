"""Models of other programs: PyTorch, Keras, ONNX; which one a file is follows from its content."""

import json
import os
from pathlib import Path

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.archive import DAMAGED, read_zip
from mubinn.golden.importers.keras import of_archive, of_h5
from mubinn.golden.importers.onnx import of_onnx
from mubinn.golden.importers.parts import NAMES, ImportOptions
from mubinn.golden.importers.torch import of_pt, of_safetensors
from mubinn.golden.importers.torch_file import read_archive, read_stream
from mubinn.golden.model.container import HDF5, MAX_HEADER, METADATA, PICKLE, ZIP, read_bytes
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.model_file import load_float

UNREADABLE = (
    AttributeError,
    LookupError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
"""A damaged file may fail wherever its parts are used first, in its library or here."""


def import_model(path: str | os.PathLike[str], options: ImportOptions | None = None) -> FloatModel:
    """Return the float model that the file `path` holds, whichever program made it.

    Taken are float models of `mubinn.golden.model.model_file`, PyTorch state dictionaries
    (safetensors, or ``.pt``, of which nothing is executed), Keras models (``.keras``, ``.h5``) and
    ONNX graphs. Models of other programs read their input as it is: no preprocessing. `options`
    are what such a file leaves open; a file of ours leaves nothing open.

    Raises
    ------
    MubinnError
        For a file that is missing, damaged or of another kind, for a model that is more than
        recurrent layers and a classifier, and where an option is needed or does not fit.
    """
    source, options = Path(path), options or ImportOptions()
    data = read_bytes(source)
    if is_ours(data):
        try:
            options.demand_absent("a model of this program", *NAMES)
        except MubinnError as error:
            raise MubinnError(f"{source}: {error}") from None
        return load_float(source)
    try:
        # Checks for NaN and infinity say more than NumPy's warnings on the way there.
        with np.errstate(all="ignore"):
            return _foreign(data, options, source.parent)
    except MubinnError as error:
        text = str(error)
    except UNREADABLE:
        text = DAMAGED
    raise MubinnError(f"{source} cannot be imported: {text.rstrip('.')}.")


def is_ours(data: bytes) -> bool:
    """Return whether the bytes are a safetensors file with this program's metadata."""
    length = int.from_bytes(data[:8], "little")
    if data[8:9] != b"{" or length > min(MAX_HEADER, len(data) - 8):
        return False
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        return False
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return isinstance(metadata, dict) and set(metadata) == METADATA


def is_our_file(path: str | os.PathLike[str]) -> bool:
    """Return `is_ours` of a file; raise `MubinnError` where it cannot be read."""
    return is_ours(read_bytes(Path(path)))


def _foreign(data: bytes, options: ImportOptions, folder: Path) -> FloatModel:
    if not data:
        raise MubinnError("it is empty: copy or export it again")
    if data[8:9] == b"{" and not data.startswith(ZIP):
        return of_safetensors(data, options)
    if data.startswith(ZIP):
        archive = read_zip(data)
        names = set(archive.namelist())
        if {"config.json", "model.weights.h5"} <= names:
            return of_archive(archive, options)
        if any(name.split("/")[-1] == "data.pkl" for name in names):
            return of_pt(read_archive(archive), options)
        raise MubinnError("it is an archive of neither PyTorch nor Keras: give another file")
    if data.startswith(HDF5):
        return of_h5(data, options)
    if data.startswith(PICKLE):
        return of_pt(read_stream(data), options)
    return of_onnx(data, options, folder)
