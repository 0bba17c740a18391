"""The classifier of any cell in JAX, float or binarized: parameters, graph, and what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mubinn.golden.cells.constants import INPUT_FRACTION, Datapath
from mubinn.golden.cells.graph import Cell, Node, Weights
from mubinn.golden.cells.lowering import code_in, is_factor
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel, Preprocessing
from mubinn.golden.model.head import Readout
from mubinn.train.graphs import activations
from mubinn.train.graphs import binarize as levels_of
from mubinn.train.graphs.activations import FORMATS
from mubinn.train.graphs.binarize import Scales, scales_of
from mubinn.train.graphs.cell_step import Form, Operands, reads_sum, value_name
from mubinn.train.graphs.projection import classified, side_by_side, with_one
from mubinn.train.graphs.recurrence import recurrence
from mubinn.train.recipes.method import MERGED, Method

Params: TypeAlias = dict[str, Any]
"""``{"layers": ({"wx": .., "wh": .., "b": [R H]}, ...), "wd": [C, H], "bd": [C]}``, float32.

Rows stand in the order of `Cell.rows`, H of each; wx and wh have those that read x or a vector
alone. A layer's ``stored`` has the numbers [H] of each cell by name. For a binarized method there
are ``scales`` besides, logarithms [rows, groups] by tensor: ``gate`` has one group for each gate,
every other encoder and every number, ``stored.p``, is its own tensor. And ``offsets``, by tensor;
those of x and of the output, ``h``, are folded into the biases.
"""

WEIGHTS: tuple[Weights, ...] = ("wx", "wh", "b")


def init_params(cell: Cell, seed: int, features: int, hidden: int, classes: int) -> Params:
    """Draw the weights of one layer and its classifier.

    Matrices are uniform in +-sqrt(6 / (fan in + fan out)) of one row of cells (Glorot); biases are
    0, that of a forget gate among them: c is clipped, so it needs no help to live long.
    """
    rng = np.random.default_rng([seed, 0])

    def uniform(rows: int, columns: int, fan: int) -> Array:
        limit = np.sqrt(6 / fan)
        return jnp.asarray(rng.uniform(-limit, limit, (rows, columns)), jnp.float32)

    layer: Params = {
        "wx": uniform(len(cell.reading("wx")) * hidden, features, features + hidden),
        "wh": uniform(len(cell.reading("wh")) * hidden, hidden, 2 * hidden),
        "b": jnp.zeros(len(cell.rows) * hidden, jnp.float32),
    }
    dense = uniform(classes, hidden, hidden + classes)
    layer["stored"] = {node.name: uniform(hidden, 1, 2 * hidden)[:, 0] for node in cell.stored}
    return {"layers": (layer,), "wd": dense, "bd": jnp.zeros(classes, jnp.float32)}


def chosen(cell: Cell, tensor: Weights, rows: Any) -> Any:
    """Return the rows [R H, ...] of all cells that have such weights, of whatever row set."""
    places = cell.reading(tensor)
    if len(places) == len(cell.rows):
        return rows
    size = len(rows) // len(cell.rows)
    return np.concatenate([rows[place * size :][:size] for place in places])


def placed(cell: Cell, tensor: Weights, rows: Any, hidden: int) -> list[Any]:
    """Return the weights [H, ...] of every row; None where it has none."""
    parts = iter(range(0, len(rows), hidden))
    places = cell.reading(tensor)
    return [
        rows[next(parts) :][:hidden] if place in places else None for place in range(len(cell.rows))
    ]


def whole(cell: Cell, tensor: Weights, rows: Any, hidden: int) -> Any:
    """Return the rows [R H, ...] of all cells as NumPy has them, 0 where one has no such weights.

    >>> from mubinn.golden.cells.library import gru
    >>> whole(gru, "wh", np.array([1, 2, 3]), 1).tolist()
    [1, 2, 3, 0]
    """
    zero = np.zeros((hidden, *rows.shape[1:]), rows.dtype)
    parts = placed(cell, tensor, rows, hidden)
    return np.concatenate([zero if part is None else part for part in parts])


def to_model(
    params: Params,
    cell: Cell,
    clips: Mapping[str, float],
    readout: Readout,
    preprocessing: Preprocessing,
    meta: Mapping[str, str],
) -> FloatModel:
    """Hand trained weights over to the golden model, exactly (float32 fits into float64)."""
    wide = jax.tree.map(partial(np.asarray, dtype=np.float64), params)
    layers = []
    for own in wide["layers"]:
        hidden = len(own["b"]) // len(cell.rows)
        wx, wh, b = (whole(cell, name, own[name], hidden) for name in WEIGHTS)
        layers.append(FloatLayer(cell, wx, wh, b, clips, own["stored"]))
    about = readout, preprocessing, dict(meta)
    return FloatModel(tuple(layers), wide["wd"], wide["bd"], *about)


def from_model(model: FloatModel) -> Params:
    """Return the parameters of a golden model, rounded to float32.

    Raises
    ------
    MubinnError
        The layers have different cells or places, read several steps at once or clip at different
        bounds, which this graph does not express.
    """
    if len({layer.cell for layer in model.layers}) > 1:
        raise MubinnError("The layers have different cells; training needs one for all.")
    if not all(layer.place.plain for layer in model.layers):
        raise MubinnError("A layer is backward, or beside another; training has no such layers.")
    if not all(layer.frames.plain for layer in model.layers):
        raise MubinnError("A layer reads several steps at once; training has no such layers.")
    if len({tuple(sorted(layer.clips.items())) for layer in model.layers}) > 1:
        raise MubinnError("The layers clip c at different bounds; training needs one for all.")
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
    }
    made: Params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    return made


def clips_of(cell: Cell, clip: float) -> dict[str, float]:
    """Return what is clipped: the states that meet no weights, such as c of an LSTM."""
    own = {node.name for node in cell.new if cell.tensor(node) == "c"}
    return dict.fromkeys(sorted(own), clip) if np.isfinite(clip) else {}


class Quantizers(NamedTuple):
    """Every scale in fixed point; a tensor in full precision is absent.

    Attributes
    ----------
    tensors : dict of str to Scales
        Of x and of what is stored: wx, wh, b, wd, bd, and ``stored.p`` of a number of each cell.
    codes : dict of str to Scales
        By encoder.
    offsets : dict of str to float32
        By encoder, and of x; one number, or one a cell or channel.
    units : dict of str to float32
        Of the sums that b and bd are added to.
    """

    tensors: dict[str, Scales]
    codes: dict[str, Scales]
    offsets: dict[str, Array]
    units: dict[str, Array]


def quantizers(params: Params, method: Method, cell: Cell) -> Quantizers:
    """Return every scale in fixed point."""
    logs, counts, found = params["scales"], method.counts, Quantizers({}, {}, {}, {})
    if not method.learns_scales:
        logs = jax.lax.stop_gradient(logs)
    given = params.get("offsets", {})

    def scales(own: Array, tensor: str, most: int = 15, offset: Any = 0.0) -> Scales:
        count, shift = counts[tensor], method.scale_form == "shift" and tensor in MERGED
        assert count is not None
        return scales_of(own, count, most=most, offset=offset, shift=shift)

    def rounded(name: str, unit: Array) -> Array:
        learned = getattr(method, f"{name}_offset") == "learned"
        value = given[name] if learned else jax.lax.stop_gradient(given[name])
        return levels_of.round_to(value, unit)

    if counts["x"] is not None:
        found.tensors["x"] = scales(logs["x"], "x", INPUT_FRACTION, given.get("x", 0.0))
        if "x" in given:
            found.offsets["x"] = rounded("x", found.tensors["x"].unit)
    numbers = {value_name(node): "stored" for node in cell.stored}
    for name, tensor in ({name: name for name in ("wx", "wh", "wd")} | numbers).items():
        if counts[tensor] is not None:
            found.tensors[name] = scales(logs[name], tensor)
    for node in cell.encoders:
        name, tensor = node.name, cell.tensor(node)
        if counts[tensor] is not None:
            each = "h" in given and node is cell.new[0]
            offset = given["h"] if each else _offset(cell, node, method)
            own = _logs(logs, cell, node)
            found.codes[name] = scales(own, tensor, _most(cell, node), offset)
            found.offsets[name] = (
                rounded("h", found.codes[name].unit) if each else jnp.asarray(offset, jnp.float32)
            )
    _add_biases(found, logs, method, cell)
    return found


def _logs(logs: Params, cell: Cell, encoder: Node) -> Array:
    """Return the logarithms [rows, 1] of an encoder's scales."""
    if encoder not in cell.gates:
        return jnp.asarray(logs[encoder.name])
    place = cell.gates.index(encoder)
    return jnp.asarray(logs["gate"][:, place : place + 1])


def _add_biases(found: Quantizers, logs: Params, method: Method, cell: Cell) -> None:
    """Add the units of the biases, and their scales where they have levels."""
    found.units.update(_bias_units(found, cell))
    for name, unit in found.units.items():
        if method.counts[name] is not None:
            found.tensors[name] = Scales(levels_of.round_to(jnp.exp(logs[name]), unit), unit)


def _offset(cell: Cell, encoder: Node, method: Method) -> float:
    """Return the offset of an encoder that learns none."""
    return method.offset_of(encoder.operands[0].kind) if encoder in cell.gates else 0.0


def _most(cell: Cell, encoder: Node) -> int:
    """Return the most fraction bits of scales: those of an input, where the next layer reads it."""
    most = INPUT_FRACTION if cell.tensor(encoder) == "h" else 15
    own = encoder.operands[0].operation == "activation"
    return min(most, FORMATS.y_fraction) if own else most


def _bias_units(found: Quantizers, cell: Cell) -> dict[str, Array]:
    """Return the units that the scales of the two biases are multiples of."""
    reads = [found.codes.get(node.name) for node in (*cell.recurrent, cell.states[0])]
    of, known = found.tensors, [scales.unit for scales in reads if scales is not None]
    if len(known) < len(reads) or not {"x", "wx", "wh", "wd"} <= set(of):
        return {"b": jnp.asarray(2.0**-30), "bd": jnp.asarray(2.0**-30)}
    state = known[0]
    for unit in known[1:-1]:
        state = jnp.minimum(state, unit)
    z = jnp.minimum(of["x"].unit * of["wx"].unit, state * of["wh"].unit)
    return {"b": z, "bd": known[-1] * of["wd"].unit}


def spread(scales: Array, value: Array) -> Array:
    """Return scales [N, G] for every row of `value` [R, ...], broadcast over the rest."""
    rows = jnp.repeat(scales, value.shape[0] // scales.shape[1], axis=1)
    return rows.reshape(*rows.shape, *[1] * (value.ndim - 1))


def stored(name: str, value: Array, q: Quantizers | None) -> Array:
    """Return what hardware stores of a weight or a bias."""
    if q is None:
        return value
    if name in q.tensors:
        return levels_of.binarize(value, spread(q.tensors[name].value, value))
    unit = q.units.get(name)
    return value if unit is None else levels_of.round_to(value, unit)


def unit_of(node: Node, q: Quantizers) -> Array:
    """Return the unit of an exact value of the cell, `QuantizedLayer.fraction`."""
    match node.operation:
        case "row":
            return q.units["b"]
        case "activation":
            return jnp.asarray(activations.Y_UNIT)
        case "product" | "sum" | "complement":
            own = jnp.stack([unit_of(operand, q) for operand in node.operands])
            return own.prod() if node.operation == "product" else own.min()
        case "stored":
            return q.tensors[value_name(node)].unit
    return q.codes[node.name].unit


def edges_of(encoder: Node, q: Quantizers, datapath: Datapath) -> list[list[Array]]:
    """Return the thresholds of a sum at which the code of its activation changes, as a tree."""
    source, own = encoder.operands[0], q.codes[encoder.name].value[:, 0]
    unit = unit_of(source.operands[0], q)
    return activations.tree(datapath, source.kind, q.offsets[encoder.name], own, unit)


def _leaves(node: Node, q: Quantizers, datapath: Datapath) -> list[Array]:
    """Return an activation of a code, or of its complement, for every code."""
    (factor,) = node.operands
    name = code_in(factor).name
    values = [q.offsets[name]]
    for scale in q.codes[name].value[:, 0]:
        values = [leaf for value in values for leaf in (value - scale, value + scale)]
    made = jnp.stack(values) if factor.is_code else 1 - jnp.stack(values)
    return list(activations.of_codes(datapath, node.kind, made))


def operands(q: Quantizers | None, form: Form, numbers: Mapping[str, Array]) -> Operands:
    """Return what `recurrence` takes; `numbers` [H] are those of each cell, by name."""
    own = {name: stored(f"stored.{name}", value, q) for name, value in numbers.items()}
    made: Operands = {"codes": {}, "leaves": {}, "stored": own}
    if q is None:
        return made
    for node in form.cell.encoders:
        if node.name not in form.coded:
            continue
        code: dict[str, Any]
        code = {"scales": q.codes[node.name].value[:, 0], "offset": q.offsets[node.name]}
        if reads_sum(node):
            code["edges"] = edges_of(node, q, form.datapath)
        made["codes"][node.name] = code
    for node in form.cell.of("activation"):
        (factor,) = node.operands
        if is_factor(factor) and code_in(factor).name in form.coded:
            made["leaves"][node.label] = _leaves(node, q, form.datapath)
    return made


def form_of(cell: Cell, method: Method, clip: float, datapath: Datapath) -> Form:
    """Return what the recurrence binarizes; the float model's gradients are not damped."""
    clips = tuple(clips_of(cell, clip).items())
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
    unit = 2.0**-INPUT_FRACTION
    rounded = jnp.floor(x / unit + 0.5) * unit - q.offsets.get("x", 0.0)
    return levels_of.binarize(rounded, q.tensors["x"].value[:, :, None, None])


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
    return recurrence(with_one(steps), weights, operands(q, form, layer["stored"]), form)


def logits(
    params: Params,
    x: Array,
    form: Form,
    readout: Readout,
    method: Method,
    kept: Array | None = None,
) -> Array:
    """Classify windows.

    Parameters
    ----------
    params : Params
    x : float32 [B, T, I]
    form : Form
        As `form_of` makes it of `method`.
    readout : "mean" or "last"
    method : Method
    kept : float32 [B, H], optional
        See `mubinn.train.graphs.projection.classified`.

    Returns
    -------
    float32 [B, C]
    """
    q = None if method.name == "float" else quantizers(params, method, form.cell)
    steps = jnp.swapaxes(encoded_input(x, q), 0, 1)
    for layer in params["layers"]:
        steps = run_layer(steps, layer, q, form)
    wd, bd = (stored(name, params[name], q) for name in ("wd", "bd"))
    return classified(steps, readout, wd, bd, kept)
