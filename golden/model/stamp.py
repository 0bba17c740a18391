"""What a result says of the steps that led to it: how many, and whether they are enough."""

from dataclasses import dataclass

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints, unsigned_width
from mubinn.golden.model.head import Reading

MOST_BITS = 32
"""Bits of the widest counter."""


@dataclass(frozen=True)
class Stamp:
    """Fields of a result beside its scores.

    The n-th step since the state was cleared is step n, from 1 on. Steps are those of the layers on
    top, of which readouts are. What clears the state is a reset, an abort, a fault, or a window's
    end where the next one does not go on from it.

    Attributes
    ----------
    settle : int or None
        The field ``unsettled`` is 1 while n is below it, as after a reset decisions are of a state
        and of a front end that know little yet. Of 1 and 0 there would be none.
    bits : int or None
        The field ``step`` is n of so many bits, and goes on with 0 after 2**bits - 1; ``unsettled``
        stays 0 then.

    Raises
    ------
    MubinnError
        A number is beyond its range, or the counter is too short for `settle`.

    Examples
    --------
    Windows of 4 steps, the second of which goes on from the first:

    >>> stamp, every = Stamp(settle=6, bits=3), Reading("last", 2)
    >>> {name: own.tolist() for name, own in stamp.of(0, 4, every).items()}
    {'step': [2, 4], 'unsettled': [1, 1]}
    >>> {name: own.tolist() for name, own in stamp.of(4, 4, every).items()}
    {'step': [6, 0], 'unsettled': [0, 0]}
    """

    settle: int | None = None
    bits: int | None = None

    def __post_init__(self) -> None:
        """Validate."""
        if self.bits is not None and not 1 <= self.bits <= MOST_BITS:
            raise MubinnError(
                f"a counter of {self.bits} bits: give one of 1 to {MOST_BITS} to count steps."
            )
        if self.settle is not None:
            most = (1 << (self.bits or MOST_BITS)) - 1
            if not 2 <= self.settle <= most:
                raise MubinnError(
                    f"results that settle after {self.settle} steps: give 2 to {most}, which is "
                    "what the counter holds."
                )

    @property
    def fields(self) -> dict[str, int]:
        """Bits of each field."""
        step = {} if self.bits is None else {"step": self.bits}
        return step if self.settle is None else {**step, "unsettled": 1}

    @property
    def width(self) -> int:
        """Bits of what is counted."""
        return self.bits or unsigned_width(self.settle or 0)

    def of(self, before: int, steps: int, reading: Reading) -> dict[str, Ints]:
        """Return the fields of the results of a window of so many steps, each int64 [results].

        `before` it were as many steps since the state was cleared.
        """
        n = before + 1 + reading.given(steps)
        found = {} if self.bits is None else {"step": n & (1 << self.bits) - 1}
        if self.settle is not None:
            found["unsettled"] = (n < self.settle).astype(np.int64)
        return found
