"""Sets in compact form: one .npz of whole recordings, int16 differences, and where each begins."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.arrays import read_arrays
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats


def arrays_of(path: Path, **dimensions: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz that are named, of so many dimensions each.

    Raises
    ------
    MubinnError
        One is missing, or is of another kind.
    """
    read = read_arrays(path)
    found = read if isinstance(read, dict) else {}
    for name, count in dimensions.items():
        if name not in found or found[name].ndim != count or not found[name].size:
            raise MubinnError(
                f"{path} has no array {name!r} of {count} dimensions: give the set in the compact "
                "form that mubinn convert --help describes."
            )
    return {name: found[name] for name in dimensions}


def differences(stored: NDArray[Any]) -> Floats:
    """Return the samples of which the differences along the last axis are stored, from 0.

    They add up as int16 does, around its ends, for that is how they were taken.

    >>> differences(np.array([3, -1, 0], np.int16)).tolist()
    [3.0, 2.0, 2.0]
    """
    return np.cumsum(stored, axis=-1, dtype=np.int16).astype(np.float64)


def bounds(
    path: Path, name: str, offsets: NDArray[Any], length: int, count: int
) -> list[tuple[int, int]]:
    """Return where each of `count` parts of an array of `length` begins and ends.

    Raises
    ------
    MubinnError
        The offsets do not rise, leave the array, or are not one more than the parts.
    """
    edges = offsets.astype(np.int64).tolist()
    if len(edges) != count + 1 or edges[0] < 0 or edges[-1] > length or sorted(edges) != edges:
        raise MubinnError(f"{path} has offsets {name!r} that do not cut its arrays: copy it again.")
    return list(pairwise(edges))


def repeated(arrays: dict[str, NDArray[Any]], copies: int) -> dict[str, NDArray[Any]]:
    """Return windows with every channel so many times, side by side.

    At one level a channel is a sign against a threshold of its own. Two of the same content, whose
    thresholds `mubinn.train.recipes.method.Method` starts on both sides of 0, tell small values
    from large ones of either sign.

    >>> made = repeated({"X": np.zeros((5, 4, 2)), "channels": np.array(["a", "b"])}, 2)
    >>> made["X"].shape, made["channels"].tolist()
    ((5, 4, 4), ['a', 'a (2)', 'b', 'b (2)'])
    """
    if copies < 1:
        raise MubinnError("Each channel is there once at least: give more --copies.")
    ends = ["", *(f" ({k})" for k in range(2, copies + 1))]
    names = [f"{name}{end}" for name in arrays["channels"].tolist() for end in ends]
    return {**arrays, "X": np.repeat(arrays["X"], copies, axis=2), "channels": np.array(names)}
