"""The scales, offsets and units of a network's graph in fixed point, and what hardware stores.

Parameters know tensors by name: those of the first layer as they are, ``wx``, those of the others
with the layer's number, ``1.wx``. A layer above the first has the x of the layer below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mubinn.golden.binarize.rules import Rule
from mubinn.golden.cells.constants import INPUT_FRACTION, Datapath
from mubinn.golden.cells.graph import Cell, Node
from mubinn.golden.cells.lowering import code_in, is_factor
from mubinn.golden.cells.sizes import Sizes
from mubinn.train.graphs import activations
from mubinn.train.graphs import binarize as levels_of
from mubinn.train.graphs.activations import FORMATS
from mubinn.train.graphs.binarize import Scales, scales_of
from mubinn.train.graphs.cell_step import Form, Operands, reads_sum, value_name
from mubinn.train.recipes.matrices import matrices, places_of, sizes_of
from mubinn.train.recipes.method import MERGED, Method
from mubinn.train.recipes.stack import LayerKind, at, stage_places


class Quantizers(NamedTuple):
    """The scales of a layer in fixed point, or of the classifier.

    A tensor in full precision is absent.

    Attributes
    ----------
    tensors : dict of str to Scales
        Of x and of what is stored: `Matrix`, b, ``stored.p`` of a number of each cell; wd, bd.
    codes : dict of str to Scales
        By encoder.
    offsets : dict of str to float32
        By encoder, and of x; one number, or one a cell or channel.
    units : dict of str to float32
        Of the sums that b or bd is added to.
    """

    tensors: dict[str, Scales]
    codes: dict[str, Scales]
    offsets: dict[str, Array]
    units: dict[str, Array]


FINE = 2.0**-30
"""Unit of a sum of which something stays in full precision."""


class Network(NamedTuple):
    """The quantizers of all layers and of the classifier."""

    layers: tuple[Quantizers, ...]
    dense: Quantizers


class _Maker:
    """Makes quantizers of parameters; see `quantizers`."""

    def __init__(self, params: Mapping[str, Any], method: Method) -> None:
        self.layers, self.cuts = params["layers"], params.get("cuts", {})
        logs = params["scales"]
        self.logs = logs if method.learns_scales else jax.lax.stop_gradient(logs)
        self.given, self.method = params.get("offsets", {}), method

    def scales(
        self,
        logs: Array,
        tensor: str,
        most: int = 15,
        offset: Any = 0.0,
        reach: Array | None = None,
    ) -> Scales:
        """Return the scales [N, G] of a tensor by their logarithms, and `reach` of its rule."""
        count = self.method.counts[tensor]
        shift = self.method.scale_form == "shift" and tensor in MERGED
        assert count is not None
        rule = self.method.rule(tensor)
        about: dict[str, Any] = {"shift": shift, "rule": rule, "reach": reach}
        return scales_of(logs, count, most=most, offset=offset, **about)

    def reach(self, name: str, tensor: str, values: Array | None = None) -> Array | None:
        """Return the highest threshold of a rule, None where it has none but 0.

        It is learned, or stays what it was, or is the rule's of the present `values`.
        """
        rule = self.method.rule(tensor)
        if rule is None or rule.factor is None:
            return None
        if name in self.cuts:
            learned = self.method.thresholds == "learned"
            return jnp.exp(self.cuts[name] if learned else jax.lax.stop_gradient(self.cuts[name]))
        assert values is not None
        return jax.lax.stop_gradient(values.mean() + rule.factor * values.std())

    def _groups(self, rows: int, values: Array) -> int:
        return self.method.groups(rows, len(values) // rows) if rows else 0

    def offset(self, name: str, kind: str, unit: Array) -> Array:
        """Return the offsets `name`, one a channel or cell; `kind` is x or h."""
        learned = getattr(self.method, f"{kind}_offset") == "learned"
        value = self.given[name] if learned else jax.lax.stop_gradient(self.given[name])
        return levels_of.round_to(value, unit)

    def input(self) -> Quantizers:
        """Return the quantizers of the network's input alone."""
        found = Quantizers({}, {}, {}, {})
        if self.method.counts["x"] is not None:
            given = self.given.get("x", 0.0)
            reach = self.reach("x", "x")
            found.tensors["x"] = self.scales(self.logs["x"], "x", INPUT_FRACTION, given, reach)
            if "x" in self.given:
                found.offsets["x"] = self.offset("x", "x", found.tensors["x"].unit)
        return found

    def layer(
        self, place: int, cell: Cell, source: Quantizers, beside: Quantizers | None
    ) -> Quantizers:
        """Return the quantizers of a layer, those of its input, `source`, among them.

        The output's are those of the layer `beside` it where there is one.
        """
        found = Quantizers(dict(source.tensors), {}, dict(source.offsets), {})
        counts = self.method.counts
        tensors = {"wx": "wx", "wh": "wh", "wr": "wh"}
        own, rows = self.layers[place], {k: len(places_of(cell, k)) for k in matrices(cell)}
        weights: dict[str, str] = {name: tensors[name] for name in rows if rows[name]}
        weights |= {value_name(node): "stored" for node in cell.stored}
        values: dict[str, Array] = {name: own[name] for name in rows}
        groups: dict[str, int] = {name: self._groups(rows[name], own[name]) for name in rows}
        values |= {value_name(node): own["stored"][node.name] for node in cell.stored}
        for name, tensor in weights.items():
            if counts[tensor] is not None:
                reach = self.reach(at(place, name), tensor, values[name])
                about = tensor, values[name], reach, groups.get(name, 1)
                logs = weight_logs(self.method, self.logs.get(at(place, name)), *about)
                found.tensors[name] = self.scales(logs, tensor, reach=reach)
        for node in cell.encoders:
            if counts[cell.tensor(node)] is None:
                continue
            if beside is not None and node is cell.new[0]:
                found.codes[node.name] = beside.codes[node.name]
                found.offsets[node.name] = beside.offsets[node.name]
            else:
                self._encoder(found, place, cell, node)
        found.units["b"] = _sum_unit(found, cell)
        self.bias(found, at(place, "b"), "b")
        if "b" in found.tensors and cell.projects:
            found.tensors["b"] = _of_rows(found.tensors["b"], sizes_of(cell, own))
        return found

    def _encoder(self, found: Quantizers, place: int, cell: Cell, node: Node) -> None:
        name, output = node.name, at(place, "h")
        each = output in self.given and node is cell.new[0]
        offset = self.given[output] if each else _offset(cell, node, self.method)
        tensor, logs = cell.tensor(node), self._logs(place, cell, node)
        reach = self.reach(at(place, name), tensor)
        own = self.scales(logs, tensor, _most(cell, node), offset, reach)
        found.codes[name] = own
        found.offsets[name] = (
            self.offset(output, "h", own.unit) if each else jnp.asarray(offset, jnp.float32)
        )

    def _logs(self, place: int, cell: Cell, encoder: Node) -> Array:
        """Return the logarithms [rows, 1] of an encoder's scales."""
        if encoder not in cell.gates:
            return jnp.asarray(self.logs[at(place, encoder.name)])
        gate = cell.gates.index(encoder)
        return jnp.asarray(self.logs[at(place, "gate")][:, gate : gate + 1])

    def dense(self, h: Scales | None) -> Quantizers:
        """Return the quantizers of the classifier, which reads codes of the scales `h`."""
        found = Quantizers({}, {}, {}, {})
        if self.method.counts["wd"] is not None:
            found.tensors["wd"] = self.scales(self.logs["wd"], "wd")
        found.units["bd"] = jnp.asarray(FINE)
        if h is not None and "wd" in found.tensors:
            found.units["bd"] = h.unit * found.tensors["wd"].unit
        self.bias(found, "bd", "bd")
        return found

    def bias(self, found: Quantizers, stored_as: str, name: str) -> None:
        """Add the scales of a bias where it has levels."""
        if self.method.counts[name] is not None:
            unit, logs = found.units[name], self.logs[stored_as]
            found.tensors[name] = Scales(levels_of.round_to(jnp.exp(logs), unit), unit)


def quantizers(params: Mapping[str, Any], method: Method, kinds: Sequence[LayerKind]) -> Network:
    """Return every scale in fixed point; a layer's x is the output of those below it."""
    maker = _Maker(params, method)
    layers: list[Quantizers] = []
    source = maker.input()
    for stage in stage_places(kinds):
        for place in stage:
            beside = layers[stage[0]] if place > stage[0] else None
            layers.append(maker.layer(place, kinds[place].cell, source, beside))
        source, name = Quantizers({}, {}, {}, {}), kinds[stage[0]].cell.states[0].name
        if name in layers[-1].codes:
            source.tensors["x"] = layers[-1].codes[name]
            source.offsets["x"] = layers[-1].offsets[name]
    return Network(tuple(layers), maker.dense(source.tensors.get("x")))


def _of_rows(scales: Scales, sizes: Sizes) -> Scales:
    """Return scales [N, R] of the rows of a cell as those of all their numbers."""
    counts = np.array(sizes.row_counts)
    value = jnp.repeat(scales.value, counts, axis=1, total_repeat_length=sizes.rows)
    return scales._replace(value=value)


def weight_logs(
    method: Method,
    learned: Array | None,
    tensor: str,
    values: Array,
    reach: Array | None,
    groups: int,
) -> Array:
    """Return the logarithms [rows, groups] of the scales of weights [R, ...].

    `learned` are those among the parameters, `reach` is the highest threshold of the tensor's rule.
    """
    if method.weight_scales == "learned":
        return jnp.asarray(learned)
    rule = method.rule(tensor)
    units = jnp.asarray((1,) if rule is None else rule.units, jnp.float32)
    if method.weight_scales == "none":
        return -jnp.log(units.sum()).reshape(1, 1)
    parts = jax.lax.stop_gradient(values).reshape(groups, -1)
    return jnp.log(jnp.maximum(_least_squares(parts, units, rule, reach), 1e-6))


def _least_squares(parts: Array, units: Array, rule: Rule | None, reach: Array | None) -> Array:
    """Return the last scale [1, G] of groups [G, n] with the least squared error.

    `units` [N] are the scales in units of it.
    """
    cuts = None if rule is None or reach is None else reach * rule.cuts.astype(np.float32)
    own = units[:, None, None]
    made = levels_of.decode(levels_of.planes_of(parts, own, cuts), own)
    squares = jnp.maximum(jnp.square(made).sum(axis=1), 1)
    return jnp.maximum((parts * made).sum(axis=1) / squares, 0)[None]


def _offset(cell: Cell, encoder: Node, method: Method) -> float:
    """Return the offset of an encoder that learns none."""
    return method.offset_of(encoder.operands[0].kind) if encoder in cell.gates else 0.0


def _most(cell: Cell, encoder: Node) -> int:
    """Return the most fraction bits of scales: those of an input, where the next layer reads it."""
    most = INPUT_FRACTION if cell.tensor(encoder) == "h" else 15
    own = encoder.operands[0].operation == "activation"
    return min(most, FORMATS.y_fraction) if own else most


def _sum_unit(found: Quantizers, cell: Cell) -> Array:
    """Return the unit that the scales of a layer's bias are multiples of.

    Rows that read no state have weights of 0 for it, stored without fraction bits.
    """
    of, reads = found.tensors, [found.codes.get(node.name) for node in cell.recurrent]
    known = [scales.unit for scales in reads if scales is not None]
    stored_here = {"x", *(name for name in matrices(cell) if places_of(cell, name))}
    if len(known) < len(reads) or not stored_here <= set(of):
        return jnp.asarray(FINE)
    state = known[0]
    for unit in known[1:]:
        state = jnp.minimum(state, unit)
    units = [of[name].unit for name in ("wh", "wr") if name in of]
    for unit in units[1:]:
        units[0] = jnp.minimum(units[0], unit)
    recurrent = state * units[0] if units else state
    return jnp.minimum(of["x"].unit * of["wx"].unit, recurrent)


def spread(scales: Array, value: Array) -> Array:
    """Return scales [N, G] for every row of `value` [R, ...], broadcast over the rest."""
    rows = jnp.repeat(scales, value.shape[0] // scales.shape[1], axis=1)
    return rows.reshape(*rows.shape, *[1] * (value.ndim - 1))


def stored(name: str, value: Array, q: Quantizers | None) -> Array:
    """Return what hardware stores of a weight or a bias."""
    if q is None:
        return value
    if name in q.tensors:
        scales = q.tensors[name]
        return levels_of.binarize(value, spread(scales.value, value), scales.cuts)
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
    source, scales = encoder.operands[0], q.codes[encoder.name]
    unit, own = unit_of(source.operands[0], q), scales.value[:, 0]
    about = q.offsets[encoder.name], own, unit, scales.cuts
    return activations.tree(datapath, source.kind, *about)


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
        if node.name not in form.coded and node.name != form.late:
            continue
        code: dict[str, Any]
        code = {"scales": q.codes[node.name].value[:, 0], "offset": q.offsets[node.name]}
        cuts = q.codes[node.name].cuts
        if cuts is not None:
            code["cuts"] = cuts
        if reads_sum(node):
            code["edges"] = edges_of(node, q, form.datapath)
        made["codes"][node.name] = code
    for node in form.cell.of("activation"):
        (factor,) = node.operands
        if is_factor(factor) and code_in(factor).name in form.coded:
            made["leaves"][node.label] = _leaves(node, q, form.datapath)
    return made
