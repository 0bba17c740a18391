"""Batch normalisation within the recurrence, folded into the rows of a layer in every step.

What a row sums of x, and what it sums of h, is divided by its standard deviation and loses its
mean, which "Recurrent Batch Normalization" (Cooijmans et al., ICLR 2017) does for real weights and
Hou et al. (NeurIPS 2019) and Ardakani et al. (ICLR 2019) find necessary for weights of one bit::

    z = gain_x (W_x x - mean) / deviation + gain_h (W_h h - mean) / deviation + b

A row w of a matrix has the mean ``w m`` and the variance ``w C w^T`` of what it reads, whose mean m
and covariance C are those of all rows alike. They are parameters here that no gradient moves but
each batch does: so the mean and the deviation of a row are functions of its weights, as
their level bits have them, and the gradient through them is exact, while that of x and h is left
out, as they would be for a mean over many batches. And a step is computed with the very numbers
that a model without normalisation has: `without_norms` multiplies the rows and their scales by
``gain / deviation`` and takes the means off the bias, before anything is rounded. Nothing remains
to be folded when the model is handed over, and training sees the decisions of the hardware.

Batches move the moments by `NEWS` at the peak of the learning rate and by less in proportion where
that is lower. The network is trained for the moments as they stand, a little behind those that its
h has, and what it gains by being ahead of them is lost as they catch up: with moments that move on
while the learning rate falls to 0, the loss of a language model rises again at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

from mubinn.golden.cells.graph import Cell
from mubinn.train.graphs import binarize as levels_of
from mubinn.train.graphs.quantizers import spread, weight_logs
from mubinn.train.recipes.matrices import Matrix, placed, places_of, sizes_of
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.stack import LayerKind, at

NEWS = 0.01
"""Share of the moments that are a batch's, at the peak of the learning rate."""

SETTLING = 8
"""Passes in which the moments of drawn weights come to be those of the h that they lead to."""

LEAST = 1e-5
"""Added to variances, as elsewhere."""


class Moments(NamedTuple):
    """Of the vector that the rows of a matrix read.

    Attributes
    ----------
    mean : float32 [I]
    covariance : float32 [I, I]
    """

    mean: Array
    covariance: Array


Found: TypeAlias = dict[str, Moments]
"""By matrix, `mubinn.train.recipes.stack.at`."""


def moments(vectors: Array) -> Moments:
    """Return the moments of vectors [T, B, I] over steps and windows.

    >>> found = moments(jnp.array([[[1.0, 0.0], [3.0, 0.0]], [[1.0, 2.0], [3.0, 2.0]]]))
    >>> found.mean.tolist(), found.covariance.tolist()
    ([2.0, 1.0], [[1.0, 0.0], [0.0, 1.0]])
    """
    own = jax.lax.stop_gradient(vectors)
    mean = own.mean(axis=(0, 1))
    centred = own - mean
    return Moments(mean, jnp.einsum("tbi,tbj->ij", centred, centred) / (own.size // own.shape[2]))


def moments_of(seen: Sequence[tuple[Array, Array]], kinds: Sequence[LayerKind]) -> Found:
    """Return the moments of what the layers of a pass read; `mubinn.train.graphs.network.Pass`."""
    found: Found = {}
    for place, (kind, (read, output)) in enumerate(zip(kinds, seen, strict=True)):
        vectors = {"wx": read, "wh": output}
        found |= {at(place, name): moments(vectors[name]) for name in _names(kind.cell)}
    return found


def _names(cell: Cell) -> Iterator[Matrix]:
    """Yield the matrices of a cell that have rows to normalise."""
    names: tuple[Matrix, ...] = ("wx", "wh")
    return (name for name in names if places_of(cell, name))


def with_norms(
    params: Mapping[str, Any], kinds: Sequence[LayerKind], found: Found, drawn: bool = False
) -> dict[str, Any]:
    """Return float parameters with normalisation that begin as those without.

    So gains are deviations; where weights were `drawn` they are 1, as the size that rows have says
    nothing.
    """
    gains: dict[str, Array] = {}
    layers = []
    for place, (kind, own) in enumerate(zip(kinds, params["layers"], strict=True)):
        b = own["b"]
        for name in _names(kind.cell):
            key = at(place, name)
            logs = jnp.log(_deviation(own[name], found[key]))
            gains[key] = jnp.zeros_like(logs) if drawn else logs
            b = b + _of_cell(kind.cell, own, name, own[name] @ found[key].mean)
        layers.append({**own, "b": b})
    return {**params, "layers": tuple(layers), "gains": gains, "moments": dict(found)}


def renewed(params: Mapping[str, Any], found: Found, pace: Array) -> dict[str, Any]:
    """Return parameters whose moments have come nearer to those of a batch.

    `pace` is the learning rate as a share of its peak.

    >>> one, two = (Moments(jnp.array([m]), jnp.array([[v]])) for m, v in ((1.0, 4.0), (3.0, 2.0)))
    >>> made = renewed({"moments": {"wh": one}}, {"wh": two}, jnp.array(0.5))["moments"]["wh"]
    >>> [round(float(moment.ravel()[0]), 4) for moment in made]
    [1.01, 3.99]
    """
    if not found:
        return dict(params)
    news = NEWS * pace
    near = partial(jax.tree.map, lambda own, new: (1 - news) * own + news * new)
    return {**params, "moments": near(params["moments"], found)}


def without_norms(
    params: dict[str, Any], method: Method, kinds: Sequence[LayerKind]
) -> dict[str, Any]:
    """Return the parameters of the same layers without normalisation; those that have none."""
    return _folded(params, method, tuple(kinds)) if "gains" in params else params


@partial(jax.jit, static_argnums=(1, 2))
def _folded(params: dict[str, Any], method: Method, kinds: tuple[LayerKind, ...]) -> dict[str, Any]:
    scales, layers = dict(params.get("scales", {})), []
    for place, (kind, own) in enumerate(zip(kinds, params["layers"], strict=True)):
        layer = dict(own)
        for name in _names(kind.cell):
            key = at(place, name)
            found = jax.lax.stop_gradient(params["moments"][key])
            made = _coded(params, method, place, name)
            logs = params["gains"][key] - jnp.log(_deviation(made, found))
            factor = jnp.exp(logs)
            layer[name] = own[name] * factor[:, None]
            if key in scales:
                scales[key] = scales[key] + logs
            means = (made @ found.mean) * factor
            layer["b"] = layer["b"] - _of_cell(kind.cell, own, name, means)
        layers.append(layer)
    rest = {name: value for name, value in params.items() if name not in ("gains", "moments")}
    return {**rest, "layers": tuple(layers), **({"scales": scales} if scales else {})}


def _coded(params: Mapping[str, Any], method: Method, place: int, name: Matrix) -> Array:
    """Return the weights [R, I] of a matrix, as their level bits have them where they have any.

    Scales are as they are learned here, not rounded.
    """
    values, count = params["layers"][place][name], method.counts[name]
    if count is None:
        return jnp.asarray(values)
    learned = params["scales"].get(at(place, name))
    logs = weight_logs(method, learned, name, values, None, len(values))
    scales = jnp.exp(logs) * levels_of.ratios_of(len(logs), count)
    return levels_of.binarize(values, spread(scales, values))


def _deviation(rows: Array, found: Moments) -> Array:
    return jnp.sqrt(((rows @ found.covariance) * rows).sum(axis=1) + LEAST)


def _of_cell(cell: Cell, layer: Mapping[str, Any], name: Matrix, rows: Array) -> Array:
    """Return numbers of the rows of a matrix as those of all rows of the cell, 0 of the others."""
    sizes = sizes_of(cell, layer)
    own = placed(sizes, name, rows)
    nothing = jnp.zeros(sizes.hidden, rows.dtype)
    return jnp.concatenate([own.get(place, nothing) for place in range(len(cell.rows))])
