"""The activations by name: what each is, exactly, and what bounds and thresholds need of it.

========================  =========================================================================
``sigmoid``               logistic function
``tanh``
``ramp(a, b, low)``       ``a z + b`` clipped to [low, 1], numbers as fractions: hard sigmoids, of
                          Keras 2 (1/5, 1/2, 0), of Keras 3 and PyTorch (1/6, 1/2, 0), of ONNX with
                          its alpha and beta; hard tanh (1, 0, -1); relu up to 1 (1, 0, 0)
========================  =========================================================================
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats

Kind = str
"""Name of an activation."""


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
    """``slope z + at_zero`` between `least` and 1."""

    rise: Fraction
    at_zero: Fraction
    least: Fraction

    label = "ramp"
    high = 1.0

    def __post_init__(self) -> None:
        """Raise `MubinnError` on a ramp that falls, or that has no room below 1."""
        if not 0 < self.rise <= 16 or not -1 <= self.least < 1 or abs(self.at_zero) > 16:
            raise MubinnError(
                f"the activation {self.kind} does not rise from a limit of -1 or more to 1: give "
                "its slope from 0 to 16, its value at 0 and its lower limit."
            )

    @property
    def kind(self) -> Kind:
        """The name of this ramp."""
        return f"ramp({self.rise}, {self.at_zero}, {self.least})"

    @property
    def low(self) -> float:  # type: ignore[override]
        """Lower limit."""
        return float(self.least)

    @property
    def slope(self) -> float:  # type: ignore[override]
        """Slope."""
        return float(self.rise)

    def exact(self, z: Fraction) -> Fraction:
        """Return the value at a rational number."""
        return min(max(self.rise * z + self.at_zero, self.least), Fraction(1))

    def values(self, z: Floats) -> Floats:
        """Return the function in float64."""
        line = float(self.rise) * z + float(self.at_zero)
        return np.asarray(np.clip(line, float(self.least), 1.0), np.float64)

    def interpolation_error(self, width: float) -> float:
        """Return the distance at a knee that lies in the middle of a segment."""
        return float(self.rise) * width / 4


SHAPES: dict[Kind, Shape] = {
    "sigmoid": Logistic("sigmoid", 0.0, 1.0, 0.25, 1 / (6 * np.sqrt(3))),
    "tanh": Logistic("tanh", -1.0, 1.0, 1.0, 4 / (3 * np.sqrt(3))),
}
"""Activations that have a name without numbers."""

_RAMP = re.compile(r"ramp\((\d+(?:/\d+)?), (-?\d+(?:/\d+)?), (-?\d+(?:/\d+)?)\)")


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
    if found is None or any(part.endswith("/0") for part in found.groups()):
        raise MubinnError(
            f"unknown activation {kind[:40]!r}: give sigmoid, tanh or ramp(slope, value at 0, low)."
        )
    rise, at_zero, least = map(Fraction, found.groups())
    return Ramp(rise, at_zero, least)


def exact(kind: Kind, z: npt.ArrayLike) -> Floats:
    """Return an activation of `z`, float64: of Eq. (1)-(4) and (6) sigmoid and tanh."""
    return shape_of(kind).values(np.asarray(z, np.float64))
