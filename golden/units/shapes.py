"""The activations by name: what each is, exactly, and what bounds and thresholds need of it.

==========================  =======================================================================
``sigmoid``                 logistic function
``tanh``
``ramp(a, b, low)``         ``a z + b`` clipped to [low, 1], numbers as fractions: hard sigmoids, of
                            Keras 2 (1/5, 1/2, 0), of Keras 3 and PyTorch (1/6, 1/2, 0), of ONNX
                            with its alpha and beta; hard tanh (1, 0, -1); relu up to 1 (1, 0, 0)
``ramp(a, b, low, high)``   to [low, high]: relu with a ceiling, Keras's ``relu(max_value)``, is
                            (1, 0, 0, ceiling), the identity (1, 0, -limit, limit)
==========================  =======================================================================

Every activation has limits, at most `FARTHEST` from 0: hardware has so many bits of it.
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats

Kind = str
"""Name of an activation."""

FARTHEST = 8
"""Largest magnitude of a limit: the LUTs' input spans [-8, 8) by default."""


class Shape(ABC):
    """A function that never decreases, between two limits.

    Attributes
    ----------
    low, high : float
        Limits, or values, towards minus and plus infinity.
    slope : float
        Largest slope.
    label : str
        Name of a unit in Verilog.
    """

    low: float
    high: float
    slope: float
    label: str

    @property
    def peak(self) -> int:
        """Whole number that no value exceeds in magnitude."""
        return ceil(max(-self.low, self.high))

    @abstractmethod
    def values(self, z: Floats) -> Floats:
        """Return the function in float64."""

    @abstractmethod
    def interpolation_error(self, width: float) -> float:
        """Return a bound on how far a chord over segments of `width` lies from the function."""


@dataclass(frozen=True)
class Logistic(Shape):
    """The logistic function, or tanh: twice the logistic function of 2 z, less 1."""

    label: str
    low: float
    high: float
    slope: float
    curvature: float

    def values(self, z: Floats) -> Floats:
        """Return the function in float64; tanh keeps the logistic function free of overflow."""
        if self.label == "tanh":
            return np.tanh(z)
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * z), np.float64)

    def interpolation_error(self, width: float) -> float:
        """Return ``M width**2 / 8``, with ``abs(f'') <= M``."""
        return self.curvature * width**2 / 8


@dataclass(frozen=True)
class Ramp(Shape):
    """``slope z + at_zero`` between `least` and `most`."""

    rise: Fraction
    at_zero: Fraction
    least: Fraction
    most: Fraction = Fraction(1)

    label = "ramp"

    def __post_init__(self) -> None:
        """Raise `MubinnError` on a ramp that falls, or that has no room between its limits."""
        rises = 0 < self.rise <= 16 and self.least < self.most
        if not rises or abs(self.at_zero) > 16 or max(-self.least, self.most) > FARTHEST:
            raise MubinnError(
                f"the activation {self.kind} does not rise between limits from -{FARTHEST} to "
                f"{FARTHEST}: give its slope from 0 to 16, its value at 0 and its limits."
            )

    @property
    def kind(self) -> Kind:
        """The name of this ramp."""
        most = "" if self.most == 1 else f", {self.most}"
        return f"ramp({self.rise}, {self.at_zero}, {self.least}{most})"

    @property
    def complement(self) -> "Ramp":
        """One less this ramp, of the negated argument."""
        return Ramp(self.rise, 1 - self.at_zero, 1 - self.most, 1 - self.least)

    def clipped(self, limit: Fraction) -> "Ramp":
        """Return this ramp of an argument that is clipped to [-limit, limit] before."""
        ends = self.exact(-limit), self.exact(limit)
        return Ramp(self.rise, self.at_zero, *ends)

    @property
    def low(self) -> float:  # type: ignore[override]
        """Lower limit."""
        return float(self.least)

    @property
    def high(self) -> float:  # type: ignore[override]
        """Upper limit."""
        return float(self.most)

    @property
    def slope(self) -> float:  # type: ignore[override]
        """Slope."""
        return float(self.rise)

    def exact(self, z: Fraction) -> Fraction:
        """Return the value at a rational number."""
        return min(max(self.rise * z + self.at_zero, self.least), self.most)

    def values(self, z: Floats) -> Floats:
        """Return the function in float64."""
        line = float(self.rise) * z + float(self.at_zero)
        return np.asarray(np.clip(line, self.low, self.high), np.float64)

    def interpolation_error(self, width: float) -> float:
        """Return the distance at a knee that lies in the middle of a segment."""
        return float(self.rise) * width / 4


SHAPES: dict[Kind, Shape] = {
    "sigmoid": Logistic("sigmoid", 0.0, 1.0, 0.25, 1 / (6 * np.sqrt(3))),
    "tanh": Logistic("tanh", -1.0, 1.0, 1.0, 4 / (3 * np.sqrt(3))),
}
"""Activations that have a name without numbers."""

_NUMBER = r"-?\d+(?:/\d+)?"
_RAMP = re.compile(rf"ramp\(({_NUMBER}), ({_NUMBER}), ({_NUMBER})(?:, ({_NUMBER}))?\)")


@lru_cache(maxsize=256)
def shape_of(kind: Kind) -> Shape:
    """Return the activation of this name.

    Raises
    ------
    MubinnError
        On a name that no activation has.

    Examples
    --------
    >>> shape_of("ramp(1/6, 1/2, 0)").values(np.array([-4.0, 0.0, 1.5])).tolist()
    [0.0, 0.5, 0.75]
    """
    if kind in SHAPES:
        return SHAPES[kind]
    found = _RAMP.fullmatch(kind) if len(kind) < 100 else None
    numbers = [part for part in found.groups() if part is not None] if found else ["/0"]
    if any(part.endswith("/0") for part in numbers):
        raise MubinnError(
            f"unknown activation {kind[:40]!r}: give sigmoid, tanh or ramp(slope, value at 0, low, "
            "high)."
        )
    return Ramp(*map(Fraction, numbers))


def exact(kind: Kind, z: npt.ArrayLike) -> Floats:
    """Return an activation of `z`, float64: of Eq. (1)-(4) and (6) sigmoid and tanh."""
    return shape_of(kind).values(np.asarray(z, np.float64))
