"""Several files of windows as one set: what has to be alike, and who is in more than one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.columns import are_of_steps, column, texts

Fields = dict[str, NDArray[Any]]

COLUMNS = {"y": "labels", "subject": "subjects", "fold": "folds"}
ALIKE = {
    "channels": "channels",
    "classes": "classes",
    "fs_hz": "a rate",
    "scale_uV": "a scale",
}
"""What files may hold that counts for all of their windows."""

SHOWN = 6
"""Names that a sentence has room for."""


def joined(paths: Sequence[Path], parts: Sequence[Fields]) -> tuple[Fields, tuple[str, ...]]:
    """Return the arrays of several files as those of one, and what is to be told.

    Windows follow each other in the order of the files. Labels of the same value are of one class,
    subjects of the same name one person, and folds of the same number one fold.

    Raises
    ------
    MubinnError
        Windows have other lengths or channels in one file than in the first, another rate, scale
        or list of classes; one has labels, subjects or folds and another none, or text in place of
        numbers; or a file is given twice.
    """
    if len(parts) == 1:
        return parts[0], ()
    if len({path.resolve() for path in paths}) < len(paths):
        twice = next(p for k, p in enumerate(paths) if p.resolve() in map(Path.resolve, paths[:k]))
        raise MubinnError(f"{twice} is given twice: name each file once.")
    for path, fields in zip(paths[1:], parts[1:], strict=True):
        _check_alike(paths[0], parts[0], path, fields)
    whole = dict(parts[0]) | {"X": np.concatenate([fields["X"] for fields in parts])}
    for name in COLUMNS:
        if name in whole:
            columns = [_column(p, name, f) for p, f in zip(paths, parts, strict=True)]
            kinds = [_kind(one) for one in columns]
            if len(set(kinds)) > 1:
                other = next(k for k, kind in enumerate(kinds) if kind != kinds[0])
                raise MubinnError(
                    f"{paths[0]} has {COLUMNS[name]} as {kinds[0]} and {paths[other]} as "
                    f"{kinds[other]}: store them alike."
                )
            whole[name] = np.concatenate(columns)
    return whole, _shared_people(paths, parts)


def _check_alike(first: Path, one: Fields, path: Path, other: Fields) -> None:
    for name, what in (COLUMNS | ALIKE).items():
        if (name in one) != (name in other):
            has, lacks = (first, path) if name in one else (path, first)
            raise MubinnError(
                f"{has} states {what} and {lacks} does not: store {name} in all files of a set, "
                "or in none."
            )
    for name, what, axis in (("steps", "steps", 1), ("channels", "channels", 2)):
        sizes = one["X"].shape[axis], other["X"].shape[axis]
        if sizes[0] != sizes[1]:
            raise MubinnError(
                f"{first} has windows of {sizes[0]} {what} and {path} of {sizes[1]}: give files of "
                f"the same {name}."
            )
    for name, what in ALIKE.items():
        values = [texts(p, name, f[name]) for p, f in ((first, one), (path, other)) if name in f]
        if values and values[0] != values[1]:
            shown = [", ".join(v[:SHOWN]) + (", ..." if len(v) > SHOWN else "") for v in values]
            raise MubinnError(
                f"{first} and {path} differ in {name}, {shown[0]} and {shown[1]}: give files "
                f"that have {what} in common, in the same order."
                if len(values[0]) > 1
                else f"{first} and {path} differ in {name}, {shown[0]} and {shown[1]}: give "
                "files that have it in common."
            )


def _column(path: Path, name: str, fields: Fields) -> NDArray[Any]:
    """Return a column as it is stored, but text as text; labels of steps as they are."""
    if name == "y" and are_of_steps(fields[name], fields["X"]):
        return fields[name]
    found = column(path, name, fields[name], len(fields["X"]))
    return fields[name].reshape(-1) if fields[name].dtype.kind == "b" else found


def _kind(one: NDArray[Any]) -> str:
    if one.ndim == 2:
        return "numbers of steps"
    return {"U": "text", "b": "truth values"}.get(one.dtype.kind, "numbers")


def _shared_people(paths: Sequence[Path], parts: Sequence[Fields]) -> tuple[str, ...]:
    """Return a note of subjects who stand in more than one file; none where there are none."""
    if "subject" not in parts[0]:
        return ()
    names: list[str] = []
    for path, fields in zip(paths, parts, strict=True):
        names += map(str, np.unique(_column(path, "subject", fields)).tolist())
    again = sorted({name for name in names if names.count(name) > 1})
    if not again:
        return ()
    more = ", ..." if len(again) > SHOWN else ""
    return (f"subjects {', '.join(again[:SHOWN])}{more} of several files are taken as one each",)
