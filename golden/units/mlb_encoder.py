"""MLB encoder: fixed point to level bits by Algorithm 1, in integers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.mlb import encode
from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True)
class MlbEncoderParams:
    """Widths; value, offset and scales share one count of fraction bits.

    Attributes
    ----------
    levels : int
        N.
    value_width : int
        Bits of the signed value.
    offset_width : int
        Bits of the signed offset; 0 leaves the offset away.
    scale_width : int
        Bits of an unsigned scale.
    """

    levels: int
    value_width: int
    offset_width: int
    scale_width: int

    def __post_init__(self) -> None:
        """Raise `ValueError` on sizes that make no encoder."""
        demand(self, 1, "levels", "value_width", "scale_width")
        demand(self, 0, "offset_width")

    @property
    def residual_width(self) -> int:
        """Bits that hold every residual: each subtraction may add one bit to the larger operand."""
        start = max(self.value_width, self.offset_width) + (self.offset_width > 0)
        return max(start, self.scale_width + 1) + self.levels


def mlb_encoder(
    params: MlbEncoderParams, value: npt.ArrayLike, offset: npt.ArrayLike, scales: npt.ArrayLike
) -> Ints:
    """Return the codes of integer `value` (Algorithm 1), shapes as in `mubinn.golden.binarize.mlb`.

    Hardware payloads: ``i {value: signed(value_width), offset: signed(offset_width), scales:
    ArrayLayout(unsigned(scale_width), levels)}``, ``o {code: levels}``.

    Examples
    --------
    >>> params = MlbEncoderParams(levels=2, value_width=5, offset_width=4, scale_width=3)
    >>> mlb_encoder(params, [-5, 3, 7], offset=1, scales=[4, 2]).tolist()
    [0, 1, 3]
    """
    if np.shape(scales)[-1] != params.levels:
        raise ValueError(f"{np.shape(scales)[-1]} scales for {params.levels} levels")
    return encode(value, offset, scales)
