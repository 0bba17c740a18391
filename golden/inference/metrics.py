"""What decisions are worth: accuracy, balanced accuracy, F1 of each class, confusions.

All four come from one matrix of counts, so they cannot tell of different windows. Where each step
has a label, steps stand in the place of windows, and the perplexity joins the measures. What a
regression is worth, which decides on nothing, is told by its errors.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints

MOST_CLASSES = 256
"""Most classes of which confusions and the F1 of each are kept, a quarter of a megabyte a log."""


@dataclass(frozen=True, eq=False)
class Metrics:
    """Measures of decisions on windows whose classes are known.

    Attributes
    ----------
    confusion : int64 [C, C]
        Windows of each class (row) that were taken for each class (column). Of more than
        `MOST_CLASSES` classes [2, 2]: those that are decided right, and wrong, in the first row.
    named : bool
        Whether rows and columns are classes; without it there is the accuracy alone.
    nats : float or None
        Mean cross entropy, where it was measured.

    Examples
    --------
    Four windows of class 0, of which one is taken for 1, two of class 1 and none of class 2:

    >>> found = metrics([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1], 3)
    >>> found.confusion.tolist()
    [[3, 1, 0], [0, 2, 0], [0, 0, 0]]
    >>> round(found.accuracy, 4), found.balanced_accuracy
    (0.8333, 0.875)
    >>> [share if share is None else round(share, 4) for share in found.f1]
    [0.8571, 0.8, None]
    """

    confusion: Ints
    named: bool = True
    nats: float | None = None

    @property
    def figures(self) -> dict[str, float]:
        """Accuracy, balanced accuracy and perplexity by name, those that there are."""
        found = {"accuracy": self.accuracy}
        if self.named:
            found["balanced_accuracy"] = self.balanced_accuracy
        if self.nats is not None:
            found["perplexity"] = perplexity(self.nats)
        return found

    @property
    def windows(self) -> int:
        """All windows."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of the windows that are decided right."""
        return int(np.trace(self.confusion)) / self.windows

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the classes that occur of the share of their windows that is decided right.

        >>> metrics([0] * 9 + [1], [0] * 10, 2).balanced_accuracy
        0.5
        """
        self._check_named()
        counts = self.confusion.sum(axis=1)
        occurs = counts > 0
        return float((np.diagonal(self.confusion)[occurs] / counts[occurs]).mean())

    @property
    def only(self) -> int | None:
        """The one class that all windows are taken for where several occur; None where none is.

        >>> metrics([0, 1, 2], [1, 1, 1], 3).only, metrics([1, 1], [1, 1], 3).only
        (1, None)
        """
        if not self.named or np.count_nonzero(self.confusion.sum(axis=1)) < 2:
            return None
        (decided,) = np.nonzero(self.confusion.sum(axis=0))
        return int(decided[0]) if len(decided) == 1 else None

    @property
    def f1(self) -> tuple[float | None, ...]:
        """F1 of each class: twice its right decisions, over its windows plus decisions for it.

        The harmonic mean of precision and recall; None for a class that neither occurs nor is
        decided for.

        >>> metrics([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1], 3).f1
        (0.8, 0.0, 0.0)
        """
        self._check_named()
        right = np.diagonal(self.confusion)
        all_of = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        pairs = zip(right.tolist(), all_of.tolist(), strict=True)
        return tuple(2 * own / total if total else None for own, total in pairs)

    def _check_named(self) -> None:
        if not self.named:
            raise MubinnError(
                f"Of more than {MOST_CLASSES} classes the accuracy alone is kept: read that."
            )

    def notes(self, name: str, classes: Sequence[str]) -> dict[str, str]:
        """Return the measures as notes of a model, such as ``test_accuracy`` of the name ``test``.

        >>> metrics([0, 1], [0, 0], 2).notes("test", ["shut", "open"])["test_f1"]
        '{"shut": 0.6667, "open": 0.0}'
        """
        found = {f"{name}_{key}": f"{value:.4f}" for key, value in self.figures.items()}
        if self.named:
            shares = (None if share is None else round(share, 4) for share in self.f1)
            found[f"{name}_f1"] = json.dumps(dict(zip(classes, shares, strict=True)))
        return found


def perplexity(nats: float) -> float:
    """Return ``exp(nats)`` of a mean cross entropy; infinity beyond what a float holds.

    Of C classes that are told apart by nothing it is C:

    >>> round(perplexity(float(cross_entropy(np.zeros((1, 8)), np.array([3]))[0])), 9)
    8.0
    """
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def cross_entropy(values: npt.NDArray[Any], truth: npt.NDArray[Any]) -> Floats:
    """Return the cross entropy in nats of logits, ``-log softmax(values)[truth]``.

    Parameters
    ----------
    values : float [N, C]
        One logit a class, or [N, 1] of a sigmoid, with classes 0 and 1.
    truth : int [N]

    Returns
    -------
    float64 [N]
    """
    if values.shape[1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=1)
    top = values.max(axis=1, keepdims=True)
    whole = np.exp(values - top).sum(axis=1, dtype=np.float64)
    own = np.take_along_axis(values, truth[:, None].astype(np.int64), axis=1)
    return np.asarray(np.log(whole) - (own - top)[:, 0], np.float64)


def metrics(
    truth: npt.ArrayLike, decided: npt.ArrayLike, classes: int, nats: float | None = None
) -> Metrics:
    """Return the measures of decisions.

    Parameters
    ----------
    truth, decided : int [N]
        Class of each window or step, and what it is taken for: 0 to C - 1.
    classes : int
        C.
    nats : float, optional
        `Metrics.nats`.

    Raises
    ------
    MubinnError
        There is no window, the lengths differ, or a class is out of range.

    Examples
    --------
    >>> metrics([0, 1, 1], [0, 1, 0], 2).accuracy == 2 / 3
    True
    """
    true, said = np.asarray(truth), np.asarray(decided)
    if true.ndim != 1 or true.shape != said.shape or not len(true):
        raise MubinnError(
            f"There are {true.size} labels for {said.size} decisions: give one of each a window."
        )
    for values in (true, said):
        if values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= classes:
            raise MubinnError(f"Classes must be whole numbers from 0 to {classes - 1}.")
    if classes > MOST_CLASSES:
        right = int((true == said).sum())
        return Metrics(np.array([[right, len(true) - right], [0, 0]]), named=False, nats=nats)
    counts = np.bincount(true.astype(np.int64) * classes + said, minlength=classes * classes)
    return Metrics(counts.reshape(classes, classes).astype(np.int64), nats=nats)


@dataclass(frozen=True, eq=False)
class Errors:
    """Measures of numbers that are told for windows whose numbers are known.

    Attributes
    ----------
    truth, told : float64 [N, n]

    Examples
    --------
    >>> found = Errors(np.array([[0.0], [1.0], [2.0]]), np.array([[0.5], [1.0], [1.5]]))
    >>> round(found.mean_absolute_error, 4), found.r2
    (0.3333, 0.75)
    """

    truth: Floats
    told: Floats

    def __post_init__(self) -> None:
        """Raise `MubinnError` where the numbers do not belong to each other."""
        if self.truth.ndim != 2 or self.truth.shape != self.told.shape or not len(self.truth):
            raise MubinnError(
                f"There are numbers of shape {self.truth.shape} for {self.told.shape} told: give "
                "as many of each window."
            )

    @property
    def windows(self) -> int:
        """All windows."""
        return len(self.truth)

    @property
    def mean_absolute_error(self) -> float:
        """Mean over windows and numbers of the error's size."""
        return float(np.abs(self.told - self.truth).mean())

    @property
    def r2(self) -> float:
        """Share of the numbers' variance that is told, R^2; the mean over several numbers.

        1 where all are right, 0 for always telling the mean of these windows, less below that. Of a
        number that does not vary it is 1 or 0.
        """
        missed = np.square(self.told - self.truth).sum(axis=0)
        whole = np.square(self.truth - self.truth.mean(axis=0)).sum(axis=0)
        shares = 1 - missed / np.where(whole > 0, whole, 1)
        return float(np.where(whole > 0, shares, missed == 0).mean())

    @property
    def figures(self) -> dict[str, float]:
        """R^2 and the mean absolute error, by name."""
        return {"r2": self.r2, "mean_absolute_error": self.mean_absolute_error}

    def notes(self, name: str) -> dict[str, str]:
        """Return the measures as notes of a model, such as ``test_r2`` of the name ``test``."""
        return {
            f"{name}_r2": f"{self.r2:.4f}",
            f"{name}_mean_absolute_error": f"{self.mean_absolute_error:.6g}",
        }
