"""The float LSTM classifier in JAX: Eq. (1)-(6), mean or last readout, dense layer.

This module imports JAX; `mubinn.train.runs.trainer` loads it only when training starts.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_layer import lstm_layer
from mubinn.golden.model.float_model import FloatModel, Preprocessing, Readout
from mubinn.train.graphs.projection import (
    classified,
    side_by_side,
    weight_gradient,
    with_one,
)

Params: TypeAlias = dict[str, Any]
"""``{"layers": ({"wx": [4H, I], "wh": [4H, H], "b": [4H]}, ...), "wd": [C, H], "bd": [C]}``.

float32; gates are stacked in the order f, i, g, o.
"""


def init_params(seed: int, features: int, hidden: int, classes: int) -> Params:
    """Draw the weights of one layer and its classifier.

    Matrices are uniform in +-sqrt(6 / (fan in + fan out)) of one gate (Glorot); biases are 0, the
    forget bias among them: c is clipped, so it needs no help to live long.
    """
    rng = np.random.default_rng([seed, 0])

    def uniform(rows: int, columns: int, fan: int) -> Array:
        limit = np.sqrt(6 / fan)
        return jnp.asarray(rng.uniform(-limit, limit, (rows, columns)), jnp.float32)

    layer = {
        "wx": uniform(4 * hidden, features, features + hidden),
        "wh": uniform(4 * hidden, hidden, 2 * hidden),
        "b": jnp.zeros(4 * hidden, jnp.float32),
    }
    dense = uniform(classes, hidden, hidden + classes)
    return {"layers": (layer,), "wd": dense, "bd": jnp.zeros(classes, jnp.float32)}


def _scan(x: Array, w: Array, clip: float) -> tuple[Array, tuple[Array, ...]]:
    """Run the recurrence; return h and what its gradient needs, all [T, B, ...]."""
    rows = w.T

    def step(carry: tuple[Array, Array], now: Array) -> tuple[tuple[Array, Array], Any]:
        h, c = carry
        z = jnp.concatenate([h, now], axis=1) @ rows
        zf, zi, zg, zo = jnp.split(z, 4, axis=1)
        f, i, o = jax.nn.sigmoid(zf), jax.nn.sigmoid(zi), jax.nn.sigmoid(zo)
        g = jnp.tanh(zg)
        u = f * c + i * g
        c_next = jnp.clip(u, -clip, clip)
        th = jnp.tanh(c_next)
        h_next = o * th
        return (h_next, c_next), (h_next, (c, f, i, g, o, u, th))

    zero = jnp.zeros((x.shape[1], rows.shape[1] // 4), x.dtype)
    h, saved = jax.lax.scan(step, (zero, zero), x)[1]
    return h, saved


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def recurrence(x: Array, w: Array, clip: float) -> Array:
    """LSTM recurrence.

    The gradient is written out: it takes that of the weights as one product over all steps after
    the backward scan, where automatic differentiation makes one small product and sum a step. A
    training step takes half the time for it.

    Parameters
    ----------
    x : float32 [T, B, I + 1]
        Inputs, `mubinn.train.graphs.projection.with_one`.
    w : float32 [4H, H + I + 1]
        Weights and bias, `mubinn.train.graphs.projection.side_by_side`.
    clip : float
        c is clipped to [-clip, clip] after Eq. (5); the gradient is 0 outside. ``inf`` for none.

    Returns
    -------
    float32 [T, B, H]
        h of every step.
    """
    return _scan(x, w, clip)[0]


def _forward_rule(x: Array, w: Array, clip: float) -> tuple[Array, tuple[Any, ...]]:
    h, saved = _scan(x, w, clip)
    return h, (h, saved, x, w)


def _backward_rule(clip: float, kept: tuple[Any, ...], dh_out: Array) -> tuple[Array, Array]:
    h, saved, x, w = kept
    hidden = h.shape[2]
    wh = w[:, :hidden]

    def step(carry: tuple[Array, Array], inputs: Any) -> tuple[tuple[Array, Array], Array]:
        dh, dc = carry
        dh_here, (c, f, i, g, o, u, th) = inputs
        dh = dh + dh_here
        du = jnp.where(jnp.abs(u) <= clip, dc + dh * o * (1 - th * th), 0.0)
        dz = jnp.concatenate(
            [
                du * c * f * (1 - f),
                du * g * i * (1 - i),
                du * i * (1 - g * g),
                dh * th * o * (1 - o),
            ],
            axis=1,
        )
        return (dz @ wh, du * f), dz

    zero = jnp.zeros_like(h[0])
    dz = jax.lax.scan(step, (zero, zero), (dh_out, saved), reverse=True)[1]
    before = jnp.concatenate([zero[None], h[:-1]])
    dw = weight_gradient(jnp.concatenate([before, x], axis=2), dz)
    return dz @ w[:, hidden:], dw


recurrence.defvjp(_forward_rule, _backward_rule)


def logits(
    params: Params, x: Array, clip: float, readout: Readout, kept: Array | None = None
) -> Array:
    """Classify windows.

    Parameters
    ----------
    params : Params
    x : float32 [B, T, I]
    clip : float
        Bound of abs(c), ``inf`` for none.
    readout : "mean" or "last"
    kept : float32 [B, H], optional
        See `mubinn.train.graphs.projection.classified`.

    Returns
    -------
    float32 [B, C]
    """
    steps = jnp.swapaxes(x, 0, 1)
    for layer in params["layers"]:
        w = side_by_side(layer["wh"], layer["wx"], layer["b"])
        steps = recurrence(with_one(steps), w, clip)
    return classified(steps, readout, params["wd"], params["bd"], kept)


def to_model(
    params: Params,
    clip: float,
    readout: Readout,
    preprocessing: Preprocessing,
    meta: dict[str, str],
) -> FloatModel:
    """Hand trained weights over to the golden model, exactly (float32 fits into float64)."""
    wide = jax.tree.map(partial(np.asarray, dtype=np.float64), params)
    c_clip = None if np.isinf(clip) else clip
    layers = tuple(lstm_layer(v["wx"], v["wh"], v["b"], c_clip) for v in wide["layers"])
    return FloatModel(layers, wide["wd"], wide["bd"], readout, preprocessing, meta)


def from_model(model: FloatModel) -> tuple[Params, float, Readout]:
    """Return (params, clip, readout) of a golden model, rounded to float32.

    Raises
    ------
    MubinnError
        The layers clip c at different bounds, which this graph does not express, or are no LSTM.
    """
    if len({layer.clips.get("c") for layer in model.lstm_layers}) > 1:
        raise MubinnError("The layers clip c at different bounds; training needs one for all.")
    layers = tuple(
        {name: jnp.asarray(getattr(layer, name), jnp.float32) for name in ("wx", "wh", "b")}
        for layer in model.layers
    )
    params = {
        "layers": layers,
        "wd": jnp.asarray(model.wd, jnp.float32),
        "bd": jnp.asarray(model.bd, jnp.float32),
    }
    clip = model.lstm_layers[0].clips.get("c")
    return params, np.inf if clip is None else clip, model.readout
