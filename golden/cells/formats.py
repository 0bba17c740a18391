"""Formats of the activation units."""

from dataclasses import dataclass

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.units.activation import ActivationParams
from mubinn.golden.units.shapes import Kind

MAX_FORMAT_BITS = 24
"""Widest input and finest output of an activation."""

MAX_SEGMENT_BITS = 16
"""Largest table: 2**16 segments."""


@dataclass(frozen=True)
class Formats:
    """Formats of the activation units, the same for all layers.

    Attributes
    ----------
    z_width, z_fraction : int
        Signed input of sigmoid and tanh after rounding; the default spans [-8, 8).
    y_fraction : int
        Fraction bits of their output.
    segment_bits : int
        Each table has 2**segment_bits segments.
    """

    z_width: int = 12
    z_fraction: int = 8
    y_fraction: int = 10
    segment_bits: int = 7

    def __post_init__(self) -> None:
        """Raise `MubinnError` on sizes that make no usable table."""
        width, most = self.z_width, MAX_FORMAT_BITS
        if not (
            2 <= width <= most
            and 0 <= self.z_fraction <= most
            and 1 <= self.y_fraction <= most
            and 1 <= self.segment_bits <= min(width, MAX_SEGMENT_BITS)
        ):
            raise MubinnError(f"the activation formats {self} make no table of usable size.")

    def activation(self, kind: Kind) -> ActivationParams:
        """Return the table of an activation."""
        return ActivationParams(
            kind, self.z_width, self.z_fraction, self.y_fraction, self.segment_bits
        )
