"""The GRU classifier in JAX, float or binarized: parameters, recurrence, forward graph.

Parameters have the shape of an LSTM's: a cell has the rows z, r, nh and nx, as in ``gru`` of
`mubinn.golden.cells.library`, with weights of 0 where a row leaves x or h out. Gradients are
automatic, so a step takes longer than an LSTM's.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mubinn.golden.cells.constants import GRU_GATES, Datapath
from mubinn.golden.cells.library import gru
from mubinn.golden.model.float_layer import FloatLayer, gru_layer
from mubinn.golden.model.float_model import FloatModel, Preprocessing, Readout
from mubinn.train.graphs import binarize as levels_of
from mubinn.train.graphs.float_lstm import Params
from mubinn.train.graphs.projection import classified, project
from mubinn.train.graphs.quantized_lstm import (
    Quantizers,
    encoded_input,
    gate_edges,
    quantizers,
    stored,
)
from mubinn.train.recipes.method import Method

Gate: TypeAlias = Any
GRU_ROWS = tuple(node.name for node in gru.rows)
NH, NX = GRU_ROWS.index("nh"), GRU_ROWS.index("nx")


def init_params(seed: int, features: int, hidden: int, classes: int) -> Params:
    """Draw the weights of one layer and its classifier: Glorot of one gate, biases 0."""
    rng = np.random.default_rng([seed, 0])

    def uniform(rows: int, columns: int, fan: int) -> Any:
        return rng.uniform(-np.sqrt(6 / fan), np.sqrt(6 / fan), (rows, columns))

    layer = gru_layer(
        uniform(3 * hidden, features, features + hidden),
        uniform(3 * hidden, hidden, 2 * hidden),
        np.zeros(3 * hidden),
        np.zeros(hidden),
    )
    dense = uniform(classes, hidden, hidden + classes)
    return from_model(FloatModel((layer,), dense, np.zeros(classes)))


def from_model(model: FloatModel) -> Params:
    """Return the parameters of a model of one layer, rounded to float32."""
    (layer,) = model.layers
    rows = {name: getattr(layer, name) for name in ("wx", "wh", "b")}
    params = {"layers": (rows,), "wd": model.wd, "bd": model.bd}
    single: Params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    return single


def to_model(
    params: Params, readout: Readout, preprocessing: Preprocessing, meta: dict[str, str]
) -> FloatModel:
    """Hand trained weights over to the golden model, exactly."""
    wide = jax.tree.map(partial(np.array, dtype=np.float64), params)
    (rows,) = wide["layers"]
    size = len(rows["b"]) // len(GRU_ROWS)
    # What a row does not read has taken no part in training.
    rows["wx"][NH * size :][:size] = 0
    rows["wh"][NX * size :][:size] = 0
    layer = FloatLayer(gru, rows["wx"], rows["wh"], rows["b"])
    return FloatModel((layer,), wide["wd"], wide["bd"], readout, preprocessing, meta)


@jax.custom_vjp
def _through(value: Array, proxy: Array) -> Array:
    """Return `value`; the gradient goes to `proxy`."""
    return value


_through.defvjp(lambda value, _: (value, None), lambda _, slope: (jnp.zeros_like(slope), slope))


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _damped(value: Array, factor: float) -> Array:
    """Return `value`; its gradient is multiplied by `factor`."""
    return value


_damped.defvjp(lambda value, _: (value, None), lambda factor, _, slope: (factor * slope,))


def _edges(
    q: Quantizers, offsets: dict[str, float], datapath: Datapath
) -> dict[str, list[list[Array]]]:
    """Return the thresholds of each binarized gate; n_raw has the fraction bits of r besides."""
    found = {}
    for name in GRU_GATES:
        if name in q:
            unit = q["b_unit"] * (q["r"].unit if name == "n" else 1)
            scales, kind = q[name].value[:, 0], "g" if name == "n" else "f"
            found[name] = gate_edges(kind, offsets[name], scales, datapath, unit)
    return found


def _gate(name: str, q: Quantizers, offset: float, edges: Any, z: Array) -> Array:
    """Return one gate of its sum: binarized where `q` has its scales."""
    y = jnp.tanh(z) if name == "n" else jax.nn.sigmoid(z)
    if name not in q:
        return y
    scales = q[name].value[:, 0]
    exact = offset + levels_of.decode(levels_of.search(z, edges[name]), scales)
    proxy = offset + levels_of.binarize(y - offset, scales[:, None, None])
    return _through(jax.lax.stop_gradient(exact), proxy)


def _encoded(q: Quantizers, raw: Array) -> Array:
    return levels_of.binarize(raw, q["h"].value[:, :, None]) if "h" in q else raw


def recurrence(
    zx: Array, wh: Array, q: Quantizers, method: Method, datapath: Datapath = "figure3"
) -> Array:
    """Recurrence of a GRU that resets after the product.

    Parameters
    ----------
    zx : float32 [T, B, 4H]
        ``x W_x^T + b`` of every step, rows as `GRU_ROWS`.
    wh : float32 [4H, H]
        0 in the rows nx.
    q : Quantizers
        Empty for the float model.
    method : Method
        Offset of the gates, and factors of the gradient through h W_h and through (1 - z) h.
    datapath : "figure3" or "threshold"

    Returns
    -------
    float32 [T, B, H]
        h of every step. The product r (U_n h + b_n) is rounded to float32, where integers keep it
        whole: a decision may differ if n lies as near as that to a threshold.
    """
    offsets = {name: 0.0 if name == "n" else method.gate_offset for name in GRU_GATES}
    edges = _edges(q, offsets, datapath)
    damp_h, damp = (method.damp_h, method.damp_c) if q else (1.0, 1.0)

    def step(h: Array, now: Array) -> tuple[Array, Array]:
        sums = jnp.split(now + _damped(h, damp_h) @ wh.T, len(GRU_ROWS), axis=1)
        update, reset = (
            _gate(name, q, offsets[name], edges, z) for name, z in zip("zr", sums[:2], strict=True)
        )
        n = _gate("n", q, 0.0, edges, sums[NX] + reset * sums[NH])
        h_next = _encoded(q, (1 - update) * _damped(h, damp) + update * n)
        return h_next, h_next

    start = _encoded(q, jnp.zeros((zx.shape[1], wh.shape[1]), zx.dtype))
    return jax.lax.scan(step, start, zx)[1]


def _without(rows: Array, row: int) -> Array:
    """Return the rows of all cells with 0 in those of one kind."""
    kept = np.repeat(np.arange(len(GRU_ROWS)) != row, rows.shape[0] // len(GRU_ROWS))
    return jnp.where(kept[:, None], rows, 0)


def logits(
    params: Params,
    x: Array,
    readout: Readout,
    method: Method,
    datapath: Datapath = "figure3",
    kept: Array | None = None,
) -> Array:
    """Classify windows x [B, T, I]; float32 [B, C]. Parameters as `from_model` makes them.

    For a binarized method they also hold ``scales``, logarithms [rows, groups] by tensor, and
    ``offsets`` of x. For `kept` see `mubinn.train.graphs.projection.classified`.
    """
    (layer,) = params["layers"]
    binarized = method.name != "float"
    q = quantizers(params, method, GRU_GATES) if binarized else Quantizers()
    wx, wh, b = (stored(params, name, layer[name], q) for name in ("wx", "wh", "b"))
    wd, bd = (stored(params, name, params[name], q) for name in ("wd", "bd"))
    inputs = encoded_input(x, q) if binarized else x
    steps = project(jnp.swapaxes(inputs, 0, 1), _without(wx, NH), b)
    h = recurrence(steps, _without(wh, NX), q, method, datapath)
    return classified(h, readout, wd, bd, kept)
