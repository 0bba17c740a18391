"""Files and folders written whole, beside their place and then moved there; the cache's folder."""

import json
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
    # Not the target's own name, which may be as long as names can be.
    return target.with_name(f".mubinn-{secrets.token_hex(8)}.{ending}")


def _check_regular(target: Path) -> None:
    if target.is_dir():
        raise MubinnError(f"{target} is a folder: give the path of a file.")
    if target.exists() and not target.is_file():
        raise MubinnError(
            f"{target} is a device, a pipe or a socket, which a file would replace: give the path "
            "of a file."
        )


def check_parent(target: Path, *, parents: bool = False) -> None:
    """Raise `MubinnError` where the folder that is to hold `target` is missing or read-only.

    What works for long asks this first. With `parents` missing folders are to be made.
    """
    with _told(target):
        parent = target.absolute().parent
        while parents and not parent.exists():
            parent = parent.parent
        if not parent.is_dir():
            raise MubinnError(f"The folder {parent} does not exist: make it, or give another path.")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise MubinnError(f"The folder {parent} cannot be written to: give another path.")


def check_file(target: Path, *, parents: bool = False) -> None:
    """Raise `MubinnError` where `write_file` could not write `target`."""
    with _told(target):
        real = Path(os.path.realpath(target))
        check_parent(real, parents=parents)
        _check_regular(real)


def write_file(target: Path, data: bytes, *, parents: bool = False) -> None:
    """Write `data` to `target`: after a kill or a power cut it holds all of the old or the new.

    Where `target` is a link, the file that it points to is written. With `parents` the folders
    above it are made where they are missing.

    Raises
    ------
    MubinnError
        Where it cannot be written, or is a folder, a device, a pipe or a socket.
    """
    with _told(target):
        real = Path(os.path.realpath(target))
        _check_regular(real)
        if parents:
            real.parent.mkdir(parents=True, exist_ok=True)
        fresh = _beside(real, "tmp")
        try:
            with fresh.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(real)
        finally:
            fresh.unlink(missing_ok=True)


LISTED = "files"
"""Field of a folder's mark: the names of its files."""


def check_folder(target: Path, mark: str) -> None:
    """Raise `MubinnError` where `target` is anything but absent, empty or an earlier output.

    Parameters
    ----------
    target : Path
    mark : str
        The file by which an earlier output is known, see `write_folder`; whatever it does not list
        would be lost.
    """
    check_parent(target)
    with _told(target):
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            raise MubinnError(f"{target} is not a folder: give another path.")
        if not target.exists():
            return
        present = {p.relative_to(target).as_posix() for p in target.rglob("*") if not p.is_dir()}
    foreign = sorted(present - _listed(target / mark))
    if foreign:
        raise MubinnError(
            f"The folder {target} holds {foreign[0]}, which was not written there by this program "
            "and would be lost: give an empty or a new one."
        )


def _listed(mark: Path) -> set[str]:
    try:
        return set(json.loads(mark.read_text())[LISTED])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def write_folder(target: Path, contents: Mapping[str, str | bytes], mark: str) -> tuple[str, ...]:
    """Make `target` a folder of `contents` and nothing else, or leave what stands there.

    Parameters
    ----------
    target : Path
        What `check_folder` lets pass; a folder that stands there is replaced.
    contents : mapping of str to str or bytes
        Files by relative path.
    mark : str
        The file by which a later output knows this one as its own: JSON, made where it is not
        among `contents`, which is given the list of all files.

    Returns
    -------
    tuple of str
        The names of all files.

    Raises
    ------
    MubinnError
        As `check_folder` does, or where the files cannot be written.
    """
    check_folder(target, mark)
    about = json.loads(contents.get(mark, "{}"))
    names = tuple({**contents, mark: b""})
    marked = json.dumps({**about, LISTED: sorted(names)}, indent=2) + "\n"
    target = target.absolute()
    fresh, old = _beside(target, "tmp"), _beside(target, "old")
    with _told(target):
        try:
            fresh.mkdir()
            for name, content in {**contents, mark: marked}.items():
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
    return names


def demand_no_blank(folder: Path, what: str, tool: str, variable: str) -> None:
    """Raise `MubinnError` where `tool` cannot work in `folder`, which `variable` moves."""
    if " " in str(folder):
        raise MubinnError(
            f"The folder for {what}, {folder}, has a space in its name, which {tool} cannot work "
            f"with; set {variable} to another folder."
        )


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

    That is `path`, or by default `room` in $MUBINN_CACHE, or in ``mubinn`` among the user's caches.

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
