"""What the runs of one recipe are worth together: folds pooled, seeds compared. NumPy only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mubinn.golden.inference.metrics import Metrics


@dataclass(frozen=True)
class Pooled:
    """Runs that differ in fold and seed alone.

    Attributes
    ----------
    name : str
        Method and levels, such as ``mubinn2 1,1``.
    classes : tuple of str
    folds : tuple of int
        Every seed was run on all of them.
    by_seed : dict of int to Metrics
        Of the windows of all folds together, each decided by the model that had not seen them.
    least_run : float
        Accuracy of the worst run of one fold and seed, in 0..1.
    """

    name: str
    classes: tuple[str, ...]
    folds: tuple[int, ...]
    by_seed: Mapping[int, Metrics]
    least_run: float

    @property
    def accuracy(self) -> list[float]:
        """Of each seed."""
        return [found.accuracy for found in self.by_seed.values()]

    @property
    def balanced_accuracy(self) -> list[float]:
        """Of each seed."""
        return [found.balanced_accuracy for found in self.by_seed.values()]

    @property
    def f1(self) -> dict[str, list[float | None]]:
        """Of each class, of each seed."""
        shares = zip(*(found.f1 for found in self.by_seed.values()), strict=True)
        return {name: list(own) for name, own in zip(self.classes, shares, strict=True)}


def pooled(rows: Iterable[Mapping[str, Any]]) -> list[Pooled]:
    """Return the runs by recipe, in the order that these first come in.

    Parameters
    ----------
    rows : iterable of mapping
        Summaries of a sweep's runs, `mubinn.train.runs.sweep.summary`: every seed on every fold.
        Recipes of which a log keeps no confusions, as older ones do, are left out.
    """
    recipes: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        own = {key: value for key, value in row["recipe"].items() if key not in ("fold", "seed")}
        recipes.setdefault(json.dumps(own, sort_keys=True), []).append(row)
    found = recipes.values()
    return [_pooled(own) for own in found if all(row["confusion"] is not None for row in own)]


def _pooled(rows: Sequence[Mapping[str, Any]]) -> Pooled:
    each = [(row["seed"], Metrics(np.array(row["confusion"], np.int64))) for row in rows]
    seeds = sorted({seed for seed, _ in each})
    levels = rows[0]["levels"]
    pair = "" if levels is None else f" {levels['x']},{levels['w']}"
    return Pooled(
        name=f"{rows[0]['method']}{pair}",
        classes=tuple(rows[0]["f1"]),
        folds=tuple(sorted({row["fold"] for row in rows})),
        by_seed={
            seed: Metrics(np.sum([one.confusion for own, one in each if own == seed], axis=0))
            for seed in seeds
        },
        least_run=min(one.accuracy for _, one in each),
    )
