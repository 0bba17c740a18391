"""The classifier of stacked layers in JAX, float or binarized: parameters, graph, golden models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mubinn.golden.cells.constants import INPUT_FRACTION, Datapath
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.graph import Cell, Weights
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel, Preprocessing
from mubinn.golden.model.head import HeadKind, Readout, reading_of
from mubinn.train.graphs import binarize as levels_of
from mubinn.train.graphs.cell_step import Form
from mubinn.train.graphs.projection import classified, side_by_side, with_one
from mubinn.train.graphs.quantizers import Quantizers, operands, quantizers, stored
from mubinn.train.graphs.recurrence import recurrence
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.stack import LayerForm, LayerKind, check_trained, stage_places

Params: TypeAlias = dict[str, Any]
"""``{"layers": ({"wx": .., "wh": .., "b": [R H]}, ...), "wd": [C, H], "bd": [C]}``, float32.

Rows stand in the order of `Cell.rows`, H of each; wx and wh have those that read x or a vector
alone, I counts every step of a frame. A layer's ``stored`` has the numbers [H] of each cell by
name. For a binarized method there are ``scales`` besides, logarithms [rows, groups] by tensor:
``gate`` has one group for each gate, every other encoder and every number, ``stored.p``, is its own
tensor. And ``offsets``, by tensor; those of x and of the output, ``h``, are folded into the biases.
And ``cuts``, logarithms of the highest threshold by tensor or encoder that has a rule of its own.
What tensors of layers above the first are called says `mubinn.train.recipes.stack.at`. Of networks
that read words ``embedding`` [V, I] has a vector each.
"""

WEIGHTS: tuple[Weights, ...] = ("wx", "wh", "b")

NEAR_ZERO = 0.05
"""Largest number of a word's vector at first, as Keras has it."""


def init_params(
    forms: Sequence[LayerForm], seed: int, features: int, outputs: int, words: int = 0
) -> Params:
    """Draw the weights of layers and their classifier, and the vectors of words if there are any.

    Matrices are uniform in +-sqrt(6 / (fan in + fan out)) of one row of cells (Glorot); biases are
    0, that of a forget gate among them: c is clipped, so it needs no help to live long.
    """
    rng = np.random.default_rng([seed, 0])

    def uniform(rows: int, columns: int, fan: int) -> Array:
        limit = np.sqrt(6 / fan)
        return jnp.asarray(rng.uniform(-limit, limit, (rows, columns)), jnp.float32)

    layers: list[Params] = []
    inputs = features
    for stage in stage_places(forms):
        for form in forms[stage.start : stage.stop]:
            cell, hidden, columns = form.cell, form.hidden, inputs * form.frames.taps
            layers.append(
                {
                    "wx": uniform(len(cell.reading("wx")) * hidden, columns, columns + hidden),
                    "wh": uniform(len(cell.reading("wh")) * hidden, hidden, 2 * hidden),
                    "b": jnp.zeros(len(cell.rows) * hidden, jnp.float32),
                }
            )
        inputs = sum(forms[place].hidden for place in stage)
    dense = uniform(outputs, inputs, inputs + outputs)
    for layer, form in zip(layers, forms, strict=True):
        size = form.hidden
        layer["stored"] = {n.name: uniform(size, 1, 2 * size)[:, 0] for n in form.cell.stored}
    made = {"layers": tuple(layers), "wd": dense, "bd": jnp.zeros(outputs, jnp.float32)}
    if words:
        vectors = rng.uniform(-NEAR_ZERO, NEAR_ZERO, (words, features))
        made["embedding"] = jnp.asarray(vectors, jnp.float32)
    return made


def chosen(cell: Cell, tensor: Weights, rows: Any) -> Any:
    """Return the rows [R H, ...] of all cells that have such weights, of whatever row set."""
    places = cell.reading(tensor)
    if len(places) == len(cell.rows):
        return rows
    size = len(rows) // len(cell.rows)
    if not places:
        return np.zeros((0, size), rows.dtype)
    return np.concatenate([rows[:0], *(rows[place * size :][:size] for place in places)])


def placed(cell: Cell, tensor: Weights, rows: Any, hidden: int) -> list[Any]:
    """Return the weights [H, ...] of every row; None where it has none."""
    parts = iter(range(0, len(rows), hidden))
    places = cell.reading(tensor)
    return [
        rows[next(parts) :][:hidden] if place in places else None for place in range(len(cell.rows))
    ]


def whole(cell: Cell, tensor: Weights, rows: Any, hidden: int) -> Any:
    """Return the rows [R H, ...] of all cells as NumPy has them, 0 where one has no such weights.

    Without columns where none has them.

    >>> from mubinn.golden.cells.library import gru
    >>> whole(gru, "wh", np.array([1, 2, 3]), 1).tolist()
    [1, 2, 3, 0]
    """
    if not cell.reading(tensor):
        return np.zeros((hidden * len(cell.rows), 0), rows.dtype)
    zero = np.zeros((hidden, *rows.shape[1:]), rows.dtype)
    parts = placed(cell, tensor, rows, hidden)
    return np.concatenate([zero if part is None else part for part in parts])


def to_model(
    params: Params,
    kinds: Sequence[LayerKind],
    readout: Readout,
    preprocessing: Preprocessing,
    meta: Mapping[str, str],
    head: HeadKind = "classes",
) -> FloatModel:
    """Hand trained weights over to the golden model, exactly (float32 fits into float64)."""
    wide = jax.tree.map(partial(np.asarray, dtype=np.float64), params)
    layers = []
    for (cell, frames, clips, place), own in zip(kinds, wide["layers"], strict=True):
        hidden = len(own["b"]) // len(cell.rows)
        wx, wh, b = (whole(cell, name, own[name], hidden) for name in WEIGHTS)
        layers.append(FloatLayer(cell, wx, wh, b, dict(clips), own["stored"], frames, place))
    about = readout, preprocessing, dict(meta), head, wide.get("embedding")
    return FloatModel(tuple(layers), wide["wd"], wide["bd"], *about)


def from_model(model: FloatModel) -> Params:
    """Return the parameters of a golden model, rounded to float32.

    Raises
    ------
    MubinnError
        A layer has a projection.
    """
    for layer in model.layers:
        check_trained(layer.cell)
    params = {
        "layers": tuple(
            {
                **{name: chosen(layer.cell, name, getattr(layer, name)) for name in WEIGHTS},
                "stored": dict(layer.stored),
            }
            for layer in model.layers
        ),
        "wd": model.wd,
        "bd": model.bd,
        **({} if model.embedding is None else {"embedding": model.embedding}),
    }
    made: Params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    return made


def with_stored(params: Params, method: Method, kinds: Sequence[LayerKind]) -> Params:
    """Return parameters whose layers have the weights that their level bits stand for."""
    found = jax.jit(quantizers, static_argnums=(1, 2))(params, method, tuple(kinds))
    layers = []
    for q, own in zip(found.layers, params["layers"], strict=True):
        made: Params = {name: stored(name, own[name], q) for name in WEIGHTS}
        made["stored"] = {n: stored(f"stored.{n}", own["stored"][n], q) for n in own["stored"]}
        layers.append(made)
    return {**params, "layers": tuple(layers)}


def form_of(kind: LayerKind, method: Method, datapath: Datapath) -> Form:
    """Return what the recurrence binarizes; the float model's gradients are not damped."""
    cell, clips = kind.cell, kind.clips
    if method.name == "float":
        return Form(cell, clips=clips, datapath=datapath)
    counts = method.counts
    coded = frozenset(n.name for n in cell.encoders if counts[cell.tensor(n)] is not None)
    damp = method.damp_h, method.damp_c
    return Form(cell, coded, clips, *damp, datapath, tables=method.exports)


def encoded_input(x: Array, q: Quantizers | None) -> Array:
    """Return x as its level bits have it, without its offset; as it is in full precision."""
    if q is None or "x" not in q.tensors:
        return x
    rounded = levels_of.round_to(x, jnp.asarray(2.0**-INPUT_FRACTION)) - q.offsets.get("x", 0.0)
    scales = q.tensors["x"]
    return levels_of.binarize(rounded, scales.value[:, :, None, None], scales.cuts)


def framed(steps: Array, frames: Frames, zero: Array) -> Array:
    """Return the frames [T', B, taps I] of steps [T, B, I], as `Frames.of`; `zero` stands for 0."""
    if frames.plain:
        return steps
    count = frames.count(steps.shape[0])
    ahead = jnp.broadcast_to(zero, (frames.before, *steps.shape[1:]))
    seen = jnp.concatenate([ahead, steps])
    last = frames.stride * (count - 1) + 1
    return jnp.concatenate([seen[k : k + last : frames.stride] for k in range(frames.taps)], axis=2)


def _ordered(steps: Array, kind: LayerKind) -> Array:
    """Return steps [T, B, n] in a layer's order, or those of the layer as time has them."""
    return jnp.flip(steps, 0) if kind.place.backward else steps


def _zero(stage: int, q: Quantizers | None) -> Array:
    """Return what stands for an input of 0 of the layers from `stage` on, without its offset."""
    nothing = jnp.zeros((1, 1, 1), jnp.float32)
    if q is None or "x" not in q.tensors:
        return nothing
    if stage == 0:
        return encoded_input(nothing, q)
    centred = nothing - q.offsets["x"]
    scales, cuts = q.tensors["x"].value[:, 0], q.tensors["x"].cuts
    return levels_of.decode(levels_of.planes_of(centred, scales, cuts), scales)


def is_stateless(cell: Cell) -> bool:
    """Return whether no step of a cell reads what another one has made."""
    return not cell.reading("wh") and not {*cell.states} & {*cell.kept}


def run_layer(steps: Array, layer: Params, q: Quantizers | None, form: Form) -> Array:
    """Return the output [T, B, H] of every step of inputs [T, B, I], without offsets."""
    cell, own = form.cell, {name: stored(name, layer[name], q) for name in WEIGHTS}
    hidden = layer["wh"].shape[1]
    rows = {name: placed(cell, name, own[name], hidden) for name in WEIGHTS}

    def phase(places: tuple[int, ...], name: Weights) -> Array:
        if len(places) == len(cell.rows) == len(cell.reading(name)):
            return own[name]
        blank = jnp.zeros((hidden, *own[name].shape[1:]), steps.dtype)
        return jnp.concatenate([blank if (part := rows[name][k]) is None else part for k in places])

    weights = tuple(
        side_by_side(phase(places, "wh"), phase(places, "wx"), phase(places, "b"))
        for places in cell.phases
    )
    made = operands(q, form, layer["stored"])
    if not is_stateless(cell):
        return recurrence(with_one(steps), weights, made, form)
    # Steps that know nothing of each other are windows of one step, all worked on at once.
    count, windows, inputs = steps.shape
    alone = jnp.swapaxes(steps, 0, 1).reshape(1, windows * count, inputs)
    output = recurrence(with_one(alone), weights, made, form)
    return jnp.swapaxes(output.reshape(windows, count, hidden), 0, 1)


def logits(
    params: Params,
    x: Array,
    kinds: Sequence[LayerKind],
    forms: Sequence[Form],
    readout: Readout,
    method: Method,
    kept: Array | None = None,
    skipped: int = 0,
) -> Array:
    """Return the numbers of the dense layer for windows.

    Parameters
    ----------
    params : Params
        Its numbers as `Span.spread` gives them.
    x : float32 [B, T, I], or [B, T, 1] of words
    kinds : sequence of LayerKind
    forms : sequence of Form
        One a layer, as `form_of` makes it of `method`.
    readout : "last", "mean", "every" or "running"
    method : Method
    kept : float32 [B, H], optional
    skipped : int
        See `mubinn.train.graphs.projection.classified`.

    Returns
    -------
    float32 [B, C], or [B, T - skipped, C] of a readout at every step
    """
    found = None if method.name == "float" else quantizers(params, method, kinds)
    first = None if found is None else found.layers[0]
    if "embedding" in params:
        x = params["embedding"][x[..., 0].astype(jnp.int32)]
    steps = jnp.swapaxes(encoded_input(x, first), 0, 1)
    outputs: list[Array] = []
    for stage in stage_places(kinds):
        outputs = []
        for place in stage:
            kind, q = kinds[place], None if found is None else found.layers[place]
            read = _ordered(framed(steps, kind.frames, _zero(stage.start, q)), kind)
            outputs.append(run_layer(read, params["layers"][place], q, forms[place]))
        own = [_ordered(h, kinds[place]) for h, place in zip(outputs, stage, strict=True)]
        steps = jnp.concatenate(own, axis=2)
    if not reading_of(readout).every_step:  # each direction is read where it ends
        steps = jnp.concatenate([h[-1:] for h in outputs], axis=2)
    dense = None if found is None else found.dense
    wd, bd = (stored(name, params[name], dense) for name in ("wd", "bd"))
    return classified(steps, readout, wd, bd, kept, skipped)
