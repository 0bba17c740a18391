"""Bias add: the Add unit of Figure 3, which also accumulates the level-pair products of a gate."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.scales import signs
from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True)
class BiasAddParams:
    """Widths; all terms share one count of fraction bits.

    Attributes
    ----------
    levels : int
        Levels of the bias.
    product_width : int
        Bits of each signed product.
    scale_width : int
        Bits of an unsigned bias scale.
    sum_width : int
        Bits of the signed sum. Sums wrap modulo 2**sum_width, so only the last one has to fit.
    """

    levels: int
    product_width: int
    scale_width: int
    sum_width: int

    def __post_init__(self) -> None:
        """Raise `ValueError` on sizes below 1."""
        demand(self, 1, "levels", "product_width", "scale_width", "sum_width")


def bias_add(
    params: BiasAddParams,
    acc: npt.ArrayLike,
    first: npt.ArrayLike,
    product_x: npt.ArrayLike,
    product_h: npt.ArrayLike,
    bias: npt.ArrayLike,
    scales: npt.ArrayLike,
) -> Ints:
    """Return ``(bias value if first else acc) + product_x + product_h``, wrapped to sum_width.

    The bias is itself multi-level binarized: signs from M_B, a code with level k in bit k - 1, and
    scales from M_s, [..., levels].
    Hardware payloads: ``i {acc: signed(sum_width), first: 1, product_x, product_h:
    signed(product_width), bias: levels, scales: ArrayLayout(unsigned(scale_width), levels)}``,
    ``o {sum: signed(sum_width)}``.

    Examples
    --------
    >>> params = BiasAddParams(levels=2, product_width=8, scale_width=4, sum_width=10)
    >>> products = {"product_x": 20, "product_h": -3}
    >>> bias_add(params, 100, first=[1, 0], **products, bias=0b01, scales=[9, 2]).tolist()
    [24, 117]
    """
    value = (signs(bias, params.levels) * np.asarray(scales, np.int64)).sum(axis=-1)
    start = np.where(np.asarray(first) != 0, value, acc)
    total = start + np.asarray(product_x, np.int64) + np.asarray(product_h, np.int64)
    half = 1 << (params.sum_width - 1)
    return ((total + half) & (2 * half - 1)) - half
