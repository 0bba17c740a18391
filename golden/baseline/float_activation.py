"""Sigmoid and tanh in binary32: piecewise linear, for the full-precision cell."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mubinn.golden.baseline.binary32 import CANONICAL_NAN, INFINITY, SIGN, Words, to_bits
from mubinn.golden.baseline.float_add import float_add
from mubinn.golden.baseline.float_mult import float_mult
from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.fixed import Floats, Ints, frozen
from mubinn.golden.units.shapes import Kind, exact


@dataclass(frozen=True)
class FloatActivationParams:
    """Function and table size.

    Between ``2**first_exponent`` and ``2**last_exponent`` every power of two has
    ``2**octave_bits`` equal segments, so a segment is found by the leading bits of the number. One
    more segment reaches from 0 to the first, and beyond the last the function is constant.

    Attributes
    ----------
    kind : "sigmoid" or "tanh"
    first_exponent, last_exponent : int
    octave_bits : int
    """

    kind: Kind
    first_exponent: int = -3
    last_exponent: int = 4
    octave_bits: int = 3

    def __post_init__(self) -> None:
        """Raise `ValueError` on a kind or size that makes no table."""
        if self.kind not in ("sigmoid", "tanh"):
            raise ValueError(f"unknown activation {self.kind!r}")
        demand(self, -20, "first_exponent", most=9)
        demand(self, self.first_exponent + 1, "last_exponent", most=10)
        demand(self, 0, "octave_bits", most=8)

    @property
    def first_key(self) -> int:
        """Leading bits (exponent field and `octave_bits` of the fraction) of the first segment."""
        return (127 + self.first_exponent) << self.octave_bits

    @property
    def octave_segments(self) -> int:
        """Segments between the first and the last exponent."""
        return (self.last_exponent - self.first_exponent) << self.octave_bits

    @cached_property
    def borders(self) -> Floats:
        """Borders of the segments from 0 up, float64 [octave_segments + 2]."""
        step = np.arange(self.octave_segments + 1)
        octave, place = np.divmod(step, 1 << self.octave_bits)
        scale = np.ldexp(1.0, self.first_exponent + octave)
        return np.concatenate([[0.0], scale * (1 + place / (1 << self.octave_bits))])

    @cached_property
    def slopes(self) -> Words:
        """Slope of each segment, uint32 [octave_segments + 2]; the last is 0."""
        return frozen(to_bits(np.append(self._secants()[0], 0.0)), np.uint32)

    @cached_property
    def bases(self) -> Words:
        """Value of each segment's line at 0, uint32 [2, octave_segments + 2]: x >= 0, x < 0."""
        base = np.append(self._secants()[1], 1.0)
        opposite = -base if self.kind == "tanh" else 1 - base
        return frozen(to_bits([base, opposite]), np.uint32)

    def _secants(self) -> tuple[Floats, Floats]:
        """Return the lines through the function at the borders, in the middle of their error.

        The function bends one way within a segment of x > 0, so that a secant's error is of one
        sign and half of its greatest moves it into the middle. The first segment's is not moved,
        so that tanh is odd and a sigmoid of 0 is 1/2.
        """
        y = exact(self.kind, self.borders)
        slope = np.diff(y) / np.diff(self.borders)
        base = y[:-1] - slope * self.borders[:-1]
        inside = self.borders[:-1] + np.diff(self.borders) * np.linspace(0, 1, 257)[:, None]
        error = (exact(self.kind, inside) - slope * inside - base).max(axis=0)
        return slope, base + np.where(np.arange(len(slope)) > 0, error / 2, 0)

    def segment(self, value: npt.ArrayLike) -> Ints:
        """Return the segment of each binary32 bit pattern, int64, 0 to ``octave_segments + 1``."""
        key = np.asarray(value, np.int64) & ~SIGN & 0xFFFFFFFF
        place = (key >> (23 - self.octave_bits)) - self.first_key + 1
        return np.asarray(np.clip(place, 0, self.octave_segments + 1), np.int64)


def float_activation(params: FloatActivationParams, value: npt.ArrayLike) -> Words:
    """Return the activation of binary32 bit patterns, as bit patterns.

    ``float_add(float_mult(slope, x), base)`` with the segment's slope and, by the sign of `x`,
    base; two roundings. In the last segment, to which infinity belongs, `x` counts as +0, so that
    the result is its base: 1, and 0 or -1 for negative `x`. NaN gives 0x7fc00000.

    Hardware payloads: ``i``, ``o`` binary32, here uint32.

    Examples
    --------
    >>> from mubinn.golden.baseline.binary32 import to_bits
    >>> x = to_bits([0.0, 1.0, -99.0])
    >>> [hex(y) for y in float_activation(FloatActivationParams("tanh"), x)]
    ['0x0', '0x3f431e38', '0xbf800000']
    """
    x = np.asarray(value, np.uint32)
    segment = params.segment(x)
    is_nan = (x & np.uint32(~SIGN & 0xFFFFFFFF)) > INFINITY
    held = np.where(segment == params.octave_segments + 1, np.uint32(0), x)
    product = float_mult(params.slopes[segment], held)
    y = float_add(product, params.bases[(x >> np.uint32(31)).astype(np.int64), segment])
    return np.where(is_nan, np.uint32(CANONICAL_NAN), y).astype(np.uint32)
