"""``mubinn movies``: frames that a model generates one by one, and their errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import json_option, print_json, print_table
from mubinn.cli.shared.paths import Command, InputPath, OutputFile
from mubinn.golden.ground.errors import MubinnError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@click.command(cls=Command)
@click.argument("model", type=InputPath())
@click.argument("data", type=InputPath())
@click.option("--given", type=int, default=7, show_default=True, help="Frames that are given.")
@click.option("--fold", type=int, default=0, show_default=True, help="Movies to continue.")
@click.option("--most", type=int, help="Continue the first so many movies of the fold alone.")
@click.option(
    "-o", "--output", type=OutputFile(), metavar="FILE", help="Write the frames made, as .npz."
)
@json_option
def movies(
    model: Path,
    data: Path,
    given: int,
    fold: int,
    most: int | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Continue the movies of DATA with MODEL, and measure the squared error of each frame.

    DATA is what mubinn convert moving makes. The model reads the first frames, makes the next one,
    reads that as well, and so on to the end. Beside its errors stand those of what knows no motion:
    black, the mean frame of the other folds, and the last given frame held.

    \b
      mubinn movies model.mubinn movies.npz --given 7
      mubinn movies model.safetensors movies.npz --most 50 -o frames.npz
    """
    from mubinn.golden.ground.arrays import write_arrays
    from mubinn.golden.inference.continuation import (
        continued,
        frame_errors,
        next_frame,
        yardsticks,
    )
    from mubinn.golden.model.model_file import load_any

    begin = next_frame(load_any(model))
    found, others = _read(data, fold)
    if most is not None and most < 1:
        raise MubinnError(f"--most {most} leaves no movie: give 1 or more.")
    found, frames = found[:most], found.shape[1]
    if not 1 <= given < frames:
        raise MubinnError(
            f"{given} frames given of movies of {frames}: give 1 to {frames - 1} with --given."
        )
    made = continued(begin, found[:, :given], frames - given)
    errors = {"model": frame_errors(found[:, given:], made)}
    errors |= yardsticks(found, given, others)
    if output is not None:
        write_arrays(output, {"made": made, "truth": found[:, given:]})
    numbers = range(given + 1, frames + 1)
    if as_json:
        print_json(
            {
                "movies": len(found),
                "frames": list(numbers),
                "errors": {name: own.tolist() for name, own in errors.items()},
            }
        )
        return
    rows = [
        [str(number), *(f"{own[k]:.4f}" for own in errors.values())]
        for k, number in enumerate(numbers)
    ]
    print_table(f"squared error a pixel, {len(found)} movies", ["frame", *errors], rows)


def _read(path: Path, fold: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the movies [N, t, H, W] of a fold, and those of the others."""
    import numpy as np

    from mubinn.train.data.compact import arrays_of

    read = arrays_of(path, X=3, fold=1, frame=1)
    x, folds = read["X"], read["fold"]
    height, width = read["frame"].tolist() if read["frame"].size == 2 else (0, 0)
    pixels = height * width
    if pixels < 1 or x.shape[2] != 1 or x.shape[1] % pixels or len(folds) != len(x):
        raise MubinnError(
            f"{path} has X {list(x.shape)}, which are no movies of {height} x {width} pixels: make "
            "them with mubinn convert moving."
        )
    whole = x.astype(np.float64).reshape(len(x), -1, height, width)
    own = folds == fold
    if not own.any() or own.all():
        raise MubinnError(
            f"{path} has {int(own.sum())} movies of fold {fold}, and {int((~own).sum())} others: "
            "give a fold beside others with --fold."
        )
    return whole[own], whole[~own]
