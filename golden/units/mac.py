"""MAC: level bits times a fixed-point number, Eq. (6) with o and tanh(c)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.scales import signs
from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True)
class MacParams:
    """Levels and widths.

    Attributes
    ----------
    levels : int
        Levels of the code.
    scale_width : int
        Bits of an unsigned scale; the signed offset has one more.
    factor_width : int
        Bits of the signed factor.
    sum_width : int
        Bits of the signed result, which cannot overflow.
    """

    levels: int
    scale_width: int
    factor_width: int
    sum_width: int

    def __post_init__(self) -> None:
        """Raise `ValueError` on sizes below 1."""
        demand(self, 1, "levels", "scale_width", "factor_width", "sum_width")


def mac(
    params: MacParams,
    code: npt.ArrayLike,
    factor: npt.ArrayLike,
    offset: npt.ArrayLike,
    scales: npt.ArrayLike,
) -> Ints:
    """Return ``(offset + sum_k scales[k] code_k) * factor``, exact, int64 [...].

    Hardware payloads: ``i {code: levels, factor: signed(factor_width), offset: signed(scale_width +
    1), scales: ArrayLayout(unsigned(scale_width), levels)}``, ``o {product: signed(sum_width)}``.

    Parameters
    ----------
    params : MacParams
    code : int64 [...]
        Codes; bit k - 1 is level k.
    factor : int64 [...]
    offset : int64
    scales : int64 [..., levels]

    Examples
    --------
    >>> params = MacParams(levels=2, scale_width=4, factor_width=8, sum_width=14)
    >>> int(mac(params, code=0b01, factor=-100, offset=5, scales=[4, 2]))
    -700
    """
    value = (signs(code, params.levels) * np.asarray(scales, np.int64)).sum(axis=-1) + offset
    return np.asarray(value * np.asarray(factor, np.int64))
