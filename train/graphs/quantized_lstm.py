"""The binarized LSTM classifier in JAX: parameters, forward graph, and what is stored of it."""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

from mubinn.golden.cells.constants import GATES, INPUT_FRACTION, Datapath
from mubinn.golden.model.float_model import Readout
from mubinn.train.graphs import activations
from mubinn.train.graphs import binarize as levels_of
from mubinn.train.graphs.activations import FORMATS
from mubinn.train.graphs.binarize import Scales, scales_of
from mubinn.train.graphs.binarized_lstm import Cell, recurrence
from mubinn.train.graphs.float_lstm import Params
from mubinn.train.graphs.projection import classified, side_by_side, with_one
from mubinn.train.recipes.method import MERGED, Method

Quantizers: TypeAlias = dict[str, Any]


TANH = 2
"""Place of the candidate among the gates, g of an LSTM and n of a GRU."""


def gate_edges(
    gate: str, offset: float, scales: Array, datapath: Datapath, unit: Array
) -> list[list[Array]]:
    """Return the thresholds of z, a multiple of `unit`, at which `gate` changes, as a tree."""
    tree = levels_of.tree_thresholds(offset, scales)
    nodes = jnp.stack([node for level in tree for node in level])
    found = iter(activations.edges(datapath, gate, nodes, unit))
    return [[next(found) for _ in level] for level in tree]


def _tanh_leaves(scales: Array, datapath: Datapath) -> list[Array]:
    """Return tanh for every code of c."""
    values = [jnp.zeros(())]
    for scale in scales:
        values = [leaf for value in values for leaf in (value - scale, value + scale)]
    return list(activations.tanh(datapath, jnp.stack(values)))


def quantizers(params: Params, method: Method, gates: tuple[str, ...] = GATES) -> Quantizers:
    """Return every scale in fixed point, by tensor; gates by name, offsets as ``x_offset`` ...

    A tensor in full precision is absent. The gate at place `TANH` has no offset.
    """
    counts, logs = method.counts, params["scales"]
    if not method.learns_scales:
        logs = jax.lax.stop_gradient(logs)
    found = _gate_quantizers(logs, method, gates)

    def add(name: str, most: int = 15, offset: Any = 0.0) -> None:
        count = counts[name]
        if count is not None:
            shift = method.scale_form == "shift" and name in MERGED
            found[name] = scales_of(logs[name], count, most=most, offset=offset, shift=shift)

    offset = params.get("offsets", {})
    add("x", INPUT_FRACTION, offset.get("x", 0.0))
    for name in ("c", "wx", "wh", "wd"):
        if name in logs:
            add(name)
    add("h", INPUT_FRACTION, offset.get("h", 0.0))
    for name in sorted(offset.keys() & found.keys()):
        learned = getattr(method, f"{name}_offset") == "learned"
        value = offset[name] if learned else jax.lax.stop_gradient(offset[name])
        found[f"{name}_offset"] = levels_of.round_to(value, found[name].unit)
    for name, unit in _bias_units(found):
        found[f"{name}_unit"] = unit
        if counts[name] is not None:
            found[name] = Scales(levels_of.round_to(jnp.exp(logs[name]), unit), unit)
    return found


def _gate_quantizers(logs: Any, method: Method, gates: tuple[str, ...]) -> Quantizers:
    """Return the scales of each gate; none where gates stay in full precision."""
    count, found = method.counts["gate"], Quantizers()
    if count is None:
        return found
    for k, gate in enumerate(gates):
        offset = 0.0 if gate == gates[TANH] else method.gate_offset
        own = logs["gate"][:, k : k + 1]
        found[gate] = scales_of(own, count, most=FORMATS.y_fraction, offset=offset)
    return found


def _bias_units(found: Quantizers) -> list[tuple[str, Array]]:
    """Return the units that the scales of the two biases are multiples of."""
    if not {"x", "h", "wx", "wh", "wd"} <= set(found):
        return [("b", jnp.asarray(2.0**-30)), ("bd", jnp.asarray(2.0**-30))]
    z = jnp.minimum(found["x"].unit * found["wx"].unit, found["h"].unit * found["wh"].unit)
    return [("b", z), ("bd", found["h"].unit * found["wd"].unit)]


def spread(scales: Array, value: Array) -> Array:
    """Return scales [N, G] for every row of `value` [R, ...], broadcast over the rest."""
    rows = jnp.repeat(scales, value.shape[0] // scales.shape[1], axis=1)
    return rows.reshape(*rows.shape, *[1] * (value.ndim - 1))


def stored(params: Params, name: str, value: Array, q: Quantizers) -> Array:
    """Return what hardware stores of a weight or a bias."""
    if name in q:
        return levels_of.binarize(value, spread(q[name].value, value))
    unit = q.get(f"{name}_unit")
    return value if unit is None else levels_of.round_to(value, unit)


def cell_of(method: Method, clip: float) -> Cell:
    """Return what the recurrence binarizes."""
    has = {name: count is not None for name, count in method.counts.items()}
    return Cell(has["gate"], has["c"], has["h"], clip, method.damp_h, method.damp_c)


def operands(q: Quantizers, method: Method, hidden: int, datapath: Datapath) -> dict[str, Any]:
    """Return what `recurrence` takes."""
    made: dict[str, Any] = {}
    if "f" in q:
        made["gate_offset"] = [0.0 if gate == "g" else method.gate_offset for gate in GATES]
        made["gate"] = [q[gate].value[:, 0] for gate in GATES]
        made["edges"] = [
            gate_edges(gate, offset, scales, datapath, q["b_unit"])
            for gate, offset, scales in zip(GATES, made["gate_offset"], made["gate"], strict=True)
        ]
    if "c" in q:
        made["c"] = q["c"].value[:, 0]
        made["tanh"] = _tanh_leaves(made["c"], datapath)
    if "h" in q:
        made["h"] = q["h"].value[:, 0]
        made["h_offset"] = jnp.broadcast_to(q.get("h_offset", jnp.zeros(())), (hidden,))
    return made


def encoded_input(x: Array, q: Quantizers) -> Array:
    """Return x as its level bits have it, without its offset; as it is in full precision."""
    if "x" not in q:
        return x
    unit = 2.0**-INPUT_FRACTION
    rounded = jnp.floor(x / unit + 0.5) * unit - q.get("x_offset", 0.0)
    return levels_of.binarize(rounded, q["x"].value[:, :, None, None])


def logits(
    params: Params,
    x: Array,
    clip: float,
    readout: Readout,
    method: Method,
    datapath: Datapath = "figure3",
    kept: Array | None = None,
) -> Array:
    """Classify windows.

    Parameters
    ----------
    params : Params
        As `mubinn.train.graphs.float_lstm` has them for one layer, biases with the offsets of x and
        h folded in, and ``scales``: logarithms [rows, groups] by tensor, and ``offsets``.
    x : float32 [B, T, I]
    clip : float
        Bound of abs(c) where c is not binarized.
    readout : "mean" or "last"
    method : Method
    datapath : "figure3" or "threshold"
    kept : float32 [B, H], optional
        See `mubinn.train.graphs.projection.classified`.

    Returns
    -------
    float32 [B, C]
    """
    (layer,) = params["layers"]
    q = quantizers(params, method)
    wx, wh, b = (stored(params, name, layer[name], q) for name in ("wx", "wh", "b"))
    wd, bd = (stored(params, name, params[name], q) for name in ("wd", "bd"))
    steps, w = with_one(jnp.swapaxes(encoded_input(x, q), 0, 1)), side_by_side(wh, wx, b)
    known = operands(q, method, wh.shape[1], datapath)
    h = recurrence(steps, w, known, cell_of(method, clip))
    return classified(h, readout, wd, bd, kept)
