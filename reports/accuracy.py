"""Accuracies of training runs, by method and levels, beside the paper's: their statistics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from mubinn.golden.cells.constants import DATAPATHS
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import CONSTANTS
from mubinn.train.recipes.method import METHODS

PAPER_FLOAT = 83.67
"""The paper's full precision, in percent."""

PAPER_MUBINN2 = {(1, 1): 80.27, (2, 2): 81.63, (3, 3): 82.94}
"""The paper's MuBiNN2, in percent; its MuBiNN1 and B_LSTM stand in pictures without numbers."""

TITLES = {
    "float": "float",
    "mubinn2": "MuBiNN2",
    "mubinn1": "MuBiNN1",
    "b_lstm": "B_LSTM",
    "weights": "binarized weights",
    "xnor": "XNOR",
}
TENSORS = ("h", "c", "gate", "b")
"""Tensors that have W levels unless they are set by themselves."""

FORMS = {"shift": "all scales powers of two"}
"""How rows name forms of scales that do not name themselves."""

CALIBRATED = {"subject": "subject calibration", "trained": "subject calibration, trained for"}
"""How rows name subject calibration."""

USUAL = {"cell": "lstm", "hidden": 100, "readout": "mean", "head": "classes"}
"""What networks are where nothing else is said."""

Place = tuple[str, str, str, int, int]


@dataclass(frozen=True)
class Run:
    """One measured run.

    Attributes
    ----------
    method : str
        A key of `TITLES`.
    levels : dict or None
        Level counts by tensor; None for float.
    scale_form, normalise, subject_calibration, datapath : str
    fold, seed : int
    graph_accuracy : float
        Of the training graph on the held-out fold, in 0..1.
    bit_true_accuracy : float or None
        Of the exported integers; None where the method has a float rest.
    agreement : float or None
        Share of windows that both classify alike.
    network, encoders, constants : str
        What is not usual of the network, of what binarizes it, and of the causal front end; empty
        where all is.
    """

    method: str
    levels: Mapping[str, int | None] | None
    scale_form: str
    normalise: str
    subject_calibration: str
    datapath: str
    fold: int
    seed: int
    graph_accuracy: float
    bit_true_accuracy: float | None
    agreement: float | None
    network: str = ""
    encoders: str = ""
    constants: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Run:
        """Return the run that a row of a log's summary describes; raise `MubinnError`."""
        try:
            row = {"datapath": "figure3", "subject_calibration": row["centre"], **row}
            recipe = row.get("recipe", {})
            row |= {"network": _network(recipe), "encoders": _encoders(recipe.get("method", {}))}
            row["constants"] = _constants(recipe)
            run = cls(**{name: row[name] for name in cls.__dataclass_fields__})
            known = run.method in TITLES and (run.levels is None) == (run.method == "float")
            known = known and run.datapath in DATAPATHS
            known = known and run.subject_calibration in ("none", *CALIBRATED)
            if not known or not 0 <= run.accuracy <= 1:
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise MubinnError(
                "A row of the accuracy data is incomplete or out of range: make it anew with "
                "`mubinn train --runs`."
            ) from None
        return run

    @property
    def accuracy(self) -> float:
        """Bit-true where there is such a model, else that of the training graph."""
        return self.graph_accuracy if self.bit_true_accuracy is None else self.bit_true_accuracy

    @property
    def place(self) -> Place:
        """What it shares with the float run that it is compared with."""
        about = self.network, self.normalise + self.constants, self.subject_calibration
        return *about, self.fold, self.seed

    @property
    def pair(self) -> tuple[int | None, int | None]:
        """(A, W)."""
        return (None, None) if self.levels is None else (self.levels["x"], self.levels["w"])

    @property
    def variant(self) -> str:
        """What differs from the usual run of its method and (A, W): empty, or names."""
        found = [text for text in (self.network, self.encoders) if text]
        if self.levels is not None:
            w = self.levels["w"]
            own = {name: self.levels[name] for name in TENSORS}
            found += [f"{name}={count}" for name, count in own.items() if count != w]
        if self.scale_form != "free":
            found.append(FORMS.get(self.scale_form, f"{self.scale_form} scales"))
        by = self.normalise.removeprefix("referenced-")
        if by != self.normalise:
            found.append("average reference")
        if by == "causal":
            found.append(f"causal front end{self.constants}")
        elif by != "window":
            found.append(f"normalised by {by}")
        if self.subject_calibration != "none":
            found.append(CALIBRATED[self.subject_calibration])
        if self.datapath != "figure3":
            found.append(f"{self.datapath} datapath")
        return ", ".join(found)


@dataclass(frozen=True)
class Group:
    """Runs that differ in fold and seed alone.

    Attributes
    ----------
    method, variant : str
    pair : tuple
        (A, W); two None for float.
    mean : float
        Over all runs, in percent.
    spread : float or None
        Standard deviation over the folds' means, in percentage points; None for one fold.
    by_fold : dict of int to float
        Mean of each fold, in percent.
    runs : int
    bit_true : bool
        Whether the accuracies are those of exported integers.
    loss : float or None
        Mean over the runs of the same fold and seed of float minus this, in points; None where
        there is no such float run.
    agreement : float or None
        Least share of windows that graph and exported model classify alike.
    """

    method: str
    variant: str
    pair: tuple[int | None, int | None]
    mean: float
    spread: float | None
    by_fold: Mapping[int, float]
    runs: int
    bit_true: bool
    loss: float | None
    agreement: float | None

    @property
    def name(self) -> str:
        """Method, (A, W) and variant, for readers."""
        levels = "" if self.pair[0] is None else f" ({self.pair[0]},{self.pair[1]})"
        return f"{TITLES[self.method]}{levels}" + (f", {self.variant}" if self.variant else "")

    @property
    def paper(self) -> float | None:
        """The paper's number, in percent, where it prints one."""
        if self.variant:
            return None
        if self.method == "float":
            return PAPER_FLOAT
        a, w = self.pair
        if self.method != "mubinn2" or a is None or w is None:
            return None
        return PAPER_MUBINN2.get((a, w))


def _network(recipe: Mapping[str, Any]) -> str:
    """Return what of a recipe's network is not usual, in words."""
    found = []
    if "layers" in recipe:
        found.append(f"layers {', '.join(recipe['layers'])}")
    else:
        if recipe.get("cell", USUAL["cell"]) != USUAL["cell"]:
            found.append(str(recipe["cell"]).upper())
        if recipe.get("hidden", USUAL["hidden"]) != USUAL["hidden"]:
            found.append(f"{recipe['hidden']} cells")
    for name in ("readout", "head"):
        own = recipe.get(name, USUAL[name])
        found += [] if own == USUAL[name] else [f"{name} {own}"]
    if recipe.get("embedding"):
        found.append(f"words of {recipe['embedding']} numbers")
    return ", ".join(found)


def _constants(recipe: Mapping[str, Any]) -> str:
    """Return what is not usual of the front end's constants, in words."""
    own = [f"{name.replace('_', '-')} {recipe[name]}" for name in CONSTANTS if name in recipe]
    return f" of {', '.join(own)}" if own else ""


def _encoders(method: Mapping[str, Any]) -> str:
    """Return what of a method's encoders and scales is not usual, in words."""
    found = [*method.get("encoders", ())]
    if method.get("thresholds", "rule") != "rule":
        found.append("learned thresholds")
    if "weight_scales" in method:
        found.append(f"{method['weight_scales']} scales of weights")
    known = METHODS.get(method.get("name", "float"))
    usual = "matrix" if known is not None and known.matrix else "gate"
    if method.get("granularity", usual) != usual:
        found.append(f"scales by {method['granularity']}")
    return ", ".join(found)


def measured(name: str = "accuracy") -> tuple[Run, ...]:
    """Return runs that come with the program.

    ``accuracy`` are those of the accuracy report, ``datapaths`` those that `datapath_difference`
    compares.
    """
    text = files("mubinn.reports").joinpath(f"data/{name}.json").read_text()
    return tuple(Run.of(row) for row in json.loads(text)["runs"])


@dataclass(frozen=True)
class Difference:
    """A mean over pairs of runs, in percentage points, and its standard error."""

    mean: float
    error: float
    pairs: int


def datapath_difference(runs: Iterable[Run]) -> Difference:
    """Return the accuracy with thresholds less that of Figure 3, each trained for its own.

    Parameters
    ----------
    runs : iterable of Run
        Runs that have no other alike but for the datapath are left out.

    Raises
    ------
    MubinnError
        Where there are fewer than two pairs.
    """
    found: dict[str, dict[tuple[Any, ...], float]] = {"figure3": {}, "threshold": {}}
    for run in runs:
        alike = (run.method, str(run.levels), run.scale_form, run.encoders, *run.place)
        found[run.datapath][alike] = 100 * run.accuracy
    both = found["figure3"].keys() & found["threshold"].keys()
    differences = [found["threshold"][key] - found["figure3"][key] for key in sorted(both)]
    if len(differences) < 2:
        raise MubinnError("No two runs were trained for each datapath: train some for both.")
    error = float(np.std(differences, ddof=1)) / len(differences) ** 0.5
    return Difference(float(np.mean(differences)), error, len(differences))


def groups(runs: Iterable[Run]) -> tuple[Group, ...]:
    """Return the runs in groups: by method as in `TITLES`, then levels, then variants.

    Raises
    ------
    MubinnError
        Where there are no runs.
    """
    sorted_runs: dict[tuple[Any, ...], list[Run]] = {}
    floats: dict[Place, float] = {}
    for run in runs:
        key = (list(TITLES).index(run.method), run.pair, run.variant)
        sorted_runs.setdefault(key, []).append(run)
        if run.method == "float":
            floats[run.place] = run.accuracy
    if not sorted_runs:
        raise MubinnError("There are no finished runs: train some with `mubinn train --runs DIR`.")
    order = sorted(sorted_runs, key=lambda key: (key[0], key[1][0] or 0, key[1][1] or 0, key[2]))
    return tuple(_group(sorted_runs[key], floats) for key in order)


def _group(runs: Sequence[Run], floats: Mapping[Place, float]) -> Group:
    by_fold: dict[int, list[float]] = {}
    for run in runs:
        by_fold.setdefault(run.fold, []).append(100 * run.accuracy)
    means = {fold: float(np.mean(values)) for fold, values in sorted(by_fold.items())}
    losses = [100 * (floats[run.place] - run.accuracy) for run in runs if run.place in floats]
    first = runs[0]
    agreements = [run.agreement for run in runs if run.agreement is not None]
    return Group(
        method=first.method,
        variant=first.variant,
        pair=first.pair,
        mean=float(np.mean([100 * run.accuracy for run in runs])),
        spread=float(np.std(list(means.values()), ddof=1)) if len(means) > 1 else None,
        by_fold=means,
        runs=len(runs),
        bit_true=first.bit_true_accuracy is not None,
        loss=float(np.mean(losses)) if losses and first.method != "float" else None,
        agreement=min(agreements, default=None),
    )
