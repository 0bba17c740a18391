"""Threshold search: the code of a value by any encoder, every decision against a stored number.

Level k of a code by Algorithm 1 asks whether the value reaches the offset plus what the levels
before it stand for, ``value >= offset + sum_{j<k} a_j s_j``. These numbers, a node for each prefix
of a code, form a binary tree, whatever the order of the scales. Ordered thresholds make a tree of
that form too (`mubinn.golden.binarize.ordered`). A function that never decreases may stand before
the encoder: each node then becomes the first input whose output reaches it, and function and
encoder are one search.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.ground.fixed import Ints, signed_width


@dataclass(frozen=True)
class ThresholdSearchParams:
    """The trees.

    Attributes
    ----------
    width : int
        Bits of the signed value.
    trees : tuple of tuple of int
        One tree or more, each of ``2**levels - 1`` nodes: the node of the prefix b_1..b_{k-1} is
        the one of index ``2**(k-1) - 1 + sum_j b_j 2**(j-1)``.
    """

    width: int
    trees: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        """Raise `ValueError` on trees of different or impossible sizes."""
        sizes = {len(tree) for tree in self.trees}
        if len(sizes) != 1 or (min(sizes) + 1).bit_count() != 1 or not min(sizes):
            raise ValueError(f"trees of {sorted(sizes)} nodes are not full trees of one size")
        if self.width < 1:
            raise ValueError(f"a value of {self.width} bits holds nothing")

    @property
    def levels(self) -> int:
        """N, decisions of a search."""
        return len(self.trees[0]).bit_length()

    @property
    def select_width(self) -> int:
        """Bits that choose the tree; 0 where there is one."""
        return (len(self.trees) - 1).bit_length()

    @property
    def node_width(self) -> int:
        """Bits of a signed node."""
        return signed_width(max(abs(node) for tree in self.trees for node in tree))


def threshold_search(
    params: ThresholdSearchParams, value: npt.ArrayLike, tree: npt.ArrayLike = 0
) -> Ints:
    """Return the codes of integer `value`, int64 [...]; bit k - 1 of a code is level k.

    `tree` says which one of them decides, and broadcasts against `value`.

    Hardware payloads: ``i {value: signed(width), tree: select_width}``, ``o {code: levels}``.

    Examples
    --------
    >>> params = ThresholdSearchParams(width=5, trees=((0, -4, 4), (1, 1, 9)))
    >>> threshold_search(params, [-4, 3, 4, 9], tree=[0, 0, 0, 1]).tolist()
    [2, 1, 3, 3]
    """
    nodes = np.array(params.trees, np.int64)
    wide, tree = np.broadcast_arrays(np.asarray(value, np.int64), np.asarray(tree, np.int64))
    code = np.zeros(wide.shape, np.int64)
    for level in range(params.levels):
        reached = wide >= nodes[tree, (1 << level) - 1 + code]
        code |= reached.astype(np.int64) << level
    return code


def encoder_nodes(quantizer: Quantizer, offset: int | None = None) -> list[int]:
    """Return an encoder's tree in its own fraction, with `offset` in place of its one offset."""
    start = int(quantizer.offset.reshape(-1)[0]) if offset is None else offset
    nodes: list[int] = (quantizer.nodes + start).tolist()
    return nodes


def encoder_search(
    quantizers: Sequence[Quantizer], fraction: int, width: int, offset: int | None = None
) -> ThresholdSearchParams:
    """Return the search of values of `width` bits with a tree for each encoder.

    The values have `fraction` bits behind the point; `offset` is that of `encoder_nodes`.
    """
    trees = [
        [node << fraction - quantizer.fraction for node in encoder_nodes(quantizer, offset)]
        for quantizer in quantizers
    ]
    return ThresholdSearchParams(width, tuple(tuple(tree) for tree in trees))
