"""MAC: Eq. (6), h = o tanh(c), with o as level bits and tanh(c) in fixed point."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.scales import signs
from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True)
class MacParams:
    """Levels of o and widths.

    Attributes
    ----------
    levels : int
        Levels of o.
    scale_width : int
        Bits of an unsigned scale of o; its signed offset has one more.
    tanh_width : int
        Bits of the signed tanh(c).
    sum_width : int
        Bits of the signed result, which cannot overflow.
    """

    levels: int
    scale_width: int
    tanh_width: int
    sum_width: int

    def __post_init__(self) -> None:
        """Raise `ValueError` on sizes below 1."""
        demand(self, 1, "levels", "scale_width", "tanh_width", "sum_width")


def mac(
    params: MacParams,
    o: npt.ArrayLike,
    tanh_c: npt.ArrayLike,
    offset: npt.ArrayLike,
    scales: npt.ArrayLike,
) -> Ints:
    """Return ``(offset + sum_k scales[k] o_k) * tanh_c``, exact, int64 [...].

    Hardware payloads: ``i {o: levels, tanh_c: signed(tanh_width), offset: signed(scale_width + 1),
    scales: ArrayLayout(unsigned(scale_width), levels)}``, ``o {h_raw: signed(sum_width)}``.

    Parameters
    ----------
    params : MacParams
    o : int64 [...]
        Codes; bit k - 1 is level k.
    tanh_c : int64 [...]
    offset : int64
    scales : int64 [..., levels]

    Examples
    --------
    >>> params = MacParams(levels=2, scale_width=4, tanh_width=8, sum_width=14)
    >>> int(mac(params, o=0b01, tanh_c=-100, offset=5, scales=[4, 2]))
    -700
    """
    gate = (signs(o, params.levels) * np.asarray(scales, np.int64)).sum(axis=-1) + offset
    return np.asarray(gate * np.asarray(tanh_c, np.int64))
