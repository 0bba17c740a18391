"""MLB decoder: level bits back to the fixed-point value they stand for."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.scales import signs
from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True)
class MlbDecoderParams:
    """Widths; offset, scales and value share one count of fraction bits.

    Attributes
    ----------
    levels : int
        N.
    offset_width : int
        Bits of the signed offset; 0 leaves the offset away.
    scale_width : int
        Bits of an unsigned scale.
    value_width : int
        Bits of the signed value, which cannot overflow.
    """

    levels: int
    offset_width: int
    scale_width: int
    value_width: int

    def __post_init__(self) -> None:
        """Raise `ValueError` on sizes that make no decoder."""
        demand(self, 1, "levels", "scale_width", "value_width")
        demand(self, 0, "offset_width")


def mlb_decoder(
    params: MlbDecoderParams, code: npt.ArrayLike, offset: npt.ArrayLike, scales: npt.ArrayLike
) -> Ints:
    """Return ``offset + sum_k scales[k] (2 bit_k - 1)``, exact, int64 like `code`.

    Bit k - 1 of a code is level k; the last axis of `scales` is that of the levels.

    Hardware payloads: ``i {code: levels, offset: signed(offset_width), scales: ArrayLayout(
    unsigned(scale_width), levels)}``, ``o {value: signed(value_width)}``.

    Examples
    --------
    >>> params = MlbDecoderParams(levels=2, offset_width=4, scale_width=3, value_width=5)
    >>> mlb_decoder(params, [0b00, 0b01, 0b11], offset=1, scales=[4, 2]).tolist()
    [-5, 3, 7]
    """
    weighted = signs(code, params.levels) * np.asarray(scales, np.int64)
    return np.asarray(weighted.sum(axis=-1) + np.asarray(offset, np.int64))
