"""Many training runs: each fold and seed, float first, then every method from its float model.

A run has a folder of its own, named after what decides it, with ``log.jsonl``, the model and
learning curves. A finished run is not repeated; one that was killed goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.model_file import load_float, load_model, save_model
from mubinn.train.data.recordings import LabelledSet
from mubinn.train.recipes.first_scales import by_scale
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.runs.checkpoint import alone_in, no_log, read_log
from mubinn.train.runs.curve import write_curve
from mubinn.train.runs.progress import Progress
from mubinn.train.runs.trainer import CHECKPOINT, go_on, new_run

LOG = "log.jsonl"
FLOAT_FILE = "model.safetensors"
QUANTIZED_FILE = "model.mubinn"

Show = Callable[[Progress], None]


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes
    ----------
    name : str
        Of its folder.
    row : dict
        What `summary` says about it.
    fresh : bool
        Whether it was trained now.
    """

    name: str
    row: dict[str, Any]
    fresh: bool


def run_name(recipe: Recipe) -> str:
    """Return a run's folder: method, levels, fold, seed, and a hash of what is not usual."""
    method = recipe.method
    levels = "" if method.levels is None else f"-{method.levels.x}-{method.levels.w}"
    usual = Recipe().to_json()
    own = {name: value for name, value in recipe.to_json().items() if value != usual.get(name)}
    short = hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:8]
    return f"{method.name}{levels}-fold{recipe.fold}-seed{recipe.seed}-{short}"


def sweep(
    data: LabelledSet,
    recipes: Sequence[Recipe],
    float_recipe: Recipe,
    folds: Sequence[int],
    seeds: Sequence[int],
    folder: Path,
    *,
    notes: Mapping[str, str] | None = None,
    watch: Callable[[str, int, int], Show | None] | None = None,
) -> Iterator[Outcome]:
    """Train every recipe for every fold and seed; yield the runs as they are done.

    Parameters
    ----------
    data : LabelledSet
    recipes : sequence of Recipe
        Their fold and seed are replaced. A float recipe trains from scratch.
    float_recipe : Recipe
        Of the float models that the others start from; they come first.
    folds, seeds : sequence of int
    folder : Path
        Holds one folder a run.
    notes : mapping of str to str, optional
        Joins each model's ``meta`` and each log's last row.
    watch : callable, optional
        Called with a run's name, its number and the count of all before it starts; returns what
        follows its steps, or None.
    """
    binarized = [recipe for recipe in recipes if recipe.method.name != "float"]
    count = len(folds) * len(seeds) * (1 + len(binarized))
    number = 0
    for fold in folds:
        for seed in seeds:
            start: FloatModel | None = None
            for recipe in (float_recipe, *binarized):
                own = replace(recipe, fold=fold, seed=seed)
                number += 1
                place = folder / run_name(own)
                done = is_finished(place)
                show = watch(place.name, number, count) if watch and not done else None
                fresh = not done and one_run(data, own, place, start, notes=notes, progress=show)
                if start is None:
                    start = load_float(place / FLOAT_FILE)
                yield Outcome(place.name, summary(place / LOG), fresh)


def one_run(
    data: LabelledSet,
    recipe: Recipe,
    folder: Path,
    start: FloatModel | None,
    *,
    notes: Mapping[str, str] | None = None,
    progress: Show | None = None,
) -> bool:
    """Train one recipe in `folder`, or go on with it; return whether it was not finished before.

    Raises
    ------
    MubinnError
        As of `mubinn.train.runs.trainer.train`: the data do not fit the recipe, in which case no
        folder is made, or another process trains there, among others.
    """
    run = new_run(data, recipe, start)
    with alone_in(folder):
        if is_finished(folder):  # Since it was asked, another process may have been there.
            return False
        result = go_on(run, folder, log=folder / LOG, progress=progress, notes=notes)
        exact = recipe.method.exports
        save_model(folder / (QUANTIZED_FILE if exact else FLOAT_FILE), result.model)
        write_curve(folder / "curve.svg", result.history)
        (folder / CHECKPOINT).unlink()
    return True


def is_finished(folder: Path) -> bool:
    """Return whether a run's folder is complete: the checkpoint goes last."""
    log = folder / LOG
    if not log.exists() or (folder / CHECKPOINT).exists():
        return False
    rows = read_log(log)
    return bool(rows) and rows[-1].get("event") == "end"


def recurrent_weights(folder: Path, recipe: Recipe) -> NDArray[np.float64]:
    """Return the weights of the first recurrent layer of a finished run, as they are multiplied.

    float64 [weights], of W_x and of W_h, of rows that have some. Where the model's file has the
    weights before their signs are taken, and their scales are fitted to them, they are the signs
    times these scales, mean magnitudes.
    """
    exact, method = folder / QUANTIZED_FILE, recipe.method
    if exact.exists():
        layer = next(own for own in load_model(exact).layers if own.cell.reading("wh"))
        wx, wh = layer.wx.float_values, layer.wh.float_values
        rows = [wx[layer.row_slice(row)] for row in layer.cell.reading("wx")]
        rows += [wh[layer.row_slice(row)] for row in layer.cell.reading("wh")]
        return np.concatenate([part.ravel() for part in rows])
    floats = next(own for own in load_float(folder / FLOAT_FILE).layers if own.cell.reading("wh"))
    parts = [part for own in by_scale(floats, method).values() for part in own]
    if method.known.signs and method.weight_scales == "fitted":
        parts = [np.where(part >= 0, 1, -1) * np.abs(part).mean() for part in parts]
    return np.concatenate([part.ravel() for part in parts])


def summary(log: Path) -> dict[str, Any]:
    """Return what a finished run's log says, in one row; raise `MubinnError` where it is none."""
    try:
        return _summary(read_log(log))
    except (KeyError, IndexError, TypeError, AttributeError):
        raise no_log(log) from None


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first, last = rows[0], rows[-1]
    recipe = first["recipe"]
    method = recipe["method"]
    epochs = [row for row in rows if row["event"] == "epoch"]
    return {
        "method": method["name"],
        "levels": method["levels"],
        "scale_form": method["scale_form"],
        "normalise": recipe["normalise"],
        "centre": recipe.get("centre", "none"),
        "datapath": recipe.get("datapath", "figure3"),
        "balance": recipe.get("balance", "none"),
        "fold": recipe["fold"],
        "seed": recipe["seed"],
        "graph_accuracy": last["test_accuracy"],
        "bit_true_accuracy": last["bit_true_accuracy"],
        "graph_perplexity": last.get("test_perplexity"),
        "bit_true_perplexity": last.get("bit_true_perplexity"),
        "balanced_accuracy": last.get("balanced_accuracy"),
        "f1": last.get("f1"),
        "confusion": last.get("confusion"),
        "agreement": last["agreement"],
        "windows": last["windows"],
        "epochs": last["epochs"],
        "loss": epochs[-1]["loss"],
        "recipe": recipe,
        "versions": first["versions"],
        "notes": last["notes"],
    }
