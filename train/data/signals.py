"""A continuous recording as its file states it: channels, gapless stretches, annotations."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats

MICROVOLTS = {
    **{"nV": 1e-3, "nv": 1e-3},
    **{"uV": 1.0, "UV": 1.0, "uv": 1.0, "\u00b5V": 1.0, "\u03bcV": 1.0},
    **{"mV": 1e3, "mv": 1e3},
    **{"V": 1e6, "v": 1e6},
}
"""Units of voltages, in microvolts; both letters that are written as a mu are among them."""

VOLTAGE = "uV"
"""The unit in which all voltages are handed on."""

MARKS = re.compile(
    r"(status|stat|trig(ger)?s?|sti|stim(ulus)?|events?( markers?)?|mark(er)?s?|counter|sync|"
    r"time ?stamps?|digital( input)?s?)([ _-]*\d+)?",
    re.IGNORECASE,
)
"""What channels are called that hold bits or counts: triggers, not signals."""


@dataclass(frozen=True)
class Channel:
    """One signal of a file.

    Attributes
    ----------
    name : str
        Without the dots and blanks at its end with which PhysioNet fills names up.
    unit : str
        As the file states it; empty where it states none.
    rate_hz : float
    """

    name: str
    unit: str
    rate_hz: float

    @property
    def is_marks(self) -> bool:
        """Whether it is called as channels of triggers are."""
        return MARKS.fullmatch(self.name) is not None

    @property
    def is_voltage(self) -> bool:
        """Whether it is a signal in volts or a known part of them."""
        return self.unit in MICROVOLTS and not self.is_marks

    @property
    def taken_unit(self) -> str:
        """The unit of its samples as they are handed on: microvolts, or the file's own."""
        return VOLTAGE if self.unit in MICROVOLTS else self.unit


@dataclass(frozen=True)
class Stretch:
    """A part of a recording without a gap: its begin and its length, in seconds."""

    start_s: float
    length_s: float


@dataclass(frozen=True)
class Annotation:
    """A text at a time; `length_s` is 0 where it has no duration."""

    start_s: float
    length_s: float
    text: str


@dataclass(frozen=True)
class Signals:
    """A recording whose samples are read on request.

    Attributes
    ----------
    path : Path
    kind : str
        Such as ``"EDF+D"``.
    channels : tuple of Channel
    stretches : tuple of Stretch
        In the order of time; between two of them lies a gap.
    annotations : tuple of Annotation
    patient : str
        Whom the file names; empty where it names nobody.
    notes : tuple of str
        What a reader of the file should know, such as what a program assumed of it.
    samples : callable
        Takes the number of a channel; returns its samples, float64 [n] a stretch, in its
        `taken_unit`.
    """

    path: Path
    kind: str
    channels: tuple[Channel, ...]
    stretches: tuple[Stretch, ...]
    annotations: tuple[Annotation, ...]
    patient: str
    notes: tuple[str, ...]
    samples: Callable[[int], list[Floats]]

    @property
    def length_s(self) -> float:
        """Seconds that are recorded, gaps left out."""
        return sum(stretch.length_s for stretch in self.stretches)

    def chosen(self, wanted: Sequence[str] | None) -> tuple[int, ...]:
        """Return the numbers of the channels to take.

        Parameters
        ----------
        wanted : sequence of str or None
            Names or patterns with ``*``, in this order; ``all`` alone for every channel that is no
            trigger. None for the voltages, where there is nothing else.

        Raises
        ------
        MubinnError
            A name is unknown or of two channels, or it is not decided what to take.
        """
        if not self.channels:
            raise MubinnError(f"{self.path} holds annotations alone: give a file with signals.")
        if wanted is None:
            return self._voltages()
        if [word.casefold() for word in wanted] == ["all"]:
            return tuple(k for k, one in enumerate(self.channels) if not one.is_marks)
        return picked([one.name for one in self.channels], wanted, str(self.path))

    def _voltages(self) -> tuple[int, ...]:
        signals = [k for k, one in enumerate(self.channels) if not one.is_marks]
        others = [self.channels[k] for k in signals if not self.channels[k].is_voltage]
        if others:
            words = "; ".join(f"{one.name} in {one.unit or 'no unit'}" for one in others[:4])
            raise MubinnError(
                f"{self.path} has channels that are not in volts ({words}"
                f"{', ...' if len(others) > 4 else ''}): name those to take, in whatever unit, "
                "with --channels; patterns such as 'EEG*' will do, and all is every one."
            )
        if not signals:
            raise MubinnError(f"{self.path} has channels of triggers alone: name one to take it.")
        return tuple(signals)

    def left_out(self, taken: Sequence[int]) -> tuple[str, ...]:
        """Return the names of the channels that are not among `taken`."""
        return tuple(one.name for k, one in enumerate(self.channels) if k not in taken)


def picked(names: Sequence[str], wanted: Sequence[str], where: str) -> tuple[int, ...]:
    """Return the numbers of the channels that `wanted` names, by name or pattern, in its order.

    Raises
    ------
    MubinnError
        A name is unknown, or of two channels of `where`.
    """
    found: dict[int, None] = {}
    held = [plain(name) for name in names]
    for word in wanted:
        key = plain(word)
        exact = [k for k, name in enumerate(held) if name == key]
        if len(exact) > 1:
            raise MubinnError(f"{where} has {len(exact)} channels {word!r}: rename one.")
        own = exact or [k for k, name in enumerate(held) if fnmatch.fnmatchcase(name, key)]
        if not own:
            raise MubinnError(
                f"{where} has no channel {word!r}: it has {listed(names)}; name those to take "
                "with --channels."
            )
        found |= dict.fromkeys(own)
    return tuple(found)


def plain(name: str) -> str:
    """Return a channel's name as names are compared: without case, blanks and dots around it."""
    return name.strip().rstrip(".").strip().casefold()


def listed(names: Sequence[str], most: int = 12) -> str:
    """Return names as a list for a sentence, the first of them where there are many."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
