"""What ``mubinn train`` does: one run, or a sweep of many."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import print_json, print_table
from mubinn.cli.shared.measures import headline, in_words, measures
from mubinn.golden.ground.errors import MubinnError

if TYPE_CHECKING:
    from mubinn.golden.model.float_model import FloatModel
    from mubinn.train.data.windows import LabelledSet
    from mubinn.train.recipes.recipe import Recipe
    from mubinn.train.runs.pooled import Pooled
    from mubinn.train.runs.progress import Progress
    from mubinn.train.runs.trainer import TrainResult

RISE = 1.05
"""How far the loss of the kept epoch may lie above the least before it is told."""


def single(
    recorded: LabelledSet,
    recipe: Recipe,
    base: Recipe,
    options: dict[str, Any],
    notes: dict[str, str],
    as_json: bool,
) -> None:
    """Train one model, and a float model before it where none is given; write and tell."""
    from mubinn.golden.model.model_file import save_model
    from mubinn.train.runs.curve import check_curve, write_curve
    from mubinn.train.runs.judged import told, validated
    from mubinn.train.runs.trainer import train

    if options["curve"] is not None:
        check_curve(options["curve"])
    start, earlier = _start(recorded, recipe, base, options, notes, as_json)
    with display(as_json) as show:
        result = train(
            recorded,
            recipe,
            start=start,
            checkpoint_dir=options["checkpoint_dir"],
            log=options["log"],
            progress=show,
            notes={**notes, **earlier},
            integers=options["integers"] is not None,
        )
    save_model(options["output"], result.model)
    if result.integers is not None:
        save_model(options["integers"], result.integers.model)
    if options["curve"] is not None:
        write_curve(options["curve"], result.history)
    if as_json:
        print_json(
            {
                "model": str(options["output"]),
                "data": notes["data"],
                **_shares(result, recipe),
                "measured": measures(result.measured, recorded.classes),
                "agreement": result.agreement,
                **_beside(result, options, recorded.classes),
                "best_epoch": result.best_epoch,
                "history": list(result.history),
            }
        )
        return
    kind = "bit-true" if result.bit_true is not None else "of the training graph"
    if recipe.method.name == "float":
        kind = "float"
    epochs = f"after {len(result.history)} epochs"
    best = result.history[result.best_epoch - 1] if result.history else {}
    if best.get(validated(recipe.head, recorded)[0]) is not None:
        epochs = (
            f"{epochs}, of which {result.best_epoch} is the best on the people set aside "
            f"({told(best, 2)})"
        )
    click.echo(
        f"{options['output']}: {headline(result.measured, recipe.fold)} ({kind}), {epochs}, on "
        f"{notes['data']}."
    )
    for said in _warned(result, recipe, options["output"], recorded.classes):
        click.echo(f"mubinn: {said}", err=True)
    if result.integers is not None:
        click.echo(
            f"{options['integers']}: {headline(result.integers.measured, recipe.fold)} (bit-true), "
            f"as the training graph in {100 * result.integers.agreement:.2f} %."
        )
    of = f"{result.measured.windows}{' steps' if recorded.of_steps else ''}"
    click.echo(f"Of the {of}: {in_words(result.measured, recorded.classes)}")


def _warned(
    result: TrainResult, recipe: Recipe, output: Path, classes: Sequence[str]
) -> Iterator[str]:
    """Yield what the measures of a run do not say by themselves."""
    from mubinn.golden.inference.metrics import Metrics

    losses = [row["loss"] for row in result.history[: result.best_epoch]]
    if losses and losses[-1] > RISE * min(losses):
        yield (
            f"the loss of epoch {result.best_epoch}, {losses[-1]:.3f}, is above the "
            f"{min(losses):.3f} of epoch {losses.index(min(losses)) + 1}: give --validation, which "
            "keeps the best epoch, or a lower --learning-rate."
        )
    found = result.measured
    if isinstance(found, Metrics) and found.only is not None:
        yield (
            f"all {found.windows} decisions are {classes[found.only]!r}, whatever the input: the "
            "network tells nothing apart. Give another --learning-rate, and where there are levels "
            "another --scale-rate or more of them."
        )
    if not recipe.method.in_files:
        yield (
            f"{output} has the weights as they were before {recipe.method.name} binarized them, "
            "and its x and h are numbers: mubinn predict decides by these, not as was measured "
            "here."
        )


def _beside(result: TrainResult, options: dict[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Return what is told of integers beside the model."""
    if result.integers is None:
        return {}
    own = {"model": str(options["integers"]), "agreement": result.integers.agreement}
    return {"integers": {**own, "measured": measures(result.integers.measured, classes)}}


def _shares(result: TrainResult, recipe: Recipe) -> dict[str, Any]:
    """Return the accuracies of graph, integers and validation; a regression has none."""
    if recipe.head == "regression":
        return {}
    names = ("test_accuracy", "bit_true_accuracy", "validation_accuracy")
    return {name: getattr(result, name) for name in names}


def _start(
    recorded: LabelledSet,
    recipe: Recipe,
    base: Recipe,
    options: dict[str, Any],
    notes: dict[str, str],
    as_json: bool,
) -> tuple[FloatModel | None, dict[str, str]]:
    """Return the model to start from, and notes about it."""
    from mubinn.train.runs.judged import noted
    from mubinn.train.runs.trainer import train

    given, scratch = options["float_model"], options["from_scratch"]
    if given is not None and scratch:
        raise MubinnError("--float-model and --from-scratch exclude each other: give one.")
    if given is not None:
        return given, _noted(given)
    if scratch or recipe.method.name == "float":
        return None, {}
    folder: Path | None = options["checkpoint_dir"]
    with display(as_json) as show:
        first = train(
            recorded, base, checkpoint_dir=folder / "float" if folder else None, progress=show
        )
    return _as_float(first.model), noted(first.test, "float", recorded)


def _as_float(model: Any) -> FloatModel:
    from mubinn.golden.model.float_model import FloatModel

    assert isinstance(model, FloatModel)
    return model


_NOTED = ("accuracy", "balanced_accuracy", "perplexity", "f1", "r2", "mean_absolute_error")
"""Measures that models note."""


def _noted(model: FloatModel) -> dict[str, str]:
    """Return what a float model says of itself, for the notes of one that starts from it."""
    found = {f"float_{name}": f"test_{name}" for name in _NOTED}
    found["float_command"] = "command"
    return {note: model.meta[name] for note, name in found.items() if name in model.meta}


def many(
    recorded: LabelledSet,
    recipes: list[Recipe],
    base: Recipe,
    options: dict[str, Any],
    notes: dict[str, str],
    as_json: bool,
) -> None:
    """Train every recipe on every fold and seed; tell each run as it is done."""
    import numpy as np

    from mubinn.train.runs.pooled import pooled
    from mubinn.train.runs.sweep import sweep

    if recipes[0].head == "regression":
        raise MubinnError(
            "--runs compares accuracies, which a regression has not: train one run with -o FILE."
        )
    for name in ("float_model", "from_scratch", "checkpoint_dir", "log", "curve", "integers"):
        if options[name] not in (None, False):
            raise MubinnError(f"--{name.replace('_', '-')} belongs to one run: leave it out.")
    present = np.unique(recorded.fold).tolist()
    folds = _numbers(options["folds"], present) if options["folds"] else [options["fold"]]
    seeds = _numbers(options["seeds"], None) if options["seeds"] else [options["seed"]]
    recipes = [replace(recipe, fold=folds[0]) for recipe in recipes]
    done: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:

        def watch(name: str, number: int, count: int) -> Callable[[Progress], None] | None:
            if not as_json:
                click.echo(f"[{number}/{count}] {name}", err=True)
            stack.close()
            show: Callable[[Progress], None] | None = stack.enter_context(display(as_json))
            return show

        for outcome in sweep(
            recorded, recipes, base, folds, seeds, options["runs"], notes=notes, watch=watch
        ):
            stack.close()
            done.append({"run": outcome.name, "fresh": outcome.fresh, **outcome.row})
    if as_json:
        print_json(done)
        return
    rows = [
        (
            row["run"],
            *(_percent(row[f"{name}_accuracy"]) for name in ("graph", "bit_true", "balanced")),
            least_f1(row["f1"]),
            f"{row['epochs']}",
        )
        for row in done
    ]
    print_table("accuracy, %", ("run", "graph", "bit-true", "balanced", "least F1", "epochs"), rows)
    _print_pooled(pooled(done))


def _print_pooled(found: list[Pooled]) -> None:
    """Tell what the runs of each recipe are worth together: all folds, and over the seeds."""
    if not found:
        return
    folds = ", ".join(map(str, found[0].folds))
    seeds = ", ".join(map(str, found[0].by_seed))
    told = f"windows of folds {folds} together; mean +- standard deviation over seeds {seeds}"
    rows = [
        (
            one.name,
            over_seeds(one.accuracy, 100),
            f"{100 * min(one.accuracy):.2f}",
            f"{100 * one.least_run:.2f}",
            over_seeds(one.balanced_accuracy, 100),
            f"{100 * min(one.balanced_accuracy):.2f}",
        )
        for one in found
    ]
    names = ("recipe", "accuracy", "least seed", "least run", "balanced", "least seed")
    click.echo()
    print_table(f"%, {told}", names, rows)
    click.echo()
    classes = [(name, *(over_seeds(one.f1[name]) for one in found)) for name in found[0].classes]
    print_table(f"F1, {told}", ("class", *(one.name for one in found)), classes)


def over_seeds(values: Sequence[float | None], factor: float = 1) -> str:
    """Return the mean and standard deviation of values, times a factor, as text.

    >>> over_seeds([0.5, 0.7]), over_seeds([0.5], 100), over_seeds([None, 0.5])
    ('0.600 +- 0.141', '50.00', '-')
    """
    known = [factor * value for value in values if value is not None]
    if len(known) < len(values):
        return "-"
    digits = 2 if factor > 1 else 3
    mean = f"{statistics.mean(known):.{digits}f}"
    return mean if len(known) < 2 else f"{mean} +- {statistics.stdev(known):.{digits}f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def least_f1(f1: dict[str, float | None] | None) -> str:
    """Return the least F1 of the classes that have one, as text: 0 for a class never found.

    >>> least_f1({"rest": 0.75, "fist": 0.0, "none of these windows": None}), least_f1(None)
    ('0.000', '-')
    """
    known = [share for share in (f1 or {}).values() if share is not None]
    return f"{min(known):.3f}" if known else "-"


def _numbers(text: str, present: list[int] | None) -> list[int]:
    """Return the numbers of a list such as ``0,2``; ``all`` is everything `present`."""
    if text == "all" and present is not None:
        return present
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise MubinnError(
            f"{text!r} is no list of numbers: give numbers such as 0,1"
            + ("." if present is None else ", or all.")
        ) from None
    missing = sorted(set(found) - set(found if present is None else present))
    if missing or min(found) < 0:
        raise MubinnError(
            f"There is no {min(found) if not missing else missing[0]} among "
            f"{'0, 1, 2, ...' if present is None else ', '.join(map(str, present))}: "
            "choose from these."
        )
    return found


@contextlib.contextmanager
def display(quiet: bool) -> Iterator[Any]:
    """Show progress while the context lasts: nothing with --json or without a terminal."""
    from rich.console import Console

    from mubinn.train.runs.progress import rich_progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with rich_progress(console) as show:
        yield show
