"""Sigmoid, tanh and others as piecewise-linear tables: the LUT unit of the paper's Figure 3.

The table holds the function at equally spaced nodes, rounded to the output format. Between two
nodes the value is interpolated with integers, ``node[k] + round_half_up(step * (node[k+1] -
node[k]) / 2**step_bits)``. Rounding is monotone and nodes are shared between neighbours, so the
function is continuous at the nodes and never decreases, as the threshold datapath requires.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.fixed import Ints, round_shift, signed_width, to_fixed, to_float
from mubinn.golden.units.shapes import Kind, exact, shape_of


@dataclass(frozen=True)
class ActivationParams:
    """Formats and table size.

    Attributes
    ----------
    kind : str
        An activation by its name, `mubinn.golden.units.shapes`.
    in_width, in_fraction : int
        Format of z, signed: the table spans [-2**(in_width - 1 - in_fraction), that).
    out_fraction : int
        Fraction bits of y; y is signed, so wide that the limits can be shown: ``out_fraction + 2``
        bits where they are 1 at most.
    segment_bits : int
        The table has 2**segment_bits segments.
    """

    kind: Kind
    in_width: int = 12
    in_fraction: int = 8
    out_fraction: int = 10
    segment_bits: int = 7

    def __post_init__(self) -> None:
        """Raise `ValueError` on a kind or size that makes no table."""
        shape_of(self.kind)
        demand(self, 1, "segment_bits", most=self.in_width)
        demand(self, 1, "out_fraction")

    @property
    def out_width(self) -> int:
        """Bits of y."""
        return signed_width(self.out_bound)

    @property
    def out_bound(self) -> int:
        """Largest magnitude of y."""
        return shape_of(self.kind).peak << self.out_fraction

    @property
    def step_bits(self) -> int:
        """Low bits of z that say where in its segment it lies."""
        return self.in_width - self.segment_bits

    @cached_property
    def nodes(self) -> Ints:
        """The function at the segment borders from the most negative z up, int64 [segments + 1]."""
        half = 1 << (self.segment_bits - 1)
        z = to_float(np.arange(-half, half + 1) << self.step_bits, self.in_fraction)
        return to_fixed(exact(self.kind, z), self.out_fraction)

    @cached_property
    def error_bound(self) -> float:
        """Largest distance between y and the exact function over the inputs of the format.

        That of the interpolation; the nodes and the result are rounded, half a unit each.
        """
        width = 2.0 ** (self.step_bits - self.in_fraction)
        return float(shape_of(self.kind).interpolation_error(width) + 2.0**-self.out_fraction)


def activation(params: ActivationParams, z: npt.ArrayLike) -> Ints:
    """Return y of integer `z` by piecewise-linear interpolation, int64 like `z`.

    Hardware payloads: ``i {z: signed(in_width)}``, ``o {y: signed(out_width)}``.

    Examples
    --------
    >>> activation(ActivationParams("tanh"), [0, 256, -256, 2047]).tolist()
    [0, 780, -780, 1024]
    """
    wide = np.asarray(z, np.int64)
    segment = (wide >> params.step_bits) + (1 << (params.segment_bits - 1))
    step = wide & ((1 << params.step_bits) - 1)
    base = params.nodes[segment]
    return np.asarray(
        base + round_shift(step * (params.nodes[segment + 1] - base), params.step_bits)
    )
