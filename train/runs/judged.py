"""What the answers of a network are worth, by its head. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.metrics import Errors, Metrics, metrics
from mubinn.golden.model.head import HEADS, HeadKind
from mubinn.train.data.recordings import LabelledSet

Judged = Metrics | Errors
"""Of decisions, or of the numbers of a regression."""


def figures_of(head: HeadKind) -> tuple[str, ...]:
    """Return the names of `Metrics.figures` or `Errors.figures`."""
    empty = np.zeros((2, 1))
    found = Errors(empty, empty) if HEADS[head].decision is None else metrics([0], [0], 1)
    return tuple(found.figures)


def validated(head: HeadKind) -> tuple[str, str]:
    """Return what an epoch tells of the validation subjects; with balance the second one counts."""
    first, second = (f"validation_{name}" for name in figures_of(head))
    return first, second


def judged(data: LabelledSet, truth: NDArray[Any], answers: NDArray[Any]) -> Judged:
    """Return what answers, classes [N] or numbers [N, n], are worth beside the truth."""
    if not data.classes:
        return Errors(np.asarray(truth, np.float64), np.asarray(answers, np.float64))
    return metrics(truth, answers, len(data.classes))


def noted(found: Judged, name: str, data: LabelledSet) -> dict[str, str]:
    """Return measures as notes of a model, such as ``test_accuracy`` of the name ``test``."""
    return found.notes(name) if isinstance(found, Errors) else found.notes(name, data.classes)


def outputs_of(head: HeadKind, data: LabelledSet) -> int:
    """Return how many numbers the dense layer has; raise `MubinnError` where data do not fit."""
    if (HEADS[head].decision is None) != (not data.classes):
        raise MubinnError(
            f"The data are of {'classes' if data.classes else 'numbers'}, which a {head} head does "
            "not give: load them as the head has them."
        )
    if head == "regression":
        return int(data.y.shape[1])
    if head == "sigmoid" and len(data.classes) != 2:
        raise MubinnError(
            f"One sigmoid decides between 2 classes, and the data have {len(data.classes)}: give "
            "--head classes."
        )
    return 1 if head == "sigmoid" else len(data.classes)


def told(row: Mapping[str, Any], digits: int = 1) -> str:
    """Return the validation of an epoch in words, a share with so many digits.

    >>> told({"validation_accuracy": 0.5}), told({"validation_r2": 0.5}), told({})
    ('50.0 %', 'R^2 0.500', '-')
    """
    if row.get("validation_r2") is not None:
        return f"R^2 {row['validation_r2']:.3f}"
    share = row.get("validation_accuracy")
    return "-" if share is None else f"{100 * share:.{digits}f} %"
