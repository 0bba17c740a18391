"""The binarized LSTM recurrence in JAX, with its gradient written out.

Each step takes the decisions of the bit-true model: a gate's code is found by comparing z with the
thresholds that the activation table and the gate's scales imply, tanh(c) is looked up by the code
of c, and everything else is exact in float32. The gradient passes straight through each
binarization, with the true slope of sigmoid and tanh.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

from mubinn.golden.cells.constants import GATES
from mubinn.train.graphs import binarize as levels_of
from mubinn.train.graphs.binarize import Planes
from mubinn.train.graphs.projection import weight_gradient

Operands: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """What is binarized in the recurrence, and how gradients are damped.

    Attributes
    ----------
    gate, c, h : bool
        Whether f, i, g, o, whether c, and whether h are binarized.
    clip : float
        Bound of abs(c) where c is not binarized.
    damp_h, damp_c : float
        Factors of the gradient carried to the step before, through h W_h and through f c.
    """

    gate: bool
    c: bool
    h: bool
    clip: float
    damp_h: float
    damp_c: float


def _gates(cell: Cell, q: Operands, z: Array) -> list[Array]:
    """Return f, i, g, o."""
    parts = jnp.split(z, 4, axis=1)
    if not cell.gate:
        return [*map(_activation, GATES, parts)]
    return [
        offset + levels_of.decode(levels_of.search(part, edges), scales)
        for part, offset, edges, scales in zip(
            parts, q["gate_offset"], q["edges"], q["gate"], strict=True
        )
    ]


def _activation(name: str, z: Array) -> Array:
    return jnp.tanh(z) if name == "g" else jax.nn.sigmoid(z)


def _slope(name: str, y: Array) -> Array:
    return 1 - y * y if name == "g" else y * (1 - y)


def _state(cell: Cell, q: Operands, u: Array) -> tuple[Array, Array]:
    """Return c and tanh(c)."""
    if not cell.c:
        c = jnp.clip(u, -cell.clip, cell.clip)
        return c, jnp.tanh(c)
    planes = levels_of.encode(u, q["c"])
    return levels_of.decode(planes, q["c"]), levels_of.pick(planes, q["tanh"])


def _output(cell: Cell, q: Operands, raw: Array) -> Array:
    """Return h without its offset."""
    if not cell.h:
        return raw
    return levels_of.decode(levels_of.encode(raw - q["h_offset"], q["h"]), q["h"])


def _start(cell: Cell, q: Operands, shape: tuple[int, ...], dtype: Any) -> tuple[Array, Array]:
    """Return h and c before the first step: the code of 0."""
    zero = jnp.zeros(shape, dtype)
    return _output(cell, q, zero), _state(cell, q, zero)[0]


def _scan(x: Array, w: Array, q: Operands, cell: Cell) -> tuple[Array, tuple[Array, ...]]:
    """Run the recurrence; return h and what its gradient needs, all [T, B, ...]."""
    rows = w.T
    hidden = rows.shape[1] // 4
    one = _ones(x[0] @ rows[hidden:, :hidden])

    def step(carry: tuple[Array, Array], now: Array) -> tuple[tuple[Array, Array], Any]:
        h, c = carry
        z = jnp.concatenate([h, now], axis=1) @ rows
        f, i, g, o = _gates(cell, q, z)
        u = (f * c + i * g) / one
        c_next, th = _state(cell, q, u)
        h_next = _output(cell, q, o * th)
        return (h_next, c_next), (h_next, (z, c, u))

    start = _start(cell, q, (x.shape[1], hidden), x.dtype)
    h, saved = jax.lax.scan(step, start, x)[1]
    return h, saved


def _ones(value: Array) -> Array:
    """Return ones in the shape of `value` that the compiler does not know for ones.

    XLA fuses cheap arithmetic into every reader and so computes it anew for each. A division it
    keeps: dividing by these has a value written down once, and makes a step three times as fast.
    """
    return jnp.exp(0 * value)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def recurrence(x: Array, w: Array, q: Operands, cell: Cell) -> Array:
    """Recurrence of Eq. (1)-(6).

    Parameters
    ----------
    x : float32 [T, B, I + 1]
        Inputs without their offset, `mubinn.train.graphs.projection.with_one`.
    w : float32 [4H, H + I + 1]
        Weights and bias `side_by_side`, offsets of x and h folded into the bias.
    q : dict
        Of what `cell` binarizes: ``gate`` (scales [N] of each gate), ``gate_offset`` (one each),
        ``edges`` (a tree of thresholds of z each), ``c`` [N], ``tanh`` (the value for each code of
        c, as leaves of a tree), ``h`` [N] and ``h_offset`` [H].
    cell : Cell

    Returns
    -------
    float32 [T, B, H]
        h of every step without its offset.
    """
    return _scan(x, w, q, cell)[0]


def _forward_rule(x: Array, w: Array, q: Operands, cell: Cell) -> tuple[Array, Any]:
    h, saved = _scan(x, w, q, cell)
    return h, (h, saved, x, w, q)


def _signed(planes: Planes, gradient: Array) -> list[Array]:
    """Return the gradient of each level's scale, element by element."""
    return [jnp.where(plane, gradient, -gradient) for plane in planes]


def _within(distance: Array, scales: Array, gradient: Array) -> Array:
    return jnp.where(jnp.abs(distance) <= levels_of.reach(scales), gradient, 0)


def _backward_step(
    cell: Cell, q: Operands, wh: Array, one: Array, carry: tuple[Array, Array], inputs: Any
) -> tuple[tuple[Array, Array], Array, Operands]:
    """Return the carried gradients, dz, and the gradients of the scales at one step."""
    own: Operands = {}
    dh, dc = carry
    dh_here, (z, c, u) = inputs
    dh = (dh + dh_here) / one
    parts = jnp.split(z, 4, axis=1)
    f, i, g, o = _gates(cell, q, z)
    _, th = _state(cell, q, u)
    if cell.h:
        centred = o * th - q["h_offset"]
        own["h"] = _signed(levels_of.encode(centred, q["h"]), dh)
        dh = _within(centred, q["h"], dh) / one
        own["h_offset"] = -dh
    dc = (dc + dh * o * (1 - th * th)) / one
    if cell.c:
        own["c"] = _signed(levels_of.encode(u, q["c"]), dc)
        du = _within(u, q["c"], dc) / one
    else:
        du = jnp.where(jnp.abs(u) <= cell.clip, dc, 0) / one
    dys = [du * c, du * g, du * i, dh * th]
    dzs = []
    for k, (name, dy, part) in enumerate(zip(GATES, dys, parts, strict=True)):
        y = _activation(name, part)
        if cell.gate:
            dy = dy / one
            own[name] = _signed(levels_of.search(part, q["edges"][k]), dy)
            dy = _within(y - q["gate_offset"][k], q["gate"][k], dy)
        dzs.append(dy * _slope(name, y))
    dz = jnp.concatenate(dzs, axis=1)
    return (cell.damp_h * (dz @ wh), cell.damp_c * du * f), dz, own


def _backward_rule(cell: Cell, kept: Any, dh_out: Array) -> tuple[Array, Array, Operands]:
    h, saved, x, w, q = kept
    hidden = h.shape[2]
    wh = w[:, :hidden]
    one = _ones(saved[0][0, :, :hidden])

    def step(carry: Any, inputs: Any) -> tuple[Any, Array]:
        state, sums = carry
        state, dz, own = _backward_step(cell, q, wh, one, state, inputs)
        return (state, jax.tree.map(jnp.add, sums, own)), dz

    zero = jnp.zeros_like(h[0])
    none: Operands = {}
    if cell.h:
        none |= {"h": [zero] * len(q["h"]), "h_offset": zero}
    if cell.c:
        none["c"] = [zero] * len(q["c"])
    if cell.gate:
        none |= {n: [zero] * len(q["gate"][0]) for n in GATES}
    (_, sums), dz = jax.lax.scan(step, ((zero, zero), none), (dh_out, saved), reverse=True)
    before = jnp.concatenate([_first(cell, q, h), h[:-1]])
    dw = weight_gradient(jnp.concatenate([before, x], axis=2), dz)
    dq = jax.tree.map(jnp.zeros_like, q)
    for name in ("h", "c"):
        if name in sums:
            dq[name] = jnp.stack([total.sum() for total in sums[name]])
    if cell.h:
        dq["h_offset"] = sums["h_offset"].sum(axis=0)
    if cell.gate:
        dq["gate"] = [jnp.stack([t.sum() for t in sums[n]]) for n in GATES]
    return dz @ w[:, hidden:], dw, dq


def _first(cell: Cell, q: Operands, h: Array) -> Array:
    return _start(cell, q, h.shape[1:], h.dtype)[0][None]


recurrence.defvjp(_forward_rule, _backward_rule)
