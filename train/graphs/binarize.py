"""Residual binarization in JAX: Algorithm 1 with straight-through gradients, in fixed point.

Scales are learned as logarithms and rounded, inside the graph, to the very fixed-point numbers
that the exported model stores. Products of such numbers are short, float32 holds their sums
exactly, and so the graph takes the decisions that the bit-true model takes. From seven levels on
scales are longer (`scale_bits`), and float32 rounds the last bits of large sums: a decision may
differ where one lies within such a bit of its threshold, which the agreement that training
measures tells. The level axis comes first, as in `mubinn.golden.binarize.mlb`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from mubinn.golden.binarize.rules import Rule
from mubinn.golden.binarize.scales import room

Planes: TypeAlias = list[Array]
"""Level bits as boolean arrays, one a level."""


class Scales(NamedTuple):
    """Scales of one tensor, rounded to fixed point.

    Attributes
    ----------
    value : float32 [N, ...]
        Exact multiples of ``2**-fraction``.
    unit : float32 []
        ``2**-fraction``.
    cuts : float32 [K] or None
        Rising thresholds that encode in place of Algorithm 1, exact multiples as well; see
        `tree_of`.
    """

    value: Array
    unit: Array
    cuts: Array | None = None


def scales_of(
    logs: Array,
    levels: int,
    *,
    most: int = 15,
    offset: Array | float = 0.0,
    shift: bool = False,
    rule: Rule | None = None,
    reach: Array | None = None,
) -> Scales:
    """Round ``exp(logs)`` to fixed point, the gradient passing straight through.

    Parameters
    ----------
    logs : float32 [N, G] or [1, G]
        Of G groups. One row where `levels` is larger is the last level's scale, and each level
        before it has twice the scale of the next: bases times powers of two.
    levels : int
        N.
    most : int
        Most fraction bits.
    offset : float32
        An offset that shares the format.
    shift : bool
        The last scale is the one power of two nearest the mean of the logarithms, for all groups,
        and without an offset their unit.
    rule : Rule, optional
        Of ordered thresholds: the one row is the last level's scale, the others are multiples.
    reach : float32 [], optional
        Its highest threshold, where it has any but 0.

    Returns
    -------
    Scales
        ``value`` [N, G].
    """
    ratios = ratios_of(len(logs), levels, rule)
    own = jnp.exp(logs)
    if shift:
        exponent = jnp.round(logs.mean() / math.log(2)).astype(jnp.int32)
        nearest = jax.lax.stop_gradient(jnp.ldexp(jnp.ones(()), exponent))
        own = own + jax.lax.stop_gradient(nearest - own)
    total = jnp.max((own * ratios).sum(axis=0)) + jnp.max(jnp.abs(offset))
    unit = unit_of(total, most, levels)
    if shift and isinstance(offset, float) and not offset:
        unit = jnp.clip(nearest, unit, 1)
    cuts = None
    if rule is not None and reach is not None:
        cuts = jnp.maximum(round_to(reach, unit), unit) * rule.cuts.astype(np.float32)
    return Scales(round_to(own, unit) * ratios, unit, cuts)


def ratios_of(rows: int, levels: int, rule: Rule | None = None) -> NDArray[np.float32]:
    """Return what `rows` rows of scales are multiplied by to be those of all levels, [N, 1].

    >>> ratios_of(1, 3).ravel().tolist(), ratios_of(3, 3).ravel().tolist()
    ([4.0, 2.0, 1.0], [1.0])
    """
    if rule is not None:
        return np.array(rule.units, np.float32)[:, None]
    return np.asarray(2.0 ** np.arange(levels - rows, -1, -1, dtype=np.float32)[:, None])


def unit_of(total: Array, most: int, levels: int) -> Array:
    """Return ``2**-fraction`` for `levels` scales of sum `total`, `most` fraction bits or fewer."""
    fraction = jnp.clip(jnp.floor(jnp.log2(room(levels) / total)), 0, most)
    # Unlike exp2, ldexp gives an exact power of two.
    return jax.lax.stop_gradient(jnp.ldexp(jnp.ones(()), -fraction.astype(jnp.int32)))


def fraction_of(unit: Any) -> int:
    """Return the fraction bits of a `unit` that is known, ``2**-fraction``."""
    return int(1 - np.frexp(unit)[1])


def round_to(value: Array, unit: Array) -> Array:
    """Round half up to multiples of `unit`, the gradient passing straight through."""
    rounded = jnp.floor(value / unit + 0.5) * unit
    return value + jax.lax.stop_gradient(rounded - value)


def encode(value: Array, scales: Array) -> Planes:
    """Return the level bits of `value` (offset already subtracted) by Algorithm 1.

    Parameters
    ----------
    value : float32 [...]
    scales : float32 [N, ...]
        Each level broadcast against `value`.
    """
    residual, planes = value, []
    for scale in scales:
        planes.append(residual >= 0)
        residual = residual - jnp.where(planes[-1], scale, -scale)
    return planes


def tree_of(cuts: Array) -> list[list[Array]]:
    """Return the thresholds of two levels as a tree, as `tree_thresholds`.

    Two are those of `tc`, whose ranges have the codes -- +- ++; three are those of `qc`.
    """
    low, *middle, high = cuts
    return [middle or [low], [low, high]]


def planes_of(value: Array, scales: Array, cuts: Array | None) -> Planes:
    """Return the level bits of `value`, offset subtracted, by thresholds or by Algorithm 1."""
    return encode(value, scales) if cuts is None else search(value, tree_of(cuts))


def steps_at(scales: Any, cuts: Array) -> list[Array]:
    """Return how far the value of a code rises at each threshold of `tree_of`."""
    first, last = scales
    return [2 * first, 2 * last] if len(cuts) == 2 else [2 * last, 2 * (first - last), 2 * last]


def cut_slopes(value: Array, scales: Any, cuts: Array, slope: Array) -> list[Array]:
    """Return the gradients of each threshold, of every element of `value`.

    Straight-through gradients take each step of an encoder for a ramp of slope 1, as high and as
    wide as the step and about its threshold: where a value lies on the ramp its code's value falls
    as fast as the threshold rises. So thresholds learn as steps do in "Learned Step Size
    Quantization" (Esser et al., ICLR 2020, Section 2.1), and in "Nonuniform-to-Uniform
    Quantization" (Liu et al., CVPR 2022) those of unequal distances.
    """
    return [
        jnp.where(jnp.abs(value - cut) <= step / 2, -slope, 0)
        for cut, step in zip(cuts, steps_at(scales, cuts), strict=True)
    ]


def decode(planes: Planes, scales: Array) -> Array:
    """Return ``sum_k a_k s_k``."""
    total: Array | float = 0.0
    for plane, scale in zip(planes, scales, strict=True):
        total = total + jnp.where(plane, scale, -scale)
    return jnp.asarray(total)


def reach(scales: Array) -> Array:
    """Return how far from the offset the straight-through gradient is passed on."""
    return jnp.asarray(scales.sum(axis=0) + scales[-1])


def binarize(value: Array, scales: Array, cuts: Array | None = None) -> Array:
    """Return what the level bits of `value` stand for; the gradient passes straight through.

    To the value it passes where the value lies within `reach`; to the scale of a level it goes
    with that level's sign; to thresholds as `cut_slopes` says.

    Parameters
    ----------
    value : float32 [...]
    scales : float32 [N, ...]
        Each level broadcast against `value`.
    cuts : float32 [K], optional
        See `Scales`.
    """
    return _binarized(value, scales, cuts)


@jax.custom_vjp
def _binarized(value: Array, scales: Array, cuts: Array | None) -> Array:
    return decode(planes_of(value, scales, cuts), scales)


def _binarize_forward(value: Array, scales: Array, cuts: Array | None) -> tuple[Array, Any]:
    return _binarized(value, scales, cuts), (value, scales, cuts)


def _binarize_backward(kept: Any, gradient: Array) -> tuple[Array, Array, Array | None]:
    value, scales, cuts = kept
    to_value = jnp.where(jnp.abs(value) <= reach(scales), gradient, 0)
    to_scales = []
    for plane in planes_of(value, scales, cuts):
        signed = jnp.where(plane, gradient, -gradient)
        axes = tuple(k for k, n in enumerate(scales.shape[1:]) if n == 1)
        to_scales.append(signed.sum(axis=axes, keepdims=True))
    if cuts is None:
        return to_value, jnp.stack(to_scales), None
    own = cut_slopes(value, scales, cuts, gradient)
    return to_value, jnp.stack(to_scales), jnp.stack([one.sum() for one in own])


_binarized.defvjp(_binarize_forward, _binarize_backward)


def tree_thresholds(offset: Array | float, scales: Array) -> list[list[Array]]:
    """Return the thresholds of Algorithm 1 as a tree.

    Level k has ``2**(k-1)`` of them, the one for all-negative signs first and the first level's
    sign the most significant.

    Parameters
    ----------
    offset : float32
    scales : float32 [N, ...]
    """
    tree = [[jnp.broadcast_to(jnp.asarray(offset), scales.shape[1:])]]
    for scale in scales[:-1]:
        tree.append([edge for node in tree[-1] for edge in (node - scale, node + scale)])
    return tree


def search(value: Array, tree: list[list[Array]]) -> Planes:
    """Return the level bits of `value` by comparing it with a tree of thresholds."""
    planes: Planes = []
    for nodes in tree:
        planes.append(value >= pick(planes, nodes))
    return planes


def pick(planes: Planes, leaves: list[Array]) -> Array:
    """Return the leaf that the level bits lead to; ``2**len(planes)`` leaves, as in the tree."""
    for plane in reversed(planes):
        leaves = [
            jnp.where(plane, high, low) for low, high in zip(leaves[::2], leaves[1::2], strict=True)
        ]
    return leaves[0]
