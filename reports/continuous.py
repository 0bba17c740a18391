"""What models are worth that go on for hours: their runs together, as tables, CSV and pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.reports.csv_text import csv_text

WAYS = {"reset": "each window anew", "k6": "carried, k = 6", "k7": "carried, k = 7"}
"""Ways of deciding, and how tables call them."""

CARRIED = ("k6", "k7")

SHARE = 0.8
"""Of the changes; what a reaction waits for."""

Row = Mapping[str, Any]
"""One model on the people of its fold: ``levels``, ``fold``, ``seed`` and what
`mubinn.train.runs.continuous.judged_on` returns."""


@dataclass
class Pooled:
    """Models of equal levels, on all the people that they were tried on.

    Attributes
    ----------
    levels : str
    runs, windows, changes : int
    right : dict
        How many windows are decided right, by disturbance and by way.
    reaction : dict
        Of how many changes the class is right, every `every_s` seconds after, by way.
    by_fold : dict
        Windows, and those decided right by way, of each fold.
    """

    levels: str
    every_s: float
    runs: int = 0
    windows: int = 0
    changes: int = 0
    right: dict[str, dict[str, int]] = field(default_factory=dict)
    reaction: dict[str, list[int]] = field(default_factory=dict)
    by_fold: dict[int, dict[str, int]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Take the counts of a row in."""
        self.runs += 1
        self.windows += row["windows"]
        self.changes += row["changes"]
        for name, counts in row["right"].items():
            own = self.right.setdefault(name, dict.fromkeys(counts, 0))
            for way, count in counts.items():
                own[way] += count
        for way, counts in row["reaction"].items():
            before = self.reaction.get(way, [0] * len(counts))
            self.reaction[way] = [a + b for a, b in zip(before, counts, strict=False)]
        fold = self.by_fold.setdefault(row["fold"], {"windows": 0})
        fold["windows"] += row["windows"]
        for way, count in next(iter(row["right"].values())).items():
            fold[way] = fold.get(way, 0) + count

    @property
    def recorded(self) -> str:
        """The name of what is not disturbed."""
        return next(iter(self.right))

    def share(self, way: str, name: str | None = None) -> float:
        """Return the share of the windows decided right, in percent."""
        return 100 * self.right[name or self.recorded][way] / self.windows

    def loss(self, way: str, name: str) -> float:
        """Return what a disturbance costs, in points."""
        return self.share(way) - self.share(way, name)

    def curve(self, way: str) -> tuple[list[float], list[float]]:
        """Return seconds after a change, and the share in percent that is right by then."""
        shares = [100 * count / self.changes for count in self.reaction[way]]
        return [self.every_s * (k + 1) for k in range(len(shares))], shares

    def reacted(self, way: str) -> float | None:
        """Return the seconds after which `SHARE` of the changes are right for the first time."""
        seconds, shares = self.curve(way) if self.changes else ([], [])
        reached = (s for s, share in zip(seconds, shares, strict=True) if share >= 100 * SHARE)
        return next(reached, None)


def pooled(rows: Iterable[Row]) -> list[Pooled]:
    """Return the rows by levels, the fewest first; raise `MubinnError` where there are none."""
    found: dict[str, Pooled] = {}
    for row in rows:
        own = found.setdefault(row["levels"], Pooled(row["levels"], row["every_s"]))
        if own.every_s != row["every_s"]:
            raise MubinnError("The models take steps at different rates: measure them apart.")
        own.add(row)
    if not found:
        raise MubinnError("There are no models: give files, or folders of mubinn train --runs.")
    return [found[name] for name in sorted(found)]


def measured() -> list[dict[str, Any]]:
    """Return the rows that come with the program."""
    text = files("mubinn.reports").joinpath("data/continuous.json").read_text()
    rows: list[dict[str, Any]] = json.loads(text)["rows"]
    return rows


def as_json(rows: Sequence[Row], about: Mapping[str, Any]) -> str:
    """Return rows as the JSON that comes with the program, a line each."""
    lines = ",\n".join(json.dumps(row) for row in rows)
    return f'{{"about": {json.dumps(about)},\n"rows": [\n{lines}\n]}}\n'


Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def tables(found: Sequence[Pooled]) -> dict[str, Table]:
    """Return columns and rows by title."""
    accuracy = [
        (one.levels, str(one.runs), *(f"{one.share(way):.2f}" for way in WAYS)) for one in found
    ]
    folds = sorted({fold for one in found for fold in one.by_fold})
    by_fold = [
        (one.levels, WAYS[way], *(_of_fold(one, fold, way) for fold in folds))
        for one in found
        for way in ("reset", "k7")
    ]
    reaction = [
        (one.levels, str(one.changes), *(_seconds(one.reacted(way)) for way in CARRIED))
        for one in found
    ]
    names = [name for name in found[0].right if name != found[0].recorded]
    robust = [
        (name, *(f"{one.loss(way, name):+.2f}" for one in found for way in ("reset", "k7")))
        for name in names
    ]
    sides = [f"{one.levels} {WAYS[way]}" for one in found for way in ("reset", "k7")]
    return {
        "right, %": (("levels", "runs", *WAYS.values()), accuracy),
        "right by fold, %": (("levels", "way", *(f"fold {fold}" for fold in folds)), by_fold),
        f"seconds until {100 * SHARE:g} % are right after a change": (
            ("levels", "changes", *(WAYS[way] for way in CARRIED)),
            reaction,
        ),
        "lost to disturbances, points": (("disturbance", *sides), robust),
    }


def _of_fold(one: Pooled, fold: int, way: str) -> str:
    own = one.by_fold.get(fold)
    return "-" if own is None else f"{100 * own[way] / own['windows']:.2f}"


def _seconds(found: float | None) -> str:
    return "never" if found is None else f"{found:.1f}"


def continuous_csv(found: Sequence[Pooled]) -> str:
    """Return the shares in percent, a line for each of levels, disturbance and way."""
    return csv_text(
        ("levels", "runs", "windows", "disturbance", "way", "right"),
        (
            (one.levels, one.runs, one.windows, name, way, f"{one.share(way, name):.4f}")
            for one in found
            for name in one.right
            for way in WAYS
        ),
    )
