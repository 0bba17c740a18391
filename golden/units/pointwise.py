"""Pointwise XNOR multiplier: Eq. (5), c = f c + i g, from level bits alone.

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
    f_levels, c_levels, i_levels, g_levels : int
    f_offset, c_offset, i_offset, g_offset : bool
    gamma_width : int
        Bits of each signed g_km.
    sum_width : int
        Bits of the signed result, which cannot overflow.
    """

    f_levels: int
    c_levels: int
    i_levels: int
    g_levels: int
    f_offset: bool
    c_offset: bool
    i_offset: bool
    g_offset: bool
    gamma_width: int
    sum_width: int

    def __post_init__(self) -> None:
        """Raise `ValueError` on sizes below 1."""
        demand(self, 1, "f_levels", "c_levels", "i_levels", "g_levels", "gamma_width", "sum_width")

    @property
    def fc_shape(self) -> tuple[int, int]:
        """Shape of gamma_fc: levels of f and of c, each one more with an offset."""
        return self.f_levels + self.f_offset, self.c_levels + self.c_offset

    @property
    def ig_shape(self) -> tuple[int, int]:
        """Shape of gamma_ig."""
        return self.i_levels + self.i_offset, self.g_levels + self.g_offset


def extended_signs(code: npt.ArrayLike, levels: int, offset: bool) -> Ints:
    """Return the signs of `code`, int64 [..., levels (+ 1)]; an offset's +1 stands first."""
    own = signs(code, levels)
    if not offset:
        return own
    return np.concatenate([np.ones((*own.shape[:-1], 1), np.int64), own], axis=-1)


def pointwise(
    params: PointwiseParams,
    f: npt.ArrayLike,
    c: npt.ArrayLike,
    i: npt.ArrayLike,
    g: npt.ArrayLike,
    gamma_fc: npt.ArrayLike,
    gamma_ig: npt.ArrayLike,
) -> Ints:
    """Return ``sum_km gamma_fc[k, m] f_k c_m + sum_km gamma_ig[k, m] i_k g_m``, int64 [...].

    Codes f, c, i and g have level k in bit k - 1. The shapes of `gamma_fc` and `gamma_ig` are those
    of the parameters; index 0 belongs to the offset where the factor has one.

    Hardware payloads: ``i {f, c, i, g: levels, gamma_fc, gamma_ig: ArrayLayout(
    signed(gamma_width), rows * columns)}`` in row-major order, ``o {c_raw: signed(sum_width)}``.

    Examples
    --------
    >>> params = PointwiseParams(1, 2, 1, 1, True, False, False, False, gamma_width=6, sum_width=9)
    >>> int(pointwise(params, f=1, c=0b01, i=1, g=0, gamma_fc=[[8, 4], [6, 3]], gamma_ig=[[20]]))
    -13
    """
    f_signs = extended_signs(f, params.f_levels, params.f_offset)
    c_signs = extended_signs(c, params.c_levels, params.c_offset)
    i_signs = extended_signs(i, params.i_levels, params.i_offset)
    g_signs = extended_signs(g, params.g_levels, params.g_offset)
    fc = ((f_signs @ np.asarray(gamma_fc, np.int64)) * c_signs).sum(axis=-1)
    ig = ((i_signs @ np.asarray(gamma_ig, np.int64)) * g_signs).sum(axis=-1)
    return np.asarray(fc + ig)
