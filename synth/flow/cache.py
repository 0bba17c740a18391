"""Results by content: what was measured once is not measured again."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diskcache

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import cache_root


def content_key(parts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of `parts` as JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def cached(
    key: str, make: Callable[[], dict[str, Any]], path: str | Path | None = None
) -> dict[str, Any]:
    """Return the answer stored under `key`, or make it and store it; as of `cached_all`."""
    return cached_all({"": key}, lambda _: {"": make()}, path)[""]


def cached_all(
    keys: Mapping[str, str],
    make: Callable[[list[str]], Mapping[str, dict[str, Any]]],
    path: str | Path | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the answers stored under `keys`, by name; make all that are missing at once.

    Entries are JSON in an SQLite file that several processes may use at once; each is stored when
    it is complete, so that an interrupted run resumes.

    Parameters
    ----------
    keys : mapping of str to str
        What answers are stored under, by name.
    make : callable
        Takes the names of those that are missing and returns them by name.
    path : path, optional
        Folder of the cache.

    Raises
    ------
    MubinnError
        If the folder cannot be used.
    """
    folder = cache_root(path)
    try:
        with diskcache.Cache(str(folder), disk=diskcache.JSONDisk) as store:
            stored = {name: store.get(key) for name, key in keys.items()}
    except (OSError, sqlite3.Error) as error:
        raise MubinnError(
            f"The cache {folder} cannot be used ({error}): set MUBINN_CACHE to a folder you can "
            "write to."
        ) from error
    missing = [name for name, answer in stored.items() if not isinstance(answer, dict)]
    if not missing:
        return stored
    made = make(missing)
    with diskcache.Cache(str(folder), disk=diskcache.JSONDisk) as store:
        for name in missing:
            store.set(keys[name], made[name])
    return {name: made.get(name, stored[name]) for name in keys}
