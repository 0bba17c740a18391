"""Activations as a datapath has them, in JAX: thresholds of sums, and values of codes.

``"figure3"`` takes them from the tables of the activation units, whose input and output are
rounded. ``"threshold"`` takes the real functions, rounded nowhere, from the code that also makes
the hardware's numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from mubinn.golden.cells.constants import Datapath
from mubinn.golden.cells.exact_activation import first_reaching
from mubinn.golden.cells.formats import Formats
from mubinn.golden.units.activation import activation
from mubinn.golden.units.shapes import Kind, Ramp, exact, shape_of
from mubinn.train.graphs import binarize as levels_of
from mubinn.train.graphs.binarize import fraction_of

FORMATS = Formats()
Y_UNIT = 2.0**-FORMATS.y_fraction
"""Unit of what the activation units make."""

_HALF = 1 << (FORMATS.z_width - 1)
_Z_UNIT = 2.0**-FORMATS.z_fraction
_FAR = 1 << 40
"""A bound of z in its units that no sum comes near."""

_PLACES = np.arange(1 << FORMATS.z_width) - _HALF


@lru_cache(maxsize=64)
def _table(kind: Kind) -> NDArray[np.int64]:
    """Return an activation's table over every z that its format holds, in output units."""
    return activation(FORMATS.activation(kind), _PLACES)


def function(kind: Kind, z: Array) -> Array:
    """Return the real function of `z`."""
    shape = shape_of(kind)
    if isinstance(shape, Ramp):
        return jnp.clip(float(shape.rise) * z + float(shape.at_zero), shape.low, shape.high)
    return jnp.tanh(z) if kind == "tanh" else jax.nn.sigmoid(z)


def slope(kind: Kind, y: Array) -> Array:
    """Return the slope of an activation where it is `y`."""
    shape = shape_of(kind)
    if isinstance(shape, Ramp):
        return jnp.where((shape.low < y) & (y < shape.high), float(shape.rise), 0.0)
    return 1 - y * y if kind == "tanh" else y * (1 - y)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def shaped(kind: Kind, y: Array, z: Array) -> Array:
    """Return `y`, an activation of `z` as hardware has it; the gradient goes to `z`."""
    return y


def _backward(kind: Kind, y: Array, gradient: Array) -> tuple[None, Array]:
    return None, gradient * slope(kind, y)


shaped.defvjp(lambda kind, y, z: (y, y), _backward)


def tree(
    datapath: Datapath,
    kind: Kind,
    offset: Array | float,
    scales: Array,
    unit: Array,
    cuts: Array | None = None,
) -> list[list[Array]]:
    """Return the thresholds of a sum, a multiple of `unit`, at which the code of it changes.

    They are those of Algorithm 1 with `scales` [N] about `offset`, one or [H], through `edges`, or
    the thresholds `cuts` about it.
    """
    if cuts is None:
        each = scales.reshape(-1, *[1] * jnp.ndim(offset))
        own = jnp.broadcast_to(each, (len(scales), *jnp.shape(offset)))
        nodes = levels_of.tree_thresholds(offset, own)
    else:
        nodes = [[offset + cut for cut in level] for level in levels_of.tree_of(cuts)]
    flat = jnp.stack([node for level in nodes for node in level])
    found = iter(edges(datapath, kind, flat.ravel(), unit).reshape(flat.shape))
    return [[next(found) for _ in level] for level in nodes]


def edges(datapath: Datapath, kind: Kind, nodes: Array, unit: Array) -> Array:
    """Return the smallest sum whose activation reaches each of `nodes`, up to its rounding.

    Parameters
    ----------
    datapath : "figure3" or "threshold"
    kind : str
    nodes : float32 [M]
    unit : float32 []
        Power of two that every sum is a multiple of.

    Returns
    -------
    float32 [M]
        A sum has reached its node where ``z >= edge``, exactly; no gradient passes.
    """
    nodes = jax.lax.stop_gradient(nodes)
    if datapath == "figure3":
        return _table_edges(kind, nodes)

    def first(nodes: NDArray[np.float32], unit: NDArray[np.float32]) -> NDArray[np.float32]:
        fraction = fraction_of(unit)
        targets = [Fraction(float(node)) for node in np.asarray(nodes)]
        found = [first_reaching(kind, target, fraction, _FAR) for target in targets]
        return np.ldexp(np.array(found, np.float64), -fraction).astype(np.float32)

    return _on_host(first, nodes, jax.lax.stop_gradient(unit))


def _on_host(function: Callable[..., NDArray[np.float32]], first: Array, *rest: Array) -> Array:
    """Return what a NumPy function makes of arrays: as many float32 as `first` has."""
    struct: Any = jax.ShapeDtypeStruct
    return jnp.asarray(jax.pure_callback(function, struct(first.shape, jnp.float32), first, *rest))


def _table_edges(kind: Kind, nodes: Array) -> Array:
    table = jnp.asarray(_table(kind), jnp.float32)
    place = (table < nodes[:, None] / Y_UNIT).sum(axis=1)  # the first entry that is not below
    z = (place - _HALF - 0.5) * _Z_UNIT  # z is rounded half up before the table
    return jnp.where(place == 0, -jnp.inf, jnp.where(place == len(table), jnp.inf, z))


def of_codes(datapath: Datapath, kind: Kind, values: Array) -> Array:
    """Return an activation of values of codes [M], rounded as the datapath does; no gradient."""
    values = jax.lax.stop_gradient(values)
    if datapath == "figure3":
        return looked_up(kind, values)

    def nearest(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return exact(kind, values).astype(np.float32)

    return _on_host(nearest, values)


def looked_up(kind: Kind, values: Array) -> Array:
    """Return an activation of numbers [...] by its table, which both datapaths use in products."""
    values = jax.lax.stop_gradient(values)
    table = jnp.asarray(_table(kind), jnp.float32)
    places = jnp.floor(values / _Z_UNIT + 0.5)
    bounded = jnp.clip(places, -_HALF, _HALF - 1).astype(jnp.int32)
    return table[bounded + _HALF] * Y_UNIT
