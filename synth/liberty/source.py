"""Liberty files from the disk: plain or gzipped, with the files that they include."""

import gzip
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.tree import Group, read_tree

LARGEST = 2**28
"""Bytes of a library's text, with all that it includes."""

_CHUNK = 2**20
_LIBRARY = re.compile(r"(?<!\w)(?:library|include_file)\s*\(")
_INCLUDED = 8  # files within each other


def library_group(text: str, name: str, include: Callable[[str], Group] | None = None) -> Group:
    """Return the library group of a text.

    Parameters and errors as of `read_tree`; a text with no such group or with several is refused.
    """
    if not _LIBRARY.search(text):
        raise MubinnError(f"{name} is not a Liberty file: it has no library group.")
    found = list(read_tree(text, name, include).of("library"))
    if not found:
        raise MubinnError(f"{name} is not a Liberty file: it has no library group.")
    if len(found) > 1:
        raise found[1].fault("a second library begins: put each into a file of its own.")
    return found[0]


class Reader:
    """Reads a library's files; all together may have `LARGEST` bytes."""

    def __init__(self) -> None:
        self._left = LARGEST

    def library(self, path: Path) -> Group:
        """Return the library group of a file.

        Raises
        ------
        MubinnError
            If it cannot be read, is no text or too large, or includes itself.
        """
        return library_group(self._text(path), str(path), self._included(path, (path.resolve(),)))

    def _included(self, path: Path, within: tuple[Path, ...]) -> Callable[[str], Group]:
        """Return what reads the files that a file includes, `within` being it and those above."""

        def include(name: str) -> Group:
            inner = path.parent / name
            if inner.resolve() in within:
                raise MubinnError(f"{inner} includes itself: take that out.")
            if len(within) > _INCLUDED:
                raise MubinnError(f"{inner} is included too deeply: put its text in its place.")
            more = self._included(inner, (*within, inner.resolve()))
            return read_tree(self._text(inner), str(inner), more)

        return include

    def _text(self, path: Path) -> str:
        try:
            if path.exists() and not path.is_file():
                raise MubinnError(f"The Liberty file {path} cannot be read: it is no file.")
            with path.open("rb") as raw:
                packed = raw.read(2) == b"\x1f\x8b"
                raw.seek(0)
                data = self._bytes(gzip.GzipFile(fileobj=raw) if packed else raw, path)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise MubinnError(
                f"The Liberty file {path} cannot be read ({error}): give a readable .lib or "
                ".lib.gz."
            ) from error
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def _bytes(self, file: IO[bytes] | gzip.GzipFile, path: Path) -> bytes:
        data = bytearray()
        while chunk := file.read(_CHUNK):
            if b"\x00" in chunk:
                raise MubinnError(f"{path} is not Liberty text: give a .lib or .lib.gz file.")
            self._left -= len(chunk)
            if self._left < 0:
                raise MubinnError(
                    f"{path} is too large: a library's text may have {LARGEST >> 20} MiB."
                )
            data += chunk
        return bytes(data)
