"""XNOR multiplier: the dot product of two vectors of signs (the paper's Fig. 2 and Eq. 8)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.fixed import Ints, signed_width


@dataclass(frozen=True)
class XnorMultiplierParams:
    """Size of the unit.

    Attributes
    ----------
    lanes : int
        Elements n of either vector.
    """

    lanes: int

    def __post_init__(self) -> None:
        """Raise `ValueError` on fewer lanes than one."""
        if self.lanes < 1:
            raise ValueError(f"an XNOR multiplier needs at least one lane, not {self.lanes}")

    @property
    def dot_width(self) -> int:
        """Bits of the signed dot product, which lies in [-lanes, lanes]."""
        return signed_width(self.lanes)


def xnor_multiplier(params: XnorMultiplierParams, a: npt.ArrayLike, w: npt.ArrayLike) -> Ints:
    """Return ``2 popcount(xnor(a, w)) - n``, int64 [...]: the sum of the products of the signs.

    Bit 1 of the vectors [..., lanes] stands for +1 and bit 0 for -1; leading axes broadcast.
    Hardware payloads: ``i {a: lanes, w: lanes}``, ``o {dot: signed(dot_width)}``.

    Raises
    ------
    ValueError
        If the last axis is not `lanes` long.

    Examples
    --------
    >>> int(xnor_multiplier(XnorMultiplierParams(lanes=5), [1, 0, 1, 1, 0], [1, 1, 1, 0, 0]))
    1
    """
    left, right = np.asarray(a, np.uint8), np.asarray(w, np.uint8)
    if left.shape[-1] != params.lanes or right.shape[-1] != params.lanes:
        raise ValueError(
            f"vectors of {left.shape[-1]} and {right.shape[-1]} bits for {params.lanes} lanes"
        )
    return np.asarray(2 * (left == right).sum(axis=-1, dtype=np.int64) - params.lanes)
