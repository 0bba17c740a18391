"""Recordings as they went on before they were cut into windows, and what disturbs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints
from mubinn.train.data.recordings import LabelledSet, whole_numbers

OFFSET_UV = 20_000.0
"""Of electrodes, at a random walk."""

STEP_UV, BETWEEN_S = 500.0, 5.0
"""An electrode's jump, and the seconds from one to the next on average, one channel at a time."""

NOISE_UV = 300.0
"""Standard deviation of what one channel hears beside its signal."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Windows of one person and one class that follow each other.

    Attributes
    ----------
    windows : int64 [W, T, I]
        In units of the ADC's least step.
    label, subject, number : int
        Class; person; which of the person's recordings it is.
    """

    windows: Ints
    label: int
    subject: int
    number: int

    @property
    def samples(self) -> Ints:
        """The samples one after the other, [W T, I]."""
        return self.windows.reshape(-1, self.windows.shape[2])


def streams(data: LabelledSet, fold: int) -> list[Stream]:
    """Return the recordings of the people of a fold: windows in a row of one class are one.

    Raises
    ------
    MubinnError
        The data do not say whose windows are, have no class for each, or samples are no integers.
    """
    if not data.people or data.of_steps or not data.classes:
        raise MubinnError(
            "Recordings that go on are windows in a row of one person and one class: give data "
            "that name the person and the class of each window."
        )
    found: list[Stream] = []
    for subject in np.unique(data.subject[data.fold == fold]):
        own = np.flatnonzero(data.subject == subject)
        cuts = np.flatnonzero((np.diff(data.y[own]) != 0) | (np.diff(own) != 1)) + 1
        for number, part in enumerate(np.split(own, cuts)):
            label = int(data.y[part[0]])
            found.append(Stream(whole_numbers(data.x[part]), label, int(subject), number))
    if not found:
        raise MubinnError(f"Fold {fold} has no windows: give the data that the model is of.")
    return found


def changes(found: list[Stream]) -> Iterator[tuple[Stream, Stream]]:
    """Yield all pairs of recordings of one person that differ in class, in both orders."""
    for one in found:
        for other in found:
            if one.subject == other.subject and one.label != other.label:
                yield one, other


Disturb = Callable[[Floats, float, np.random.Generator], Floats]
"""Takes samples [T, I] in uV, the rate in Hz and what draws numbers."""


def _times(factor: float, x: Floats, rate: float, random: np.random.Generator) -> Floats:
    return x * factor


def _walk(uv: float, x: Floats, rate: float, random: np.random.Generator) -> Floats:
    offset = OFFSET_UV * random.choice([-1.0, 1.0], x.shape[1])
    return np.asarray(x + offset + random.normal(0, uv, x.shape).cumsum(axis=0))


def _noisy(x: Floats, rate: float, random: np.random.Generator) -> Floats:
    made = x.copy()
    made[:, random.integers(x.shape[1])] += random.normal(0, NOISE_UV, len(x))
    return made


def _jumps(x: Floats, rate: float, random: np.random.Generator) -> Floats:
    jumps = np.zeros_like(x)
    for _ in range(round(len(x) / rate / BETWEEN_S)):
        sign = STEP_UV * random.choice([-1.0, 1.0])
        jumps[random.integers(len(x)), random.integers(x.shape[1])] += sign
    return np.asarray(x + jumps.cumsum(axis=0))


AMPLITUDES = {
    f"amplitude x {text}": by for text, by in (("1/4", 0.25), ("1/2", 0.5), ("2", 2.0), ("4", 4.0))
}
"""How loud a recording is made, by name."""

DISTURBANCES: dict[str, Disturb] = {
    **{name: partial(_times, by) for name, by in AMPLITUDES.items()},
    "walk of 2 uV a root sample": partial(_walk, 2.0),
    "walk of 5 uV a root sample": partial(_walk, 5.0),
    "one noisy channel": _noisy,
    "electrode steps": _jumps,
}
"""What is done to samples, by name."""


def disturbed(stream: Stream, name: str, scale_uv: float = 1.0, rate_hz: float = 1.0) -> Stream:
    """Return a recording with a disturbance, the same one each time.

    Parameters
    ----------
    stream : Stream
    name : str
        A key of `DISTURBANCES`.
    scale_uv : float
        Microvolts of the ADC's least step.
    rate_hz : float
        Samples a second.

    Examples
    --------
    >>> quiet = Stream(np.full((1, 2, 1), 6), label=0, subject=1, number=0)
    >>> disturbed(quiet, "amplitude x 1/4").samples.ravel().tolist()
    [2, 2]
    """
    seed = [list(DISTURBANCES).index(name), stream.subject, stream.number]
    random = np.random.default_rng([abs(part) for part in seed])
    made = DISTURBANCES[name](stream.samples.astype(np.float64) * scale_uv, rate_hz, random)
    whole: NDArray[np.int64] = np.rint(made / scale_uv).astype(np.int64)
    return Stream(whole.reshape(stream.windows.shape), stream.label, stream.subject, stream.number)
