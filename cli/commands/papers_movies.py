"""``mubinn papers``: movies that trained models continue, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mubinn.train.data.recordings import LabelledSet
    from mubinn.train.recipes.papers import Task

MADE = "made.npz"
"""In a run's folder: ``made`` uint8 [N, t, H, W], the frames that the model has made, and
``errors`` float64 [t]."""

SHOWN = 0
"""The movie of the fold that is drawn."""

Rows = dict[tuple[str, str], list[dict[str, Any]]]


class Further(NamedTuple):
    """What is told beside what logs say.

    Attributes
    ----------
    rows : dict
        Summaries of runs with what was measured.
    notes, shown : str
        Of the page: text, and lines that show pictures.
    files : mapping of str to bytes
        Besides the page, by name.
    """

    rows: Rows
    notes: str = ""
    shown: str = ""
    files: Mapping[str, bytes] = MappingProxyType({})


def nothing_further(task: Task, data: LabelledSet, runs: Path, rows: Rows) -> Further:
    """Return the rows as they are."""
    return Further(rows)


def movies_made(task: Task, data: LabelledSet, runs: Path, rows: Rows) -> Further:
    """Have every model continue the movies of fold 0, and tell the errors frame by frame.

    What a run's model has made stays in its folder.
    """
    import numpy as np

    from mubinn.golden.cells.sweep import Sweep
    from mubinn.golden.inference.continuation import yardsticks
    from mubinn.reports.movies import FrameErrors, movies_markdown, movies_pictures

    recipe = task.float_recipe(task.cells[0])
    given, sweep = recipe.given, recipe.stack[0].frames
    assert isinstance(sweep, Sweep)
    whole = data.x.astype(np.float64).reshape(len(data.x), -1, sweep.height, sweep.width)
    movies, others = whole[data.fold == 0], whole[data.fold != 0]
    known = yardsticks(movies, given, others)
    errors: dict[str, dict[int, NDArray[Any]]] = {}
    frames = {"truth": movies[SHOWN]}
    found: Rows = {}
    for (cell, name), own in rows.items():
        label = name if len(task.cells) == 1 else f"{name}, {cell.upper()}"
        for row in own:
            folder = runs / cell / row["run"]
            made, by_frame = _continued(folder, movies, given)
            kind = "graph" if row["bit_true_accuracy"] is None else "bit_true"
            measured = {f"{kind}_squared error": float(by_frame.mean())}
            own_row = {**row, **measured, "errors": by_frame.tolist()}
            found.setdefault((cell, name), []).append(own_row)
            errors.setdefault(label, {})[row["seed"]] = by_frame
            frames.setdefault(label, np.concatenate([movies[SHOWN, :given], made[SHOWN] / 255]))
    held = np.repeat(movies[SHOWN, given - 1 : given], movies.shape[1] - given, axis=0)
    frames["last frame held"] = np.concatenate([movies[SHOWN, :given], held])
    told = FrameErrors(errors, known, given)
    files = {"frames.csv": told.to_csv().encode(), **movies_pictures(told, frames)}
    notes, shown = movies_markdown(told, len(movies))
    return Further(found, notes, shown, files)


def _continued(folder: Path, movies: NDArray[Any], given: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the frames that a run's model has made, uint8, and their errors by frame."""
    import numpy as np

    from mubinn.golden.ground.arrays import write_arrays
    from mubinn.golden.inference.continuation import continued, frame_errors, next_frame
    from mubinn.golden.model.model_file import load_any
    from mubinn.train.data.compact import arrays_of
    from mubinn.train.runs.sweep import FLOAT_FILE, QUANTIZED_FILE

    path = folder / MADE
    if not path.exists():
        exact = folder / QUANTIZED_FILE
        begin = next_frame(load_any(exact if exact.exists() else folder / FLOAT_FILE))
        frames = continued(begin, movies[:, :given], movies.shape[1] - given)
        errors = frame_errors(movies[:, given:], frames)
        write_arrays(path, {"made": np.rint(255 * frames).astype(np.uint8), "errors": errors})
    found = arrays_of(path, made=4, errors=1)
    return found["made"], found["errors"]
