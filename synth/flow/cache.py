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
    """Return the answer stored under `key`, or make it and store it.

    Entries are JSON in an SQLite file that several processes may use at once; each is stored when
    it is complete, so that an interrupted run resumes.

    Raises
    ------
    MubinnError
        If the folder cannot be used.
    """
    folder = cache_root(path)
    try:
        with diskcache.Cache(str(folder), disk=diskcache.JSONDisk) as store:
            found = store.get(key)
        if isinstance(found, dict):
            return found
    except (OSError, sqlite3.Error) as error:
        raise MubinnError(
            f"The cache {folder} cannot be used ({error}): set MUBINN_CACHE to a folder you can "
            "write to."
        ) from error
    answer = make()
    with diskcache.Cache(str(folder), disk=diskcache.JSONDisk) as store:
        store.set(key, answer)
    return answer
