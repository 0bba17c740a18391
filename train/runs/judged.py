"""What the answers of a network are worth, by its head. NumPy only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.metrics import Errors, Metrics, cross_entropy, metrics
from mubinn.golden.model.head import HEADS, HeadKind
from mubinn.train.data.recordings import NO_LABEL, LabelledSet, labelled

Judged = Metrics | Errors
"""Of decisions, or of the numbers of a regression."""


PERPLEXITY = "validation_perplexity"
"""The name of what decides between epochs where steps have labels: the less the better."""


def figures_of(head: HeadKind, data: LabelledSet) -> tuple[str, ...]:
    """Return the names of `Metrics.figures` or `Errors.figures`."""
    empty = np.zeros((2, 1))
    if HEADS[head].decision is None:
        return tuple(Errors(empty, empty).figures)
    return tuple(metrics([0], [0], len(data.classes), 0.0 if data.of_steps else None).figures)


def validated(head: HeadKind, data: LabelledSet) -> tuple[str, ...]:
    """Return what an epoch tells of the validation subjects, the first measure first."""
    return tuple(f"validation_{name}" for name in figures_of(head, data))


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network says of windows, or of those of their steps that have a label.

    Attributes
    ----------
    said : int64 [N] or float [N, n]
        Classes, or the numbers of a regression.
    nats : float or None
        Mean cross entropy, where steps have labels.
    """

    said: NDArray[Any]
    nats: float | None = None


def judged(data: LabelledSet, index: NDArray[np.int64], answers: Answers) -> Judged:
    """Return what answers on the windows `index` are worth beside the truth."""
    truth = data.y[index]
    if not data.classes:
        return Errors(np.asarray(truth, np.float64), np.asarray(answers.said, np.float64))
    return metrics(labelled(truth), answers.said, len(data.classes), answers.nats)


def at_steps(
    head: HeadKind, y: NDArray[Any], parts: Iterable[tuple[NDArray[Any], NDArray[Any]]]
) -> Answers:
    """Return what scores say of the steps that have a label.

    Parameters
    ----------
    head : HeadKind
    y : int [N, T]
    parts : iterable of (scores, values), [n, T, C] each
        Of all windows in order, so many at a time: what is decided by, and the logits.
    """
    said, nats, start = [], [], 0
    for scores, values in parts:
        own = y[start : start + len(scores)]
        start, known = start + len(scores), own != NO_LABEL
        said.append(HEADS[head].decide(scores[known]))
        nats.append(cross_entropy(values[known], own[known]))
    return Answers(np.concatenate(said), float(np.concatenate(nats).mean()))


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
    if row.get(PERPLEXITY) is not None:
        return f"perplexity {row[PERPLEXITY]:.2f}"
    if row.get("validation_r2") is not None:
        return f"R^2 {row['validation_r2']:.3f}"
    share = row.get("validation_accuracy")
    return "-" if share is None else f"{100 * share:.{digits}f} %"
