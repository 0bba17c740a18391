"""Zip archives of models: unpacked in memory, up to a limit, and a fault where they are damaged."""

import io
import lzma
import zipfile
import zlib

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.parts import MAX_SIZE

DAMAGED = "it is truncated or damaged: copy or export it again"


def read_zip(data: bytes) -> zipfile.ZipFile:
    """Return the archive; raise `MubinnError` where it is none or unpacks to too much."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise MubinnError(DAMAGED) from None
    if sum(info.file_size for info in archive.infolist()) > MAX_SIZE:
        raise MubinnError("it unpacks to more than any model: give another file")
    return archive


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a part of the archive; raise `MubinnError` where it is missing or damaged."""
    broken = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError)
    try:
        return archive.read(name)
    except (KeyError, RuntimeError, ValueError, *broken):
        # RuntimeError: encrypted; its subclass NotImplementedError: an unknown compression.
        raise MubinnError(DAMAGED) from None
