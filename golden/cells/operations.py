"""What units make of values, as a layer's numbers have them: parameters, constants, meaning.

An operation is a golden unit with its parameters and constants. Called with integers it returns
integers, int64 of the same shape; codes are those of level bits. `mubinn.hw.cells.operations` has
the hardware of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.ground.fixed import Ints, signed_width
from mubinn.golden.units.activation import ActivationParams, activation
from mubinn.golden.units.code_table import CodeTableParams, code_table
from mubinn.golden.units.mac import MacParams, mac
from mubinn.golden.units.mlb_decoder import MlbDecoderParams
from mubinn.golden.units.mlb_encoder import MlbEncoderParams
from mubinn.golden.units.pointwise import PointwiseParams, pointwise
from mubinn.golden.units.requantize import RequantizeParams, requantize
from mubinn.golden.units.threshold_search import ThresholdSearchParams, threshold_search


@dataclass(frozen=True)
class Code:
    """Level bits, `levels` of them."""

    levels: int

    @property
    def width(self) -> int:
        """Bits."""
        return self.levels


@dataclass(frozen=True)
class Wide:
    """A signed number of at most `bound` in magnitude, in units of ``2**-fraction``."""

    bound: int
    fraction: int = 0

    @property
    def width(self) -> int:
        """Bits."""
        return signed_width(self.bound)


Format = Code | Wide


@dataclass(frozen=True, eq=False)
class Round:
    """`requantize`, to the input of an activation."""

    params: RequantizeParams

    def __call__(self, *values: Ints) -> Ints:
        """Return the rounded value."""
        (value,) = values
        return requantize(self.params, value)

    @property
    def format(self) -> Format:
        """Format of the result."""
        return Wide((1 << self.params.out_width - 1) - 1, self.params.out_fraction)


@dataclass(frozen=True, eq=False)
class Activate:
    """`activation`: a table of sigmoid, tanh or a ramp."""

    params: ActivationParams

    def __call__(self, *values: Ints) -> Ints:
        """Return y."""
        (value,) = values
        return activation(self.params, value)

    @property
    def format(self) -> Format:
        """Format of the result."""
        return Wide(self.params.out_bound, self.params.out_fraction)


@dataclass(frozen=True, eq=False)
class Encode:
    """`mlb_encoder`: Algorithm 1 on a value of `fraction` bits."""

    params: MlbEncoderParams
    quantizer: Quantizer
    fraction: int

    def __call__(self, *values: Ints) -> Ints:
        """Return the codes; offsets of elements count along the last axis."""
        (value,) = values
        return self.quantizer.encode(value, self.fraction)

    @property
    def format(self) -> Format:
        """Format of the result."""
        return Code(self.params.levels)


@dataclass(frozen=True, eq=False)
class Decode:
    """`mlb_decoder`: the value of a code."""

    params: MlbDecoderParams
    quantizer: Quantizer

    def __call__(self, *values: Ints) -> Ints:
        """Return the values."""
        (code,) = values
        return self.quantizer.decode(code)

    @property
    def format(self) -> Format:
        """Format of the result."""
        return Wide(self.quantizer.peak, self.quantizer.fraction)


@dataclass(frozen=True, eq=False)
class Products:
    """`pointwise`: a b, or a b + c d, of codes, some of which are inverted."""

    params: PointwiseParams
    gammas: tuple[Ints, Ints]
    inverted: tuple[bool, ...]
    fraction: int

    def __call__(self, *values: Ints) -> Ints:
        """Return the sum of one product, or of two."""
        own = [
            code ^ ((1 << levels) - 1) if inverted else code
            for code, levels, inverted in zip(values, self.levels, self.inverted, strict=True)
        ]
        a, b, c, d = own if len(own) == 4 else own * 2
        return pointwise(self.params, a, b, c, d, *self.gammas)

    @property
    def levels(self) -> tuple[int, ...]:
        """Levels of the factors."""
        p = self.params
        return (p.a_levels, p.b_levels, p.c_levels, p.d_levels)[: len(self.inverted)]

    @property
    def format(self) -> Format:
        """Format of the result."""
        return Wide(sum(int(np.abs(gamma).sum()) for gamma in self.gammas), self.fraction)


@dataclass(frozen=True, eq=False)
class Scale:
    """`mac`: a code times a number."""

    params: MacParams
    quantizer: Quantizer
    bound: int
    fraction: int

    def __call__(self, *values: Ints) -> Ints:
        """Return the products."""
        (code, factor), q = values, self.quantizer
        return mac(self.params, code, factor, q.offset, q.scales)

    @property
    def format(self) -> Format:
        """Format of the result."""
        return Wide(self.bound, self.fraction)


@dataclass(frozen=True, eq=False)
class Add:
    """The sum of numbers, each shifted left to the fraction of the result."""

    shifts: tuple[int, ...]
    bound: int
    fraction: int

    def __call__(self, *values: Ints) -> Ints:
        """Return the sums."""
        shifted = (value << shift for value, shift in zip(values, self.shifts, strict=True))
        return np.asarray(reduce(np.add, shifted))

    @property
    def format(self) -> Format:
        """Format of the result."""
        return Wide(self.bound, self.fraction)


@dataclass(frozen=True, eq=False)
class Search:
    """`threshold_search` in one of its trees; below `offset`, of each element, where there is one.

    Attributes
    ----------
    params : ThresholdSearchParams
    tree : int
    offset : int64 [H] or None
        Taken from the value first.
    """

    params: ThresholdSearchParams
    tree: int = 0
    offset: Ints | None = None

    def __call__(self, *values: Ints) -> Ints:
        """Return the codes."""
        (value,) = values
        own = value if self.offset is None else value - self.offset
        return threshold_search(self.params, own, self.tree)

    @property
    def format(self) -> Format:
        """Format of the result."""
        return Code(self.params.levels)


@dataclass(frozen=True, eq=False)
class Table:
    """`code_table` over codes side by side, the first in the low bits.

    Attributes
    ----------
    params : CodeTableParams
    levels : tuple of int
        Of each code.
    made : Format
        What the words are.
    """

    params: CodeTableParams
    levels: tuple[int, ...]
    made: Format

    def __call__(self, *values: Ints) -> Ints:
        """Return the words."""
        return code_table(self.params, side_by_side(values, self.levels))

    @property
    def format(self) -> Format:
        """Format of the result."""
        return self.made


Operation = Round | Activate | Encode | Decode | Products | Scale | Add | Search | Table


def side_by_side(codes: Sequence[Ints], levels: Sequence[int]) -> Ints:
    """Return codes as one number, the first in the low bits.

    >>> int(side_by_side([np.array(1), np.array(2)], [1, 2]))
    5
    """
    index, shift = np.zeros((), np.int64), 0
    for code, count in zip(codes, levels, strict=True):
        index, shift = index | np.asarray(code, np.int64) << shift, shift + count
    return np.asarray(index)


@dataclass(frozen=True, eq=False)
class Unit:
    """One unit of a lowered cell.

    Attributes
    ----------
    name : str
        Of what it makes, as in equations and traces: ``f.y``, ``c_raw``, ``c``.
    role : str
        Of the unit, which several values may share: ``sigmoid``, ``encode_c``.
    operation : Operation
    operands : tuple of str
        Names of values.
    phase : int
        Pass over the cells in which it works.
    """

    name: str
    role: str
    operation: Operation
    operands: tuple[str, ...]
    phase: int = 0
