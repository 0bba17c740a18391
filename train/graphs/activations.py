"""Sigmoid and tanh as a datapath has them, in JAX: thresholds of z, and tanh for each code of c.

``"figure3"`` takes both from the tables of the activation units, whose input and output are
rounded. ``"threshold"`` takes the real functions, rounded nowhere, from the code that also makes
the hardware's numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from mubinn.golden.cells.constants import GATES, Datapath
from mubinn.golden.cells.exact_activation import first_reaching
from mubinn.golden.cells.formats import Formats
from mubinn.golden.units.activation import activation
from mubinn.golden.units.shapes import Kind
from mubinn.train.graphs.binarize import fraction_of

FORMATS = Formats()
_HALF = 1 << (FORMATS.z_width - 1)
_Y_UNIT = 2.0**-FORMATS.y_fraction
_Z_UNIT = 2.0**-FORMATS.z_fraction
_FAR = 1 << 40
"""A bound of z in its units that no sum comes near."""


def _tables() -> dict[str, np.ndarray]:
    """Return the activation tables over every z that their format holds, in output units."""
    z = np.arange(1 << FORMATS.z_width) - _HALF
    return {
        name: activation(FORMATS.activation("tanh" if name in "gcn" else "sigmoid"), z)
        for name in (*GATES, "c", "n")
    }


_TABLES = _tables()


def edges(datapath: Datapath, gate: str, nodes: Array, unit: Array) -> Array:
    """Return the smallest z whose activation reaches each of `nodes`, up to its rounding.

    Parameters
    ----------
    datapath : "figure3" or "threshold"
    gate : str
        A name among `GATES`.
    nodes : float32 [M]
    unit : float32 []
        Power of two that every z is a multiple of.

    Returns
    -------
    float32 [M]
        A z has reached its node where ``z >= edge``, exactly; no gradient passes.
    """
    nodes = jax.lax.stop_gradient(nodes)
    if datapath == "figure3":
        return _table_edges(gate, nodes)
    kind: Kind = "tanh" if gate == "g" else "sigmoid"

    def exact(nodes: NDArray[np.float32], unit: NDArray[np.float32]) -> NDArray[np.float32]:
        fraction = fraction_of(unit)
        targets = [Fraction(float(node)) for node in np.asarray(nodes)]
        first = [first_reaching(kind, target, fraction, _FAR) for target in targets]
        return np.ldexp(np.array(first, np.float64), -fraction).astype(np.float32)

    return _on_host(exact, nodes, unit)


def _on_host(function: Callable[..., NDArray[np.float32]], first: Array, *rest: Array) -> Array:
    """Return what a NumPy function makes of arrays: as many float32 as `first` has."""
    struct: Any = jax.ShapeDtypeStruct
    return jnp.asarray(jax.pure_callback(function, struct(first.shape, jnp.float32), first, *rest))


def _table_edges(gate: str, nodes: Array) -> Array:
    table = jnp.asarray(_TABLES[gate], jnp.float32)
    place = (table < nodes[:, None] / _Y_UNIT).sum(axis=1)  # the first entry that is not below
    z = (place - _HALF - 0.5) * _Z_UNIT  # z is rounded half up before the table
    return jnp.where(place == 0, -jnp.inf, jnp.where(place == len(table), jnp.inf, z))


def _nearest_tanh(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.tanh(np.asarray(values, np.float64)).astype(np.float32)


def tanh(datapath: Datapath, values: Array) -> Array:
    """Return tanh of values of c [M]: float32, rounded as the datapath does; no gradient passes."""
    values = jax.lax.stop_gradient(values)
    if datapath == "threshold":
        return _on_host(_nearest_tanh, values)
    table = jnp.asarray(_TABLES["c"], jnp.float32)
    places = jnp.floor(values / _Z_UNIT + 0.5).astype(jnp.int32) + _HALF
    return table[jnp.clip(places, 0, len(table) - 1)] * _Y_UNIT
