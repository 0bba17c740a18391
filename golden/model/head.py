"""Heads: what the numbers of the dense layer are, and of which steps they are given.

A score is an integer of the dense layer. In units of ``2**-fraction``, and over the count of steps
that it sums, it is a logit of the model, or a number that the model was trained to give.

Of a step the dense layer gives numbers s. What a score makes of them, and when scores are given,
are two choices, which the name of a readout has together, ``WHAT@WHEN``:

==============  ===================================================================================
``last``        s of the step
``mean``        the sum over the steps of the window so far
``leaky:k``     S, with ``S += s - (S >> k)`` at each step, S = 0 before the first one after a
                cleared state; k from 1 to 16, ``leaky`` is ``leaky:7``
``@end``        of the last step of a window
``@step``       of every step
``@n``          of every n-th step of a window, and of its last one; n from 2 to 65,536
==============  ===================================================================================

``>>`` is a shift with floor. S is a part of the state: a window that goes on from the one before
has S of it, where sums over a window begin with 0 in each. ``S / 2**k`` is a mean in which a step
weighs 1 - 2**-k of what the next one does; all floors together add less than 1 to it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints

HeadKind = Literal["classes", "sigmoid", "regression"]
Readout = str
"""The name of a `Reading`."""

LEAK, MOST_LEAK, MOST_STEPS = 7, 16, 1 << 16
"""The k of a leaky mean where none is said, the largest, and the largest n of every n-th step."""


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
    """What scores are made of, and of which steps they are given.

    Attributes
    ----------
    what : "last", "mean" or "leaky"
        A score is of its step alone; the sum over the steps so far, which stands for their mean; or
        S of a leaky mean.
    every : int or None
        Scores are given at every so-many-th step of a window and at its last one; None at a
        window's last one alone.
    leak : int
        k of a leaky mean, 0 of others.

    Examples
    --------
    A leaky mean of four steps of 8, from the state that they leave on:

    >>> reading = reading_of("leaky:1@2")
    >>> reading.total(np.array([[8], [8], [8], [8]])).ravel().tolist(), reading.divisor(4).tolist()
    ([12, 15], 2.0)
    >>> reading.total(np.array([[8], [8]]), np.array([15])).ravel().tolist()
    [16]
    """

    what: Literal["last", "mean", "leaky"]
    every: int | None = None
    leak: int = 0

    def __post_init__(self) -> None:
        """Raise `MubinnError` on numbers beyond those that there are."""
        if self.what == "leaky" and not 1 <= self.leak <= MOST_LEAK:
            raise MubinnError(f"a leaky mean has a k from 1 to {MOST_LEAK}, not {self.leak}.")
        if self.every is not None and not 1 <= self.every <= MOST_STEPS:
            raise MubinnError(
                f"results are of every n-th step with n from 1 to {MOST_STEPS}, not {self.every}."
            )

    @property
    def sums(self) -> bool:
        """Whether a score is the sum over the steps of the window so far."""
        return self.what == "mean"

    @property
    def each(self) -> bool:
        """Whether a window has results of several steps, and not of its last one alone."""
        return self.every is not None

    @property
    def every_step(self) -> bool:
        """Whether the dense layer reads every step."""
        return self.what != "last" or self.each

    @property
    def in_order(self) -> bool:
        """Whether the steps' own numbers are needed in the order of time."""
        return self.each or self.what == "leaky"

    @property
    def name(self) -> Readout:
        """The name, the shortest that there is."""
        for known, reading in READINGS.items():
            if reading == self:
                return known
        what: str = self.what
        if self.what == "leaky":
            what = "leaky" if self.leak == LEAK else f"leaky:{self.leak}"
            if self.every == 1:
                return what
        return f"{what}@{ {None: 'end', 1: 'step'}.get(self.every, self.every) }"

    @property
    def words(self) -> str:
        """What the dense layer reads, in words."""
        when = {None: "the last step", 1: "every step"}.get(self.every, f"every {self.every} steps")
        if self.what == "last":
            return f"h of {when}"
        of = "the mean" if self.sums else f"the leaky mean (k = {self.leak})"
        if self.sums and not self.each:
            return f"{of} of h over the steps"
        return f"at {when} {of} of h over the steps so far"

    @property
    def at_each(self) -> "Reading":
        """The same with a result of every step, where several have one."""
        return replace(self, every=1) if self.each else self

    def given(self, steps: int) -> Ints:
        """Return the steps that have results, int64 [T'], of a window of so many.

        >>> reading_of("last@4").given(10).tolist(), reading_of("mean").given(10).tolist()
        ([3, 7, 9], [9])
        """
        if self.every is None:
            return np.array([steps - 1])
        last = [] if steps % self.every == 0 else [steps - 1]
        return np.array([*range(self.every - 1, steps, self.every), *last], np.int64)

    def results(self, steps: int) -> int:
        """Return the count of results of a window of so many steps."""
        return 1 if self.every is None else -(-steps // self.every)

    def after(self, before: npt.NDArray[Any], now: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return S of a leaky mean after a step with the numbers `now`.

        In integers with a floor, of floats without.
        """
        kept = before >> self.leak if before.dtype.kind == "i" else before / (1 << self.leak)
        return np.asarray(before + (now - kept))

    def leaky(
        self, values: npt.NDArray[Any], before: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """Return S [..., T, n] of a leaky mean after each step, from S [..., n] before them."""
        found: npt.NDArray[Any] = np.empty_like(values)
        total = np.zeros_like(values[..., 0, :]) if before is None else before
        for step in range(values.shape[-2]):
            found[..., step, :] = total = self.after(total, values[..., step, :])
        return found

    def total(
        self, values: npt.NDArray[Any], before: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """Return what is given of the values [..., T, n] of every step.

        [..., n] of a window, or [..., T', n] where several steps have results. `before` is S of a
        leaky mean before the first step, 0 without it.
        """
        if self.what == "leaky":
            values = self.leaky(values, before)
        elif self.sums:
            if not self.each:
                return np.asarray(values.sum(axis=-2))
            values = values.cumsum(axis=-2)
        return self.chosen(values)

    def chosen(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return those that are given of scores [..., T, n] of every step, as `total` does."""
        if not self.each:
            return values[..., -1, :]
        return values if self.every == 1 else values[..., self.given(values.shape[-2]), :]

    def bound(self, largest: int, steps: int) -> int:
        """Return the largest magnitude of a score where that of a step's number is `largest`.

        Over windows of up to `steps` steps. S of a leaky mean stays within ``largest 2**k``,
        however many there are: from S = largest 2**k on S >> k is `largest` or more.

        >>> reading_of("leaky:3").bound(5, 4096)
        40
        """
        if self.what == "leaky":
            return largest << self.leak
        return largest * steps if self.sums else largest

    def divisor(self, steps: int) -> Floats:
        """Return by what totals of windows of `steps` steps are divided: [] or [T', 1]."""
        if self.what == "leaky":
            return np.asarray(float(1 << self.leak))
        if not self.sums:
            return np.ones(())
        return np.asarray(1.0 + self.given(steps)[:, None] if self.each else float(steps))


READINGS: Mapping[Readout, Reading] = {
    "last": Reading("last"),
    "mean": Reading("mean"),
    "every": Reading("last", 1),
    "running": Reading("mean", 1),
    "leaky": Reading("leaky", 1, LEAK),
}
"""``last``: of the last step. ``mean``: over all steps. ``every``: of each step, one result a step.
``running``: over the steps so far, one result a step. ``leaky``: the leaky mean, one result a step.
"""

FORMS = "last, mean or leaky:k at end, step or every n-th step, such as leaky:6@40"
"""What names there are beside those of `READINGS`."""

_FORM = re.compile(r"(last|mean|leaky(?::(\d{1,9}))?)@(end|step|\d{1,9})")


@lru_cache
def reading_of(name: str) -> Reading:
    """Return the reading of a readout's name; raise `MubinnError` where there is none.

    >>> reading_of("mean@end").name, reading_of("last@step").name, reading_of("leaky:6").name
    ('mean', 'every', 'leaky:6')
    """
    if name in READINGS:
        return READINGS[name]
    form = _FORM.fullmatch(f"{name}@step" if re.fullmatch(r"leaky:\d+", name) else name)
    if form is None:
        known = " or ".join(READINGS)
        raise MubinnError(f"unknown readout {name!r}: give {known}, or {FORMS}.")
    what, leak, when = form[1].partition(":")[0], form[2], form[3]
    every = {"end": None, "step": 1}[when] if when in ("end", "step") else int(when)
    kind: Any = what
    return Reading(kind, every, int(leak or LEAK) if what == "leaky" else 0)


def check_decides(head: str, readout: str, what: str) -> None:
    """Raise `MubinnError` unless a model decides on one class a window, which `what` needs."""
    if head_of(head).decision is None or reading_of(readout).each:
        raise MubinnError(
            f"{what} needs one class a window, and this model has the head {head} and the readout "
            f"{readout}: give another model."
        )
