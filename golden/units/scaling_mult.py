"""Scaling multiplier: the unit mult of Figure 3, a dot product times g_ij (Eq. 9)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True)
class ScalingMultParams:
    """Widths.

    Attributes
    ----------
    dot_width : int
        Bits of the signed dot product.
    scale_width : int
        Bits of the unsigned scale.
    """

    dot_width: int
    scale_width: int

    def __post_init__(self) -> None:
        """Raise `ValueError` on widths below 1."""
        demand(self, 1, "dot_width", "scale_width")

    @property
    def product_width(self) -> int:
        """Bits of the signed product, which is exact."""
        return self.dot_width + self.scale_width


def scaling_mult(params: ScalingMultParams, dot: npt.ArrayLike, scale: npt.ArrayLike) -> Ints:
    """Return ``dot * scale``, exact, int64 [...]; the two broadcast.

    Hardware payloads: ``i {dot: signed(dot_width), scale: scale_width}``,
    ``o {product: signed(product_width)}``.

    Examples
    --------
    >>> scaling_mult(ScalingMultParams(dot_width=5, scale_width=4), [-16, 7], 15).tolist()
    [-240, 105]
    """
    return np.asarray(np.asarray(dot, np.int64) * np.asarray(scale, np.int64))
