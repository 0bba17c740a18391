"""Files and folders written whole, beside their place and then moved there; the cache's folder."""

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from mubinn.golden.ground.errors import MubinnError


def reason_of(error: OSError) -> str:
    """Return the operating system's few words about `error`, in lower case."""
    return (error.strerror or str(error)).lower()


@contextmanager
def _told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MubinnError(
            f"{target} cannot be written: {reason_of(error)}; give another path."
        ) from error


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.{ending}")


def write_file(target: Path, data: bytes, *, parents: bool = False) -> None:
    """Write `data` to `target`: after a kill or a power cut it holds all of the old or the new.

    With `parents` the folders above it are made where they are missing.

    Raises
    ------
    MubinnError
        Where it cannot be written.
    """
    fresh = _beside(target, "tmp")
    with _told(target):
        if parents:
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with fresh.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)


def write_folder(target: Path, files: Mapping[str, str | bytes]) -> None:
    """Make `target` a folder of `files` and nothing else, or leave what stands there.

    A folder that stands there is replaced; `files` are contents by relative path.

    Raises
    ------
    MubinnError
        Where it cannot be written.
    """
    target = target.absolute()
    fresh, old = _beside(target, "tmp"), _beside(target, "old")
    with _told(target):
        try:
            fresh.mkdir()
            for name, content in files.items():
                path = fresh / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            if target.exists():
                target.rename(old)
            fresh.rename(target)
        finally:
            if old.exists() and not target.exists():
                old.rename(target)
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def publish(made: Path, final: Path) -> None:
    """Move a finished folder to its place; where another process was first, drop this one."""
    try:
        made.rename(final)
    except OSError:
        if not final.is_dir():
            raise
        shutil.rmtree(made)


def cache_root(path: str | Path | None = None, room: str = "") -> Path:
    """Return the folder of what is kept from run to run, which is made where it is missing.

    Parameters
    ----------
    path : str or Path, optional
        The folder itself; by default `room` in $MUBINN_CACHE, or in ``mubinn`` among the user's
        caches.
    room : str

    Raises
    ------
    MubinnError
        Where it cannot be written.
    """
    shared = os.environ.get("MUBINN_CACHE") or platformdirs.user_cache_dir("mubinn")
    root = Path(path or Path(shared) / room).expanduser().absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not os.access(root, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise MubinnError(
            f"The cache {root} cannot be written ({error.strerror}); set MUBINN_CACHE to a folder "
            "you can write to."
        ) from error
    return root
