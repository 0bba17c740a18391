"""``mubinn papers``: what the papers beside MuBiNN's have trained, by their methods and ours."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.commands.papers_movies import Further, movies_made, nothing_further
from mubinn.cli.shared.common import json_option, print_json
from mubinn.cli.shared.group import command_line
from mubinn.cli.shared.paths import Command, InputPath, OutputFolder
from mubinn.golden.ground.errors import MubinnError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mubinn.reports.curves import Curves
    from mubinn.reports.measures import Measure
    from mubinn.train.data.recordings import LabelledSet
    from mubinn.train.recipes.papers import Task

Rows = dict[tuple[str, str], list[dict[str, Any]]]

WINDOWS = "windows.npz"
"""The set's windows, in the folder of runs."""

FURTHER: dict[str, Callable[..., Further]] = {"squared error": movies_made}
"""What is measured of trained models beside what logs say, by the measure of a task."""


@click.command(cls=Command)
@click.argument(
    "name",
    type=click.Choice(
        ["imdb", "addition", "sst", "sst-phrases", "ptb", "ptb-large", "chars", "mnist"]
    ),
)
@click.argument("source", type=InputPath(), required=False)
@click.option(
    "--runs",
    type=OutputFolder(replaced=False),
    metavar="DIR",
    required=True,
    help="A folder each run there; finished ones are not repeated.",
)
@click.option("--seeds", default="0", show_default=True, metavar="LIST", help="Such as 0,1,2.")
@click.option("--cells", metavar="LIST", help="Such as gru.  [default: those of the paper]")
@click.option("--methods", metavar="LIST", help="Such as QC,BC.  [default: all]")
@click.option(
    "-o", "--output", type=OutputFolder(replaced=True), metavar="DIR", help="Write the page there."
)
@json_option
@click.pass_context
def papers(
    ctx: click.Context,
    /,
    name: str,
    source: Path | None,
    runs: Path,
    seeds: str,
    cells: str | None,
    methods: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Train what another paper has trained, by its methods and ours, and set both side by side.

    imdb: "Effective Quantization Approaches for Recurrent Neural Networks" (Alom et al. 2018), BC,
    TC and QC on LSTM and GRU; addition: its other task, by both sets of thresholds, whose windows
    are made; mnist: its movies, which models continue after 7 frames. sst, sst-phrases: binary
    weights and signs of "Binarized LSTM", trained on sentences alone or on their phrases too; ptb,
    chars: its language model of 200 cells, of words or of characters, in perplexities, of which
    lower ones are better; ptb-large: of words, 650 cells. SOURCE is the set as `mubinn convert`
    reads it. Runs that were interrupted go on.

    \b
      mubinn papers imdb aclImdb/ --runs runs/imdb --seeds 0,1,2 -o imdb
      mubinn papers addition --runs runs/addition --seeds 0,1,2,3,4 -o addition
      mubinn papers mnist mnist.npz --runs runs/mnist -o mnist
      mubinn papers sst trees/ --runs runs/sst -o sst
      mubinn papers ptb text/ --runs runs/ptb -o ptb
    """
    from mubinn.golden.ground.files import check_folder, write_folder
    from mubinn.reports.measures import MEASURES
    from mubinn.reports.papers import lines_of, papers_csv, papers_markdown, papers_pictures
    from mubinn.reports.writer import MARK
    from mubinn.train.recipes.papers import FLOAT, TASKS
    from mubinn.train.runs.sweep import recurrent_weights

    task = TASKS[name]
    measure = MEASURES[task.measure]
    if output is not None:
        check_folder(output, MARK)
    chosen = _chosen("methods", methods, (FLOAT, *task.ways))
    own_cells = _chosen("cells", cells, task.cells)
    numbers = [int(seed) for seed in _chosen("seeds", seeds, None)]
    data = _windows(task, source, runs)
    found: Rows = {}
    for cell in own_cells:
        found |= _trained(task, cell, chosen, data, runs / cell, numbers, as_json)
    more = FURTHER.get(task.measure, nothing_further)(task, data, runs, found)
    found = more.rows
    lines = lines_of(found, task.printed, FLOAT, measure, task.elsewhere)
    page = papers_markdown(
        lines,
        task.title,
        task.paper,
        command_line(ctx),
        next(iter(found.values()))[0]["versions"],
        measure,
        "\n\n".join(filter(None, (task.notes, more.notes))),
        task.held,
        more.shown,
    )
    if output is not None:
        curves = _curves(found, runs, measure.in_training)
        weights = {
            (cell, way): recurrent_weights(runs / cell / rows[0]["run"], task.recipe(cell, way))
            for (cell, way), rows in found.items()
        }
        files = {
            f"{name}.md": page.encode(),
            f"{name}.csv": papers_csv(lines, measure).encode(),
            "curves.csv": curves.to_csv().encode(),
            **papers_pictures(curves, weights),
            **more.files,
        }
        write_folder(output, files, MARK)
    if as_json:
        print_json([row for rows in found.values() for row in rows])
        return
    click.echo(page.split("\n![")[0])
    if output is not None:
        click.echo(f"Page: {output / f'{name}.md'}")


def _chosen(option: str, given: str | None, known: tuple[str, ...] | None) -> list[str]:
    """Return what an option lists, in the order of what is known; all of it without the option."""
    # The comma of a pair of levels, in brackets, is none between two.
    parts = re.split(r",(?![^(]*\))", given or "")
    words = [word.strip() for word in parts if word.strip()]
    if known is None:
        if not words or not all(word.isdecimal() for word in words):
            raise MubinnError(f"--{option} {given!r} is no list of numbers such as 0,1.")
        return list(dict.fromkeys(words))
    wrong = [word for word in words if word not in known]
    if wrong:
        raise MubinnError(f"--{option}: {wrong[0][:40]!r} is none of {'; '.join(known)}.")
    return [word for word in known if not words or word in words]


def _windows(task: Task, source: Path | None, runs: Path) -> LabelledSet:
    """Return the windows of the set, which the folder of runs keeps."""
    from mubinn.golden.ground.arrays import write_arrays
    from mubinn.train.data.files import load_labelled

    arrays = task.arrays(source)
    runs.mkdir(parents=True, exist_ok=True)
    write_arrays(runs / WINDOWS, arrays)
    return load_labelled(runs / WINDOWS)


def _trained(
    task: Task,
    cell: str,
    names: list[str],
    data: LabelledSet,
    folder: Path,
    seeds: list[int],
    quiet: bool,
) -> Rows:
    """Train the methods on one cell; return the summaries of their runs."""
    from mubinn.cli.commands.train_runs import display
    from mubinn.train.recipes.papers import FLOAT
    from mubinn.train.runs.sweep import sweep

    ways = [name for name in names if name != FLOAT]
    recipes = [task.recipe(cell, name) for name in ways]
    rows: Rows = {}
    with contextlib.ExitStack() as stack:

        def watch(name: str, number: int, count: int) -> Any:
            stack.close()
            if not quiet:
                click.echo(f"[{cell}, {number}/{count}] {name}", err=True)
            return stack.enter_context(display(quiet))

        base, notes = task.recipe(cell, FLOAT), {"data": task.title}
        done = sweep(data, recipes, base, (0,), seeds, folder, notes=notes, watch=watch)
        for _ in seeds:
            for name in (FLOAT, *ways):
                outcome = next(done)
                stack.close()
                rows.setdefault((cell, name), []).append({"run": outcome.name, **outcome.row})
    return rows


def _curves(rows: Rows, runs: Path, measure: Measure) -> Curves:
    """Return the measure on the validation part, of each epoch of each run."""
    import numpy as np

    from mubinn.reports.curves import Curves
    from mubinn.train.runs.checkpoint import read_log
    from mubinn.train.runs.sweep import LOG

    found: dict[tuple[str, str], dict[int, NDArray[np.float64]]] = {}
    for (cell, name), own in rows.items():
        for row in own:
            log = read_log(runs / cell / row["run"] / LOG)
            epochs = [one for one in log if one["event"] == "epoch"]
            values = np.array([one[f"validation_{measure.name}"] for one in epochs])
            found.setdefault((cell, name), {})[row["seed"]] = measure.factor * values
    return Curves(found, measure)
