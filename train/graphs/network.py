"""The classifier of stacked layers in JAX, float or binarized: parameters, graph, golden models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mubinn.golden.cells.constants import INPUT_FRACTION, Datapath
from mubinn.golden.cells.graph import Cell
from mubinn.golden.cells.sweep import Reads, Sweep
from mubinn.golden.model.float_layer import STEPS, FloatLayer
from mubinn.golden.model.float_model import FloatModel, Preprocessing
from mubinn.golden.model.head import HeadKind, Readout, reading_of
from mubinn.train.graphs import binarize as levels_of
from mubinn.train.graphs.cell_step import Form
from mubinn.train.graphs.pixels import neighbours
from mubinn.train.graphs.projection import classified, side_by_side, with_one
from mubinn.train.graphs.quantizers import Quantizers, operands, quantizers, stored
from mubinn.train.graphs.recurrence import recurrence
from mubinn.train.recipes.matrices import (
    Matrix,
    chosen,
    columns_of,
    matrices,
    placed,
    places_of,
    recurrent,
    sizes_of,
    whole,
)
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.stack import LayerForm, LayerKind, stage_places

Params: TypeAlias = dict[str, Any]
"""``{"layers": ({"wx": .., "wh": .., "b": [R H]}, ...), "wd": [C, H], "bd": [C]}``, float32.

Rows stand in the order of `Cell.rows`, H of each; wx and wh have those that read x or a vector
alone, I counts every step of a frame. Where h is a projection of P numbers wh has P columns, ``wr``
[P, H] are the rows of the projection, and b has P more. A layer's ``stored`` has the numbers [H] of
each cell by name. For a binarized method there are ``scales`` besides, logarithms [rows, groups] by
tensor: ``gate`` has one group for each gate, every other encoder and every number, ``stored.p``, is
its own tensor. And ``offsets``, by tensor; those of x and of the output, ``h``, are folded into the
biases. And ``cuts``, logarithms of the highest threshold by tensor or encoder that has a rule of
its own. What tensors of layers above the first are called says `mubinn.train.recipes.stack.at`. Of
networks that read words ``embedding`` [V, I] has a vector each.
"""

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
            sizes, columns = form.sizes, inputs * form.frames.taps
            own: Params = {}
            for name in matrices(form.cell):
                width = columns if name == "wx" else columns_of(sizes, name)
                counts = [sizes.row_counts[place] for place in places_of(form.cell, name)]
                each = counts[0] if counts else form.hidden
                own[name] = uniform(sum(counts), width, width + each)
            layers.append({**own, "b": jnp.zeros(sizes.rows, jnp.float32)})
        inputs = sum(forms[place].outputs for place in stage)
    dense = uniform(outputs, inputs, inputs + outputs)
    for layer, form in zip(layers, forms, strict=True):
        size = form.hidden
        layer["stored"] = {n.name: uniform(size, 1, 2 * size)[:, 0] for n in form.cell.stored}
    made = {"layers": tuple(layers), "wd": dense, "bd": jnp.zeros(outputs, jnp.float32)}
    if words:
        vectors = rng.uniform(-NEAR_ZERO, NEAR_ZERO, (words, features))
        made["embedding"] = jnp.asarray(vectors, jnp.float32)
    return made


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
        sizes = sizes_of(cell, own)
        wx, wh = whole(sizes, "wx", own["wx"]), recurrent(sizes, own)
        about = dict(clips), own["stored"], frames, place
        layers.append(FloatLayer(cell, wx, wh, own["b"], *about))
    rest = readout, preprocessing, dict(meta), head, wide.get("embedding")
    return FloatModel(tuple(layers), wide["wd"], wide["bd"], *rest)


def from_model(model: FloatModel) -> Params:
    """Return the parameters of a golden model, rounded to float32."""
    params = {
        "layers": tuple(
            {
                **{name: chosen(layer, name) for name in matrices(layer.cell)},
                "b": layer.b,
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
        made: Params = {name: stored(name, own[name], q) for name in own if name != "stored"}
        made["stored"] = {n: stored(f"stored.{n}", own["stored"][n], q) for n in own["stored"]}
        layers.append(made)
    return {**params, "layers": tuple(layers)}


def form_of(kind: LayerKind, method: Method, datapath: Datapath) -> Form:
    """Return what the recurrence binarizes; the float model's gradients are not damped."""
    cell, clips = kind.cell, kind.clips
    over = kind.frames if isinstance(kind.frames, Sweep) else None
    # Of rows that read x alone the pixels around are in x already.
    sweep = over if cell.reading("wh") else None
    if method.name == "float":
        form = Form(cell, clips=clips, datapath=datapath)
        return replace(form, sweep=sweep, framed=over is not None)
    counts = method.counts
    coded = frozenset(n.name for n in cell.encoders if counts[cell.tensor(n)] is not None)
    output = cell.new[0].name
    late = output if method.known.late and output in coded else ""
    coded -= {late}
    damp = method.damp_h, method.damp_c
    form = Form(cell, coded, clips, *damp, datapath, tables=method.exports)
    return replace(form, sweep=sweep, late=late, framed=over is not None)


def encoded_input(x: Array, q: Quantizers | None) -> Array:
    """Return x as its level bits have it, without its offset; as it is in full precision."""
    if q is None or "x" not in q.tensors:
        return x
    rounded = levels_of.round_to(x, jnp.asarray(2.0**-INPUT_FRACTION)) - q.offsets.get("x", 0.0)
    scales = q.tensors["x"]
    return levels_of.binarize(rounded, scales.value[:, :, None, None], scales.cuts)


def framed(steps: Array, frames: Reads, zero: Array) -> Array:
    """Return the frames [T', B, taps I] of steps [T, B, I], as `Frames.of`; `zero` stands for 0."""
    if isinstance(frames, Sweep):
        pixels = steps.reshape(-1, frames.pixels, *steps.shape[1:])
        return neighbours(frames, pixels, zero).reshape(*steps.shape[:2], -1)
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


def _beside(outputs: Sequence[Array], stage: range, kinds: Sequence[LayerKind]) -> Array:
    """Return outputs [T, B, n] of layers side by side, as time has them."""
    own = [_ordered(h, kinds[place]) for h, place in zip(outputs, stage, strict=True)]
    return jnp.concatenate(own, axis=2)


def _read(output: Array, q: Quantizers | None, form: Form) -> Array:
    """Return what rows read of an output [T, B, H]: its codes, where they are `Form.late`."""
    if q is None or not form.late:
        return output
    scales, offset = q.codes[form.late], q.offsets[form.late]
    made = levels_of.binarize(output - offset, scales.value[:, :, None, None], scales.cuts)
    return made if offset.ndim else offset + made


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


def run_layer(
    steps: Array, layer: Params, q: Quantizers | None, form: Form, frames: Reads = STEPS
) -> Array:
    """Return the output [T, B, H or P] of every step of inputs [T, B, I], without offsets.

    `frames` is what its steps have been read as.
    """
    sweep = frames if isinstance(frames, Sweep) else None
    cell, sizes = form.cell, sizes_of(form.cell, layer)
    own = {name: stored(name, value, q) for name, value in layer.items() if name != "stored"}
    rows = {name: placed(sizes, name, own[name]) for name in matrices(cell)}

    def phase(places: tuple[int, ...], name: Matrix) -> Array:
        if len(places) == len(cell.rows) == len(rows[name]):
            return own[name]
        columns = own[name].shape[1:]
        blank = [jnp.zeros((sizes.row_counts[k], *columns), steps.dtype) for k in places]
        parts = zip(places, blank, strict=True)
        return jnp.concatenate([rows[name].get(k, zero) for k, zero in parts])

    def bias(places: tuple[int, ...]) -> Array:
        if len(places) == len(cell.rows):
            return own["b"]
        return jnp.concatenate([own["b"][sizes.row_slice(k)] for k in places])

    weights = tuple(
        side_by_side(
            phase(places, "wr" if nodes[0].projects else "wh"), phase(places, "wx"), bias(places)
        )
        for places, nodes in zip(cell.phases, cell.phase_nodes, strict=True)
    )
    made = operands(q, form, layer["stored"])
    if sweep is not None:
        # Pixels of a frame are windows beside each other.
        beside = steps.reshape(-1, sweep.pixels * steps.shape[1], steps.shape[2])
        output = recurrence(with_one(beside), weights, made, form)
        return output.reshape(*steps.shape[:2], sizes.outputs)
    if not is_stateless(cell):
        return recurrence(with_one(steps), weights, made, form)
    # Steps that know nothing of each other are windows of one step, all worked on at once.
    count, windows, inputs = steps.shape
    alone = jnp.swapaxes(steps, 0, 1).reshape(1, windows * count, inputs)
    output = recurrence(with_one(alone), weights, made, form)
    return jnp.swapaxes(output.reshape(windows, count, sizes.outputs), 0, 1)


class Pass(NamedTuple):
    """What a pass over windows gives.

    Attributes
    ----------
    logits : float32 [B, C], or [B, T - skipped, C] of a readout at every step
    seen : tuple of (float32 [T, B, I], float32 [T, B, H or P])
        By layer its inputs, as its frames are, and what rows read of its outputs; both without
        offsets.
    """

    logits: Array
    seen: tuple[tuple[Array, Array], ...]


def run(
    params: Params,
    x: Array,
    kinds: Sequence[LayerKind],
    forms: Sequence[Form],
    readout: Readout,
    method: Method,
    kept: Array | None = None,
    skipped: int = 0,
) -> Pass:
    """Return the numbers of the dense layer for windows, and what layers read and made.

    Parameters
    ----------
    params : Params
        Its numbers as `Span.spread` gives them.
    x : float32 [B, T, I], or [B, T, 1] of words
    kinds : sequence of LayerKind
    forms : sequence of Form
        One a layer, as `form_of` makes it of `method`.
    readout : str
    method : Method
    kept : float32 [B, H], optional
    skipped : int
        See `mubinn.train.graphs.projection.classified`.

    Returns
    -------
    Pass
    """
    found = None if method.name == "float" else quantizers(params, method, kinds)
    first = None if found is None else found.layers[0]
    if "embedding" in params:
        x = params["embedding"][x[..., 0].astype(jnp.int32)]
    steps = jnp.swapaxes(encoded_input(x, first), 0, 1)
    outputs: list[Array] = []
    codes: list[Array] = []
    seen: list[tuple[Array, Array]] = []
    for stage in stage_places(kinds):
        outputs, codes = [], []
        for place in stage:
            kind, q = kinds[place], None if found is None else found.layers[place]
            read = _ordered(framed(steps, kind.frames, _zero(stage.start, q)), kind)
            own_layer = params["layers"][place]
            outputs.append(run_layer(read, own_layer, q, forms[place], kind.frames))
            codes.append(_read(outputs[-1], q, forms[place]))
            seen.append((read, codes[-1]))
        steps = _beside(codes, stage, kinds)
    if reading_of(readout).every_step:
        steps = _beside(outputs, stage, kinds)
    else:  # each direction is read where it ends
        steps = jnp.concatenate([h[-1:] for h in outputs], axis=2)
    dense = None if found is None else found.dense
    wd, bd = (stored(name, params[name], dense) for name in ("wd", "bd"))
    # Where the hardware runs the model its sums are integers of this unit.
    unit = dense.units["bd"] if dense is not None and method.exports else None
    return Pass(classified(steps, readout, wd, bd, kept, skipped, unit), tuple(seen))
