"""PyTorch's files, read without PyTorch: zip archives, and what was written before version 1.6.

An archive holds ``data.pkl`` and a file for each storage. The older form is one stream: pickles of
a number, a version, the machine, the object, and the keys of the storages, whose bytes follow.
"""

import io
import zipfile
from functools import cache
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.archive import DAMAGED, member
from mubinn.golden.importers.torch_pickle import (
    MAX_PROGRAM,
    SAVE_WEIGHTS,
    STORAGES,
    Machine,
    Name,
    Storage,
)

MAGIC = 0x1950A86A20F9469CFC6C
"""What the older form begins with."""

BIG_ENDIAN = "its numbers are big-endian: save the model on another machine"


def read_archive(archive: zipfile.ZipFile) -> Any:
    """Return the object of an archive: dictionaries, lists, numbers, texts, tensors.

    Raises
    ------
    MubinnError
        For damaged files.
    """
    names = set(archive.namelist())
    program = min((name for name in names if name.split("/")[-1] == "data.pkl"), key=len)
    root = program.removesuffix("data.pkl")
    if f"{root}byteorder" in names and member(archive, f"{root}byteorder") != b"little":
        raise MubinnError(BIG_ENDIAN)
    if archive.getinfo(program).file_size > MAX_PROGRAM:
        raise MubinnError("its data.pkl is longer than that of any model: give another file")

    @cache
    def data(key: str) -> bytes:
        return member(archive, f"{root}data/{key}")

    def load(about: tuple[Any, ...]) -> Storage:
        kind, key, size, _ = described(about)

        def read() -> bytes:
            raw = data(key)
            if len(raw) != size:
                raise ValueError
            return raw

        return Storage(kind, read)

    return Machine(load).run(io.BytesIO(member(archive, program)))


def read_stream(data: bytes) -> Any:
    """Return the object of the older form; raise `MubinnError`, for other pickles too."""
    sizes: dict[str, list[int]] = {}
    places: dict[str, int] = {}

    def load(about: tuple[Any, ...]) -> Any:
        if about[0] == "module":
            return about[1]
        kind, key, *sizes[key] = described(about)
        if len(about) > 5 and about[5] is not None:
            kind = f"a view of {kind}"
        size = sizes[key][0]
        return Storage(kind, lambda: data[places[key] : places[key] + size])

    place = 0
    machine = Machine(load)

    def following() -> Any:
        nonlocal place
        stream = io.BytesIO(data[place : place + MAX_PROGRAM])
        found = machine.run(stream)
        place += stream.tell()
        return found

    if following() != MAGIC:
        raise MubinnError(f"it is a pickle, which could run anything: {SAVE_WEIGHTS}")
    following()
    about = following()
    if not isinstance(about, dict) or about.get("little_endian") is not True:
        raise MubinnError(BIG_ENDIAN)
    found, keys = following(), following()
    for key in keys:
        size, one = sizes[key]
        count = int.from_bytes(data[place : place + 8], "little")
        places[key] = place + 8
        place += 8 + size
        if not one or count * one != size or place > len(data):
            raise MubinnError(DAMAGED)
    return found


def described(about: tuple[Any, ...]) -> tuple[str, str, int, int]:
    """Return type, key and size of the storage that a persistent id describes.

    The size is in bytes, then that of one number; 0 where the type is not known.
    """
    mark, storage, key, _, count = about[:5]
    if mark != "storage" or not isinstance(storage, Name) or type(count) is not int:
        raise ValueError
    kind, one = STORAGES.get(storage.text.rpartition(".")[2], (storage.text, 0))
    return kind, str(key), count * one, one
