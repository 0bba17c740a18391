"""Arrays of NumPy's files, told by their content, whatever stands in the file."""

import io
import math
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import reason_of, write_file

ZIP, NPY = b"PK", b"\x93NUMPY"
"""How archives and arrays begin."""

_CHUNK = 1 << 24


class _Fault(Exception):
    """What is wrong with a file, in the words that follow its path."""


def beginning(path: Path, count: int = 8) -> bytes:
    """Return the first bytes of a file; raise `MubinnError` where there is no such file."""
    try:
        if not path.exists():
            raise MubinnError(f"{path} does not exist; check the path of the data.")
        if not path.is_file():
            raise MubinnError(f"{path} is no file; give one that holds the data.")
        with path.open("rb") as file:
            return file.read(count)
    except (OSError, ValueError) as error:
        words = reason_of(error) if isinstance(error, OSError) else str(error)
        raise MubinnError(f"{str(path)[:80]} cannot be opened: {words}; give another path.") from (
            error
        )


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], *, parents: bool = False) -> None:
    """Write arrays by name as an .npz file, whole or not at all, without pickle.

    Raises
    ------
    MubinnError
        As `mubinn.golden.ground.files.write_file` does.
    """
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_file(path, buffer.getvalue(), parents=parents)


def read_arrays(path: Path) -> NDArray[Any] | dict[str, NDArray[Any]]:
    """Return the array of an .npy file, or those of an .npz file by name, without pickle.

    The name of the file does not matter. What is held in memory is bounded by what the file holds,
    and is refused where it is more than half of the machine's memory.

    Raises
    ------
    MubinnError
        The file is missing, of another kind, damaged in any way, or holds Python objects.
    """
    start = beginning(path)
    try:
        with path.open("rb") as file:
            if start.startswith(ZIP):
                return _members(file)
            if start.startswith(NPY):
                size = os.fstat(file.fileno()).st_size
                _check_memory(size)
                return _array(file, size)
            raise _Fault("cannot be read as NumPy data; it is truncated or damaged.")
    except _Fault as fault:
        raise MubinnError(f"{path} {fault}") from None
    except MemoryError:
        raise
    except Exception as error:  # of zipfile, its decompressors and NumPy's parser of headers
        raise MubinnError(
            f"{path} cannot be read as NumPy data; it is truncated or damaged."
        ) from error


def _members(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(file) as archive:
        _check_memory(sum(info.file_size for info in archive.infolist()))
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name == info.filename:
                raise _Fault(f"holds {name[:80]!r}, which is no array; save arrays alone.")
            if name in found:
                raise _Fault(f"holds two arrays {name[:80]!r}; save it anew.")
            with archive.open(info) as member:
                found[name] = _array(member, info.file_size)
    return found


def _array(stream: IO[bytes], size: int) -> NDArray[Any]:
    """Return the array that fills a stream of `size` bytes."""
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    reader = readers[npy.read_magic(stream)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of files that Python 2 wrote
        shape, fortran, dtype = reader(stream)
    if dtype.hasobject or dtype.names is not None:
        raise _Fault(
            "holds pickled objects or records of fields; save plain arrays of numbers or text."
        )
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError("lengths are natural numbers")
    count = math.prod(shape) * dtype.itemsize
    if count != size - stream.tell():
        raise ValueError("the shape is not that of what follows")
    data = bytearray()  # grows with what is there, whatever is claimed
    while part := stream.read(_CHUNK):
        data += part
        if len(data) > count:
            break
    if len(data) != count:  # where it ends, an archive has held its checksum to what was read
        raise ValueError("something is missing, or follows")
    if not count:
        return np.zeros(shape, dtype)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def memory_limit() -> int:
    """Return half of the machine's memory, in bytes: data that take more are refused."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _check_memory(size: int) -> None:
    if size > memory_limit():
        raise _Fault(
            f"takes {size / 1e9:.3g} GB, more than half of this machine's memory; give fewer data."
        )
