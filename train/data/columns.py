"""Arrays of one value a window: labels, subjects and folds, as people store them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.recordings import NO_LABEL

Labels: TypeAlias = tuple[NDArray[np.int64], tuple[str, ...]]
"""Classes, and what they are called."""

MOST = 1e9
"""Largest magnitude of a number that a regression is trained to give."""


def texts(path: Path, name: str, array: NDArray[Any]) -> tuple[str, ...]:
    """Return names, which may be stored as text, bytes or numbers."""
    array = np.atleast_1d(array)
    try:
        if array.ndim != 1 or array.dtype.kind not in "USiufb":
            raise ValueError("no list of names")
        if array.dtype.kind == "S":
            return tuple(value.decode() for value in array.tolist())
        found = tuple(str(value) for value in array.tolist())
        "".join(found).encode()
    except (ValueError, SystemError) as error:  # text may hold what is no character
        raise MubinnError(
            f"{path} has a damaged or foreign list of {name}; store it as text, one name each."
        ) from error
    return found


def column(path: Path, name: str, array: NDArray[Any], count: int) -> NDArray[Any]:
    """Return an array of one value a window as one column: finite numbers, or text.

    MATLAB's shapes [windows, 1] and [1, windows] will do.
    """
    what = {"y": "labels", "subject": "subjects", "fold": "folds"}[name]
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != 1 or array.dtype.kind not in "iufUSb" or not len(array):
        hint = "; of one column a class take the argmax" if array.ndim == 2 and name == "y" else ""
        raise MubinnError(
            f"{path} has {what} of shape {array.shape} and type {array.dtype}; they must be "
            f"[windows]{hint}."
        )
    if len(array) != count:
        raise MubinnError(f"{path} has {count} windows but {len(array)} {what}; give one each.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise MubinnError(f"{path} has {what} that are NaN or infinite; remove those windows.")
    if array.dtype.kind in "US":
        return np.array(texts(path, what, array))
    if array.dtype.kind == "f" and (array == np.rint(array)).all() and np.abs(array).max() < 2**53:
        return array.astype(np.int64)
    if array.dtype.kind == "u" and int(array.max()) >= 2**63:
        raise MubinnError(f"{path} has {what} up to {array.max()}; give smaller numbers.")
    return array.astype(np.int64) if array.dtype.kind in "iub" else array


def numbers_of(
    path: Path, y: NDArray[Any], classes: NDArray[Any] | None, count: int
) -> NDArray[np.float64]:
    """Return the numbers [windows, n] that windows are labelled with, one or several of each."""
    if classes is not None:
        raise MubinnError(
            f"{path} names classes, and a regression is of numbers: leave classes out of the file, "
            "or train a head of classes."
        )
    if y.dtype.kind not in "iuf":
        raise MubinnError(
            f"{path} has labels of type {y.dtype}, and a regression is of numbers: store y as some."
        )
    whole = y[:, None] if y.ndim == 1 else y
    if whole.shape == (1, count) and count > 1:
        whole = whole.T
    if whole.ndim != 2 or len(whole) != count or not whole.size:
        raise MubinnError(
            f"{path} has y of shape {y.shape}; of {count} windows a regression needs [windows] or "
            "[windows, numbers]."
        )
    found = whole.astype(np.float64)
    if not np.isfinite(found).all() or np.abs(found).max() > MOST:
        raise MubinnError(
            f"{path} has labels that are NaN, infinite or beyond {MOST:g}: remove those windows, "
            "or give y in another unit."
        )
    return found


def integers(path: Path, name: str, array: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return a column of whole numbers."""
    found = column(path, name, array, count)
    if found.dtype != np.int64:
        raise MubinnError(f"{path} has a {name} array of type {array.dtype}; give integers.")
    return found


def named(path: Path, name: str, array: NDArray[Any] | None, count: int) -> NDArray[Any] | None:
    """Return a column of whole numbers or of text; None for None."""
    if array is None:
        return None
    found = column(path, name, array, count)
    if found.dtype.kind == "f":
        raise MubinnError(
            f"{path} has a {name} array of type {array.dtype}; give integers or names."
        )
    return found


def are_of_steps(y: NDArray[Any], x: NDArray[Any]) -> bool:
    """Return whether y has a whole number for each step of windows x [windows, steps, channels].

    One step a window is MATLAB's shape of one label a window.
    """
    return y.dtype.kind in "iu" and y.shape == x.shape[:2] and y.shape[1] > 1


def labels_of_steps(path: Path, y: NDArray[Any], classes: NDArray[Any] | None) -> Labels:
    """Return the class of each step of y [windows, steps], and the names of the classes.

    `NO_LABEL` is a step without one; the others are as `labels_of` has them.
    """
    if y.dtype.kind == "u" and y.max() == np.iinfo(y.dtype).max:
        raise MubinnError(
            f"{path} has labels of steps up to {y.max()}, the largest {y.dtype}, which may stand "
            f"for no label: store y as int64, with {NO_LABEL} where a step has none."
        )
    names: list[Any] = [] if classes is None else np.ravel(classes).tolist()
    if y.min() < NO_LABEL or NO_LABEL in names or str(NO_LABEL) in names:
        raise MubinnError(
            f"{path} has labels of steps below 0, or a class {NO_LABEL}: classes count from 0, and "
            f"{NO_LABEL} is a step without a label."
        )
    found, known = np.full(y.shape, NO_LABEL, np.int64), y != NO_LABEL
    if not known.any():
        raise MubinnError(f"{path} has no step with a label: give y some from 0 up.")
    found[known], own = labels_of(path, y[known], classes, int(known.sum()))
    return found, own


def labels_of(path: Path, y: NDArray[Any], classes: NDArray[Any] | None, count: int) -> Labels:
    """Return the class of each window and the names of the classes.

    With `classes` text is looked up in it, and so are numbers where it holds numbers; other whole
    numbers count its entries from 0. Without it values are numbered as they sort.
    """
    found = column(path, "y", y, count)
    if classes is None:
        values, codes = np.unique(found, return_inverse=True)
        plain = np.unique(y.astype(bool)) if y.dtype.kind == "b" else values
        return codes.astype(np.int64), tuple(str(value) for value in plain.tolist())
    names = texts(path, "classes", classes)
    if len(set(names)) != len(names):
        raise MubinnError(f"{path} names a class twice in classes; give each one name.")
    if found.dtype.kind == "f":
        raise MubinnError(
            f"{path} has labels such as {found[found != np.rint(found)][0]:g} beside classes; "
            "store names, or whole numbers that count the classes from 0."
        )
    written = classes.dtype.kind in "iuf"
    if found.dtype == np.int64 and not written:
        own = [str(value) for value in np.unique(found).tolist()]
        places = {name: k for k, name in enumerate(names)}
        if set(own) <= set(names) and any(places[value] != int(value) for value in own):
            raise MubinnError(
                f"{path} has labels {', '.join(own[:4])} that are names of classes as well as "
                "their numbers, with another meaning: store labels as text."
            )
        return found, names
    if written:
        table = np.atleast_1d(classes).astype(np.float64).tolist()
        looked, shown = found.tolist(), tuple(f"{value:g}" for value in table)
    else:
        table, looked, shown = list(names), found.tolist(), names
    place = {value: k for k, value in enumerate(table)}
    strange = next((value for value in looked if value not in place), None)
    if strange is not None:
        raise MubinnError(
            f"{path} has the label {str(strange)[:80]!r}, which is not among its classes "
            f"{', '.join(shown[:8])}: name all of them in classes."
        )
    return np.array([place[value] for value in looked], np.int64), shown
