"""Merged dot product: every level pair of one or more vectors, weighted and summed at once.

Where the scales of a tensor halve from level to level (`mubinn.golden.binarize.scale_form`), the
level pairs of Eq. (9) differ by shifts alone, and ``sum_ij g_ij (2 popcount(xnor(X_i, W_j)) - n)``
is one sum of weighted bits; so is that of x W_x and h W_h with the bias, where both share their
unit.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.fixed import Ints, signed_width
from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams, xnor_multiplier


@dataclass(frozen=True)
class DotPart:
    """A pair of vectors whose product is part of the sum.

    Attributes
    ----------
    name : str
        Of the payload's fields: `name` holds the planes of the activations, `w` and `name` those of
        the weights.
    lanes : int
        Elements n of either vector.
    shifts, w_shifts : tuple of int
        Level pair (i, j) counts ``2**(shifts[i] + w_shifts[j])``.
    """

    name: str
    lanes: int
    shifts: tuple[int, ...]
    w_shifts: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise `ValueError` on sizes that make no product."""
        if self.lanes < 1 or not self.shifts or not self.w_shifts:
            raise ValueError(f"part {self.name} has no lanes or no levels")
        if min(*self.shifts, *self.w_shifts) < 0:
            raise ValueError(f"part {self.name} has a negative shift: scale all parts up")

    @property
    def peak(self) -> int:
        """Largest magnitude of the part."""
        return self.lanes * sum(1 << i for i in self.shifts) * sum(1 << j for j in self.w_shifts)


@dataclass(frozen=True)
class MergedDotParams:
    """The parts of the sum.

    Attributes
    ----------
    parts : tuple of DotPart
    addend_width : int
        Bits of a signed addend, such as a bias or what is summed so far; 0 for none.
    """

    parts: tuple[DotPart, ...]
    addend_width: int = 0

    def __post_init__(self) -> None:
        """Raise `ValueError` without a part, or where two have one name."""
        if not self.parts or len({part.name for part in self.parts}) != len(self.parts):
            raise ValueError("a merged dot product needs parts of different names")
        if self.addend_width < 0:
            raise ValueError(f"an addend of {self.addend_width} bits")

    @property
    def sum_width(self) -> int:
        """Bits of the signed sum, wide enough for every input."""
        most = 1 << self.addend_width - 1 if self.addend_width else 0
        return signed_width(most + sum(part.peak for part in self.parts))


def merged_dot(params: MergedDotParams, **fields: npt.ArrayLike) -> Ints:
    """Return ``addend + sum_parts sum_ij 2**(shifts[i] + w_shifts[j]) dot_ij``, int64 [...].

    Exact. Hardware payloads, for a part x: ``i {x: ArrayLayout(lanes, A), wx: ArrayLayout(lanes,
    W), ..., addend: signed(addend_width)}``, ``o {sum: signed(sum_width)}``.

    Parameters
    ----------
    params : MergedDotParams
    fields
        For each part its planes of signs, bit 1 for +1: ``x`` uint8 [..., A, lanes] and ``wx``
        uint8 [..., W, lanes]; ``addend`` int64 [...] where there is one.

    Examples
    --------
    >>> params = MergedDotParams((DotPart("x", 3, shifts=(1, 0), w_shifts=(0,)),), addend_width=4)
    >>> int(merged_dot(params, x=[[1, 0, 1], [0, 0, 1]], wx=[[1, 1, 1]], addend=-5))
    -4
    """
    total = np.asarray(fields["addend"] if params.addend_width else 0, np.int64)
    for part in params.parts:
        left = np.asarray(fields[part.name], np.uint8)[..., :, None, :]
        right = np.asarray(fields[f"w{part.name}"], np.uint8)[..., None, :, :]
        dots = xnor_multiplier(XnorMultiplierParams(part.lanes), left, right)
        weights = np.left_shift(1, np.add.outer(part.shifts, part.w_shifts)).astype(np.int64)
        total = total + (dots * weights).sum(axis=(-1, -2))
    return np.asarray(total)


def row_constant(part: DotPart, planes: npt.ArrayLike) -> Ints:
    """Return what the weights of a row add where products are formed of bits, int64 [...].

    For signs s = 2 x - 1 and t = 2 w - 1, ``s t = 4 (1 - x) (1 - w) - 1 + s + t``. Weighted and
    summed over level pairs and lanes, the last term belongs to the row, which this is, and the one
    before it to the step (`step_constant`); the third from last is ``-part.peak``. `planes`,
    uint8 [..., W, lanes], are the signs of the weights, bit 1 for +1.
    """
    return _weighted(part.w_shifts, planes) * sum(1 << k for k in part.shifts)


def step_constant(part: DotPart, planes: npt.ArrayLike) -> Ints:
    """Return what the activations of a step, uint8 [..., A, lanes], add to every row."""
    return _weighted(part.shifts, planes) * sum(1 << k for k in part.w_shifts)


def _weighted(shifts: tuple[int, ...], planes: npt.ArrayLike) -> Ints:
    """Return the weighted sum of the signs of all planes."""
    signs = 2 * np.asarray(planes, np.int64) - 1
    return np.asarray(signs.sum(axis=-1) @ np.left_shift(1, np.array(shifts, np.int64)))


def level_shifts(gamma: Ints) -> tuple[tuple[int, ...], tuple[int, ...], Ints] | None:
    """Return how the level pairs of `gamma` merge, None where they do not.

    Parameters
    ----------
    gamma : int64 [R, A, W]
        g_ij of every row.

    Returns
    -------
    shifts, w_shifts : tuple of int
        The last level has shift 0 where scales descend.
    unit : int64 [R]
        ``gamma[r, i, j] == unit[r] << shifts[i] + w_shifts[j]``.
    """
    unit = gamma.min(axis=(1, 2))
    if (unit < 1).any():
        return None
    left, right = gamma.min(axis=2)[0] // unit[0], gamma.min(axis=1)[0] // unit[0]
    shifts = tuple(int(n).bit_length() - 1 for n in left)
    w_shifts = tuple(int(n).bit_length() - 1 for n in right)
    made = unit[:, None, None] << np.add.outer(shifts, w_shifts)
    return (shifts, w_shifts, unit) if (made == gamma).all() else None


def merged_sum(
    gamma_x: Ints, gamma_h: Ints, features: int, hidden: int, addend_width: int = 0
) -> MergedDotParams | None:
    """Return the one sum that forms z of every row, None where a multiplication is left.

    Parameters
    ----------
    gamma_x : int64 [R, A, W]
    gamma_h : int64 [R, W_h, W]
    features, hidden : int
        Lanes of the parts x and h.
    addend_width : int
        Bits of the bias in the fraction of g_ij.
    """
    parts = []
    for name, gamma, lanes in (("x", gamma_x, features), ("h", gamma_h, hidden)):
        found = level_shifts(gamma)
        if found is None:
            return None
        shifts, w_shifts, unit = found
        if (unit != unit[0]).any() or int(unit[0]).bit_count() != 1:
            return None
        low = int(unit[0]).bit_length() - 1
        parts.append(DotPart(name, lanes, tuple(low + k for k in shifts), w_shifts))
    return MergedDotParams(tuple(parts), addend_width)
