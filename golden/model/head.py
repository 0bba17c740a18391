"""Heads: what the numbers of the dense layer are, and of which steps they are given.

A score is an integer of the dense layer. In units of ``2**-fraction``, and over the count of steps
that it sums, it is a logit of the model, or a number that the model was trained to give.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints

HeadKind = Literal["classes", "sigmoid", "regression"]
Readout = Literal["last", "mean", "every", "running"]


@dataclass(frozen=True)
class Head:
    """What is made of the numbers of the dense layer.

    Attributes
    ----------
    name : str
    field : str
        What a result calls the numbers.
    outputs : tuple of int and of int or None
        Fewest and most numbers.
    decision : callable or None
        Classes [...] of scores [..., C]; None where no class is decided on.

    Examples
    --------
    A score of 0 is a probability of one half, and class 1:

    >>> HEADS["sigmoid"].decide(np.array([[-1], [0], [1]])).tolist()
    [0, 1, 1]
    """

    name: HeadKind
    field: str
    outputs: tuple[int, int | None]
    decision: Callable[[npt.NDArray[Any]], Ints] | None

    def check(self, count: int) -> None:
        """Raise `MubinnError` where the dense layer cannot have `count` numbers."""
        least, most = self.outputs
        if self.name == "classes" and count < least:
            raise MubinnError(
                "the classifier has one class: give a model of 2 classes up, or one unit as a "
                "sigmoid head."
            )
        if count < least or (most is not None and count > most):
            raise MubinnError(
                f"a {self.name} head has {least} output{'' if most else ' or more'}, the dense "
                f"layer {count}: let both be the same."
            )

    def classes(self, count: int) -> int:
        """Return between how many classes `count` numbers decide; 0 where they do not."""
        return 0 if self.decision is None else max(2, count)

    def decide(self, scores: npt.NDArray[Any]) -> Ints:
        """Return the classes of scores [..., C]; raise `MubinnError` where there are none."""
        if self.decision is None:
            raise MubinnError(
                f"the model's head is a {self.name}, which decides on no class: read its values."
            )
        return self.decision(scores)


def _largest(scores: npt.NDArray[Any]) -> Ints:
    return np.asarray(scores.argmax(axis=-1), np.int64)


def _sign(scores: npt.NDArray[Any]) -> Ints:
    return np.asarray(scores[..., 0] >= 0, np.int64)


HEADS: Mapping[str, Head] = {
    head.name: head
    for head in (
        Head("classes", "logits", (2, None), _largest),
        Head("sigmoid", "logits", (1, 1), _sign),
        Head("regression", "values", (1, None), None),
    )
}
"""``classes``: the first of the largest logits decides. ``sigmoid``: the sign of the one logit
decides, class 1 from 0 on. ``regression``: numbers, no decision."""


def head_of(name: str) -> Head:
    """Return the head of a name; raise `MubinnError` where there is none."""
    if name not in HEADS:
        raise MubinnError(f"unknown head {name!r}: give {' or '.join(HEADS)}.")
    return HEADS[name]


@dataclass(frozen=True)
class Reading:
    """Of which steps scores are given.

    Attributes
    ----------
    sums : bool
        A score is the sum over the steps so far, and stands for their mean.
    each : bool
        Scores are given at every step, and not at a window's last one alone.
    """

    sums: bool
    each: bool

    @property
    def every_step(self) -> bool:
        """Whether the dense layer reads every step."""
        return self.sums or self.each

    def total(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what is given of the values [..., T, n] of every step.

        [..., n] of a window, or [..., T, n].
        """
        if self.each:
            return values.cumsum(axis=-2) if self.sums else values
        return values.sum(axis=-2) if self.sums else values[..., -1, :]

    def divisor(self, steps: int) -> Floats:
        """Return by what totals of windows of `steps` steps are divided: [] or [T, 1]."""
        if not self.sums:
            return np.ones(())
        return np.arange(1.0, steps + 1)[:, None] if self.each else np.asarray(float(steps))


READINGS: Mapping[Readout, Reading] = {
    "last": Reading(sums=False, each=False),
    "mean": Reading(sums=True, each=False),
    "every": Reading(sums=False, each=True),
    "running": Reading(sums=True, each=True),
}
"""``last``: of the last step. ``mean``: over all steps. ``every``: of each step, one result a step.
``running``: over the steps so far, one result a step."""


def reading_of(name: str) -> Reading:
    """Return the reading of a readout's name; raise `MubinnError` where there is none."""
    for known, reading in READINGS.items():
        if name == known:
            return reading
    raise MubinnError(f"unknown readout {name!r}: give {' or '.join(READINGS)}.")


def check_decides(head: str, readout: str, what: str) -> None:
    """Raise `MubinnError` unless a model decides on one class a window, which `what` needs."""
    if head_of(head).decision is None or reading_of(readout).each:
        raise MubinnError(
            f"{what} needs one class a window, and this model has the head {head} and the readout "
            f"{readout}: give another model."
        )
