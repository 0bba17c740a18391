"""Pointwise XNOR multiplier: a b + c d from level bits alone, Eq. (5) with f c + i g.

Every factor is ``offset + sum_k a_k s_k``. An offset acts as one more level whose sign is always
+1, so that a product of two factors is a sum over level pairs of g_km times the XNOR of two signs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.scales import signs
from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True)
class PointwiseParams:
    """Levels of the four factors, which of them have an offset, and widths.

    Attributes
    ----------
    a_levels, b_levels, c_levels, d_levels : int
    a_offset, b_offset, c_offset, d_offset : bool
    gamma_width : int
        Bits of each signed g_km.
    sum_width : int
        Bits of the signed result, which cannot overflow.
    """

    a_levels: int
    b_levels: int
    c_levels: int
    d_levels: int
    a_offset: bool
    b_offset: bool
    c_offset: bool
    d_offset: bool
    gamma_width: int
    sum_width: int

    def __post_init__(self) -> None:
        """Raise `ValueError` on sizes below 1."""
        demand(self, 1, "a_levels", "b_levels", "c_levels", "d_levels", "gamma_width", "sum_width")

    @property
    def ab_shape(self) -> tuple[int, int]:
        """Shape of gamma_ab: levels of a and of b, each one more with an offset."""
        return self.a_levels + self.a_offset, self.b_levels + self.b_offset

    @property
    def cd_shape(self) -> tuple[int, int]:
        """Shape of gamma_cd."""
        return self.c_levels + self.c_offset, self.d_levels + self.d_offset


def extended_signs(code: npt.ArrayLike, levels: int, offset: bool) -> Ints:
    """Return the signs of `code`, int64 [..., levels (+ 1)]; an offset's +1 stands first."""
    own = signs(code, levels)
    if not offset:
        return own
    return np.concatenate([np.ones((*own.shape[:-1], 1), np.int64), own], axis=-1)


def pointwise(
    params: PointwiseParams,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    c: npt.ArrayLike,
    d: npt.ArrayLike,
    gamma_ab: npt.ArrayLike,
    gamma_cd: npt.ArrayLike,
) -> Ints:
    """Return ``sum_km gamma_ab[k, m] a_k b_m + sum_km gamma_cd[k, m] c_k d_m``, int64 [...].

    Hardware payloads: ``i {a, b, c, d: levels, gamma_ab, gamma_cd: ArrayLayout(
    signed(gamma_width), rows * columns)}`` in row-major order, ``o {sum: signed(sum_width)}``.

    Parameters
    ----------
    params : PointwiseParams
    a, b, c, d : int64 [...]
        Codes; bit k - 1 is level k.
    gamma_ab, gamma_cd : int64 [rows, columns]
        Index 0 belongs to the offset where the factor has one.

    Examples
    --------
    >>> params = PointwiseParams(1, 2, 1, 1, True, False, False, False, gamma_width=6, sum_width=9)
    >>> int(pointwise(params, a=1, b=0b01, c=1, d=0, gamma_ab=[[8, 4], [6, 3]], gamma_cd=[[20]]))
    -13
    """
    a_signs = extended_signs(a, params.a_levels, params.a_offset)
    b_signs = extended_signs(b, params.b_levels, params.b_offset)
    c_signs = extended_signs(c, params.c_levels, params.c_offset)
    d_signs = extended_signs(d, params.d_levels, params.d_offset)
    ab = ((a_signs @ np.asarray(gamma_ab, np.int64)) * b_signs).sum(axis=-1)
    cd = ((c_signs @ np.asarray(gamma_cd, np.int64)) * d_signs).sum(axis=-1)
    return np.asarray(ab + cd)
