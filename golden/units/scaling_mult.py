"""Scaling multiplier: the unit mult of Figure 3, a dot product times g_ij (Eq. 9)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True)
class ScalingMultParams:
    """Widths and form.

    Attributes
    ----------
    dot_width : int
        Bits of the signed dot product.
    scale_width : int
        Bits of the unsigned scale.
    shift_only : bool
        The scale is given as an exponent: the product is ``dot * 2**scale`` (MuBiNN1).
    """

    dot_width: int
    scale_width: int
    shift_only: bool = False

    def __post_init__(self) -> None:
        """Raise `ValueError` on widths below 1, or a shift beyond 64 bits."""
        if min(self.dot_width, self.scale_width) < 1 or (self.shift_only and self.scale_width > 6):
            raise ValueError(f"bad sizes {self}")

    @property
    def product_width(self) -> int:
        """Bits of the signed product, which is exact."""
        if self.shift_only:
            return self.dot_width + (1 << self.scale_width) - 1
        return self.dot_width + self.scale_width


def scaling_mult(params: ScalingMultParams, dot: npt.ArrayLike, scale: npt.ArrayLike) -> Ints:
    """Return ``dot * scale``, or ``dot * 2**scale`` if shift-only: exact, int64 [...].

    Hardware payloads: ``i {dot: signed(dot_width), scale: scale_width}``,
    ``o {product: signed(product_width)}``.

    Parameters
    ----------
    params : ScalingMultParams
    dot : int64 [...]
    scale : int64, broadcast against dot
    """
    wide, by = np.asarray(dot, np.int64), np.asarray(scale, np.int64)
    return np.asarray(wide << by if params.shift_only else wide * by)
