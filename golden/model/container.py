"""The container of every model file: safetensors with a canonical header and a checksum.

A file is one safetensors archive (8 bytes with the header's length, a JSON header, tensor bytes;
no code, no pickle) whose header is in one canonical form, so that equal content gives equal bytes.
Its metadata are four texts: ``format``, ``version``, ``structure`` (JSON: everything that is not a
tensor) and ``checksum``, the SHA-256 of the other three and of every tensor's name, type, shape
and bytes. A reader accepts the canonical form alone, so no byte of a file can change unnoticed.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import reason_of, write_file

VERSION = "1"
MAX_BYTES = 1 << 30
"""Largest model file that is read."""

MAX_HEADER = 1 << 24
"""Largest header that is parsed."""

METADATA = {"format", "version", "structure", "checksum"}
ZIP, HDF5, PICKLE = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x80"
ONNX = tuple(bytes([8, version, field]) for version in range(1, 32) for field in (18, 58, 66))
FOREIGN = (ZIP, HDF5, *(PICKLE + bytes([protocol]) for protocol in range(2, 6)), *ONNX)
"""How files of PyTorch and Keras begin, and of ONNX: its version and the next field.

A header of ours may have a length of the same bytes; a brace follows it.
"""

ELSEWHERE = (
    "it was not written by MuBiNN; run `mubinn quantize` on a model of another program first, or "
    "`mubinn import` for a float one"
)
ALTERED = "the file is damaged or was altered: copy it again, or make it anew"

Tensors = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Container:
    """What one file holds.

    Attributes
    ----------
    format : str
        Which kind of content, such as ``"mubinn-quantized"``.
    structure : dict
        Plain JSON: counts, names and notes.
    tensors : mapping of str to array
    """

    format: str
    structure: dict[str, Any]
    tensors: Tensors


def write_container(path: str | os.PathLike[str], content: Container) -> None:
    """Write `content` to `path`, whole or not at all.

    Raises
    ------
    MubinnError
        Where the file cannot be written.
    """
    write_file(Path(path), to_bytes(content))


def read_container(path: str | os.PathLike[str]) -> Container:
    """Return the content of the file `path`, its checksum verified.

    Raises
    ------
    MubinnError
        For a file that is missing, unreadable, too large, truncated, altered in any byte, no
        MuBiNN file, or of another version.
    """
    source = Path(path)
    data = read_bytes(source)
    try:
        return from_bytes(data)
    except MubinnError as error:
        raise MubinnError(f"{source} is no usable model file: {error}.") from None


def read_bytes(source: Path) -> bytes:
    """Return the bytes of a file that may hold a model.

    Raises
    ------
    MubinnError
        For a file that is missing, unreadable or too large.
    """
    try:
        if not source.is_file():
            what = "is not a regular file" if source.exists() else "does not exist"
            raise MubinnError(f"{source} {what}: give the path of a model file.")
        if source.stat().st_size > MAX_BYTES:
            raise MubinnError(f"{source} is larger than any model file: give another path.")
        return source.read_bytes()
    except OSError as error:
        raise MubinnError(
            f"{source} cannot be read: {reason_of(error)}; give another path."
        ) from None


def to_bytes(content: Container) -> bytes:
    """Return the one archive that stands for `content`."""
    tensors = {name: np.asarray(array, order="C") for name, array in content.tensors.items()}
    metadata = {
        "format": content.format,
        "version": VERSION,
        "structure": canonical(content.structure),
    }
    metadata["checksum"] = checksum(metadata, tensors)
    # The library writes metadata in an arbitrary order; the canonical header replaces its own.
    archive = safetensors.numpy.save(tensors, metadata)
    length = int.from_bytes(archive[:8], "little")
    header = canonical_header(json.loads(archive[8 : 8 + length]))
    return len(header).to_bytes(8, "little") + header + archive[8 + length :]


def from_bytes(data: bytes) -> Container:
    """Return the content of an archive; raise `MubinnError` with the reason where it has none."""
    length = int.from_bytes(data[:8], "little")
    if data.startswith(FOREIGN) and data[8:9] != b"{":
        raise MubinnError(ELSEWHERE)
    if len(data) < 8 or length > len(data) - 8:
        raise MubinnError("it is truncated or of another kind; give a whole model file")
    metadata = read_metadata(data[8 : 8 + length])
    try:
        tensors = safetensors.numpy.load(data)
        # Verified before the structure is parsed: what follows reads only what was once written.
        if checksum(metadata, tensors) != metadata["checksum"]:
            raise MubinnError(ALTERED)
        structure = json.loads(metadata["structure"])
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        raise MubinnError(ALTERED) from None
    if not isinstance(structure, dict):
        raise MubinnError(ALTERED)
    return Container(metadata["format"], structure, tensors)


def read_metadata(raw: bytes) -> dict[str, str]:
    """Return the metadata of the header `raw`; raise `MubinnError` unless it is canonical."""
    if len(raw) > MAX_HEADER:
        raise MubinnError("its header is too long; give a model file")
    try:
        header = json.loads(raw)
        metadata = header.get("__metadata__", {}) if isinstance(header, dict) else {}
        intact = canonical_header(header) == raw
    except (ValueError, RecursionError):
        raise MubinnError(ALTERED) from None
    if not isinstance(metadata, dict) or set(metadata) != METADATA:
        raise MubinnError(ELSEWHERE)
    if not intact or not all(isinstance(text, str) for text in metadata.values()):
        raise MubinnError(ALTERED)
    if metadata["version"] != VERSION:
        raise MubinnError(
            f"it has format version {metadata['version'][:20]!r}, this program reads {VERSION!r}; "
            "make the file anew or update the program"
        )
    return metadata


def checksum(metadata: Mapping[str, str], tensors: Tensors) -> str:
    """Return ``sha256:`` and 64 hexadecimal digits over metadata (but the checksum) and tensors."""
    digest = hashlib.sha256()
    digest.update(canonical({k: v for k, v in metadata.items() if k != "checksum"}).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(canonical([name, array.dtype.str, list(array.shape)]).encode())
        digest.update(array.tobytes())
    return f"sha256:{digest.hexdigest()}"


def canonical(value: object) -> str:
    """Return the one JSON text of `value`: ASCII, sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_header(header: Mapping[str, Any]) -> bytes:
    """Return the header's bytes, padded with spaces so that tensors start at a multiple of 8."""
    text = canonical(header).encode()
    return text + b" " * (-len(text) % 8)
