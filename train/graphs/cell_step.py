"""One step of any cell in JAX, read from its equations, with straight-through gradients.

Each code takes the decision of the bit-true model: where an encoder reads an activation of a sum,
the sum is compared with the thresholds that the activation and the scales imply; an activation of a
code is looked up by the code; everything else is exact in float32. The gradient passes straight
through each binarization, with the true slope of sigmoid and tanh.

Values have names: ``old.c`` is a state before the step, ``stored.p`` a number of each cell, ``c``
what an encoder makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

from mubinn.golden.cells.constants import Datapath
from mubinn.golden.cells.graph import Cell, Node
from mubinn.golden.cells.lowering import code_in, is_factor
from mubinn.golden.cells.sweep import Sweep
from mubinn.train.graphs import activations
from mubinn.train.graphs import binarize as levels_of
from mubinn.train.graphs.binarize import Planes

Values: TypeAlias = dict[str, Array]

Operands: TypeAlias = dict[str, dict[str, Any]]
"""``codes``: by encoder that binarizes its scales [N], its offset, one or [H], its thresholds
``cuts`` where it has some in place of Algorithm 1, and where it reads an activation of a sum what
the sum is compared with, a tree ``edges``; ``leaves``: by label of an activation of a
code its value for each code, as leaves of a tree; ``stored``: the numbers [H] of each cell."""

Taps: TypeAlias = dict[str, dict[str, Any]]
"""What gradients of scales and offsets are taken at, for each element: by encoder ``scales``, an
array a level, ``offset`` where each cell has its own, and ``cuts``, an array a threshold. Their
values are not read."""


@dataclass(frozen=True)
class Form:
    """What of a cell is binarized, and how gradients are damped.

    Attributes
    ----------
    cell : Cell
    coded : frozenset of str
        Encoders that binarize; what the others read stays as it is.
    clips : tuple of (str, float)
        Bounds of the magnitude of what other encoders read.
    damp_h, damp_c : float
        Factors of the gradient carried to a state before the step, through weights and elsewhere.
    datapath : "figure3" or "threshold"
    tables : bool
        Whether numbers other than codes have activations from tables.
    sweep : Sweep or None
        Of whose pixels rows read h of those around; the windows of a step are then P B.
    late : str
        The encoder of the output, where it binarizes what rows read of it and nothing else; then it
        is none of `coded`. ``""`` for none.
    framed : bool
        Whether a step is a frame: gradients of weights are then summed step by step.
    """

    cell: Cell
    coded: frozenset[str] = frozenset()
    clips: tuple[tuple[str, float], ...] = ()
    damp_h: float = 1.0
    damp_c: float = 1.0
    datapath: Datapath = "figure3"
    tables: bool = False
    sweep: Sweep | None = None
    late: str = ""
    framed: bool = False

    @cached_property
    def heads(self) -> dict[str, Node]:
        """What is kept of each row, by its name: its activation where nothing else is needed."""
        return {row.name: self._head(row) for row in self.cell.rows}

    def _head(self, row: Node) -> Node:
        users = [node for node in self.cell.nodes if row in node.operands]
        if len(users) != 1 or users[0].operation != "activation" or self.tables:
            return row
        readers = [node for node in self.cell.nodes if users[0] in node.operands]
        return row if any(node.name in self.coded for node in readers) else users[0]

    def reads(self, phase: int) -> str:
        """Return the name of the vector that the rows of a phase multiply with W_h."""
        return value_name(self.cell.recurrent[phase])

    def made(self, phase: int) -> tuple[Node, ...]:
        """Return the encoders of a phase whose values are needed after it."""
        cell = self.cell
        lasting = {*cell.new, *cell.recurrent, *cell.kept}
        return tuple(n for n in cell.encoders if n in lasting and cell.phase(n) == phase)

    def damping(self, encoder: Node) -> float:
        """Return the factor of the gradient of old states among what an encoder reads."""
        through = encoder in self.cell.recurrent and encoder not in self.cell.new
        return self.damp_h if through else self.damp_c


def value_name(code: Node) -> str:
    """Return the name of a code among values."""
    match code.operation:
        case "state":
            return f"old.{code.name}"
        case "stored":
            return f"stored.{code.name}"
    return code.name


def reads_sum(encoder: Node) -> bool:
    """Return whether an encoder reads an activation of a row or of a sum, no code's."""
    (source,) = encoder.operands
    return source.operation == "activation" and not is_factor(source.operands[0])


def ones_like(value: Array) -> Array:
    """Return ones in the shape of `value` that the compiler does not know for ones.

    XLA fuses cheap arithmetic into every reader and so computes it anew for each. A division it
    keeps: dividing by these has a value written down once, and makes a step three times as fast.
    """
    return jnp.exp(0 * value)


@jax.custom_vjp
def _pinned(value: Array, one: Array) -> Array:
    """Return `value`, written down once."""
    return value / one


_pinned.defvjp(lambda value, one: (value / one, one), lambda one, slope: (slope / one, None))


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _damped(value: Array, factor: float) -> Array:
    """Return `value`; its gradient is multiplied by `factor`."""
    return value


_damped.defvjp(lambda value, _: (value, None), lambda factor, _, slope: (factor * slope,))


def _clipped(value: Array, bound: float) -> Array:
    return jnp.where(jnp.abs(value) <= bound, value, bound * jnp.sign(jax.lax.stop_gradient(value)))


@jax.custom_vjp
def _coded(
    centred: Array,
    planes: Planes,
    scales: Array,
    cuts: Array | None,
    taps: tuple[list[Array], list[Array]],
    one: Array,
) -> Array:
    """Return what level bits stand for, without offset; the gradient passes straight through.

    To `centred`, which they were made of, it passes within `mubinn.train.graphs.binarize.reach`; to
    the tap of a level's scale it goes with that level's sign, to that of a threshold as
    `mubinn.train.graphs.binarize.cut_slopes` says.
    """
    return levels_of.decode(planes, scales)


def _coded_forward(
    centred: Array,
    planes: Planes,
    scales: Array,
    cuts: Array | None,
    taps: tuple[list[Array], list[Array]],
    one: Array,
) -> tuple[Array, Any]:
    return levels_of.decode(planes, scales), (centred, planes, scales, cuts, one)


def _coded_backward(kept: Any, slope: Array) -> tuple[Any, ...]:
    centred, planes, scales, cuts, one = kept
    slope = slope / one
    own = [jnp.where(plane, slope, -slope) for plane in planes]
    within = jnp.where(jnp.abs(centred) <= levels_of.reach(scales), slope, 0)
    moved = [] if cuts is None else levels_of.cut_slopes(centred, scales, cuts, slope)
    return within, None, None, None, (own, moved), None


_coded.defvjp(_coded_forward, _coded_backward)


def _decoded(
    own: Mapping[str, Any],
    centred: Array,
    planes: Planes,
    taps: Mapping[str, Any],
    one: Array,
    pinned: bool,
) -> Array:
    """Return what codes of a value less its offset stand for; ``codes`` of `Operands`."""
    scales, offset, cuts = own["scales"], own["offset"], own.get("cuts")
    if "offset" in taps:
        centred = centred - taps["offset"]
    if pinned:
        centred = _pinned_slope(centred, one)
    nothing = jnp.zeros_like(one)
    levels = taps.get("scales", [nothing] * len(planes))
    moved = taps.get("cuts", [] if cuts is None else [nothing] * len(cuts))
    code = _coded(centred, planes, scales, cuts, (levels, moved), one)
    return code if offset.ndim else offset + code


def read_of(form: Form, q: Operands, name: str, value: Array, taps: Taps, one: Array) -> Array:
    """Return what rows read [..., H] of the vector `name`: codes of it, where they are `late`."""
    if not form.late or name != f"old.{form.late}":
        return value
    own, one = q["codes"][form.late], one[..., : value.shape[-1]]
    centred = value - own["offset"]
    planes = levels_of.planes_of(jax.lax.stop_gradient(centred), own["scales"], own.get("cuts"))
    return _decoded(own, centred, planes, taps.get(form.late, {}), one, True)


class Step:
    """The values of one phase of a step; see `run`."""

    def __init__(self, form: Form, q: Operands, taps: Taps, one: Array) -> None:
        self.form, self.q, self.taps, self.one = form, q, taps, one
        self.values: dict[tuple[Node, float], Array] = {}
        self.planes: dict[Node, Planes] = {}
        self.codes: Values = {}
        self.clips = dict(form.clips)

    def run(self, phase: int, heads: Values, known: Values) -> Values:
        """Return what the encoders of a phase make that is needed after it.

        Parameters
        ----------
        phase : int
        heads : dict of float32 [B, H]
            By row of the phase, what `Form.heads` says of it.
        known : dict of float32 [B, H]
            States, numbers of each cell, and codes of phases before.
        """
        self.heads = {self.form.heads[name]: value for name, value in heads.items()}
        self.codes = dict(known)
        wanted = self.form.made(phase)
        for node in wanted:
            self._code(node)
        return {node.name: self.codes[node.name] for node in wanted}

    def _code(self, node: Node) -> Array:
        """Return the value of a code."""
        name = value_name(node)
        if name not in self.codes:
            self.codes[name] = self._encoded(node)
        return self.codes[name]

    def _encoded(self, node: Node) -> Array:
        (source,), name = node.operands, node.name
        damping = self.form.damping(node)
        if name not in self.form.coded:
            value = self._value(source, damping)
            return _clipped(value, self.clips[name]) if name in self.clips else value
        own = self.q["codes"][name]
        scales, offset, cuts = own["scales"], own["offset"], own.get("cuts")
        if reads_sum(node):
            number = self._value(source.operands[0], damping)
            centred = activations.function(source.kind, number) - offset
            planes = levels_of.search(jax.lax.stop_gradient(number), own["edges"])
        else:
            value = self._value(source, damping)
            used = any(node in other.operands for other in self.form.cell.nodes)
            centred = (_pinned(value, self.one) if used else value) - offset
            planes = levels_of.planes_of(jax.lax.stop_gradient(centred), scales, cuts)
        self.planes[node] = planes
        pinned = node not in self.form.cell.gates
        return _decoded(own, centred, planes, self.taps.get(name, {}), self.one, pinned)

    def _value(self, node: Node, damping: float) -> Array:
        """Return a value; old states that it is made of have their gradient damped."""
        key = node, damping
        if key not in self.values:
            self.values[key] = self._made(node, damping)
        return self.values[key]

    def _made(self, node: Node, damping: float) -> Array:
        if node in self.heads:
            return self.heads[node]
        if node.operation == "state":
            return _damped(self.codes[value_name(node)], damping)
        if node.is_code:
            return self._code(node)
        own = [self._value(operand, damping) for operand in node.operands]
        match node.operation:
            case "activation":
                return self._activated(node, own[0])
            case "product":
                return own[0] * own[1]
            case "complement":
                return 1 - own[0]
        return jnp.asarray(sum(own[1:], start=own[0]))

    def _activated(self, node: Node, value: Array) -> Array:
        """Return an activation of a code, or of a number that goes on as one."""
        (source,) = node.operands
        code = code_in(source) if is_factor(source) else None
        if code is None or code.name not in self.form.coded:
            if code is None and self.form.tables:
                return activations.shaped(node.kind, activations.looked_up(node.kind, value), value)
            return activations.function(node.kind, value)
        if code in self.planes:
            found = levels_of.pick(self.planes[code], self.q["leaves"][node.label])
        elif self.form.datapath == "figure3":
            found = activations.looked_up(node.kind, value)
        else:
            found = activations.function(node.kind, value)
        return activations.shaped(node.kind, jax.lax.stop_gradient(found), value)


@jax.custom_vjp
def _pinned_slope(value: Array, one: Array) -> Array:
    """Return `value`; its gradient is written down once."""
    return value


_pinned_slope.defvjp(lambda value, one: (value, one), lambda one, slope: (slope / one, None))


def first_states(form: Form, q: Operands, nothing: Array, outputs: int) -> list[Array]:
    """Return the states before the first step: the codes of `nothing`, 0 [B, H].

    The cell has `outputs` of them.
    """
    found = []
    for node in form.cell.states:
        zero = nothing[:, :outputs] if form.cell.is_projected(node) else nothing
        if node.name not in form.coded:
            found.append(zero)
            continue
        own = q["codes"][node.name]
        scales, offset = own["scales"], own["offset"]
        planes = levels_of.planes_of(zero - offset, scales, own.get("cuts"))
        code = levels_of.decode(planes, scales)
        found.append(code if offset.ndim else offset + code)
    return found


def numbers_of(q: Operands, like: Array) -> Values:
    """Return the numbers of each cell in the shape of `like` [B, H], by the names of values."""
    return {
        f"stored.{name}": jnp.broadcast_to(value, like.shape) for name, value in q["stored"].items()
    }


def taps_of(form: Form, q: Operands, nothing: Array, outputs: int) -> Taps:
    """Return taps of every encoder that binarizes, as `first_states` has states."""
    found: Taps = {}
    projected = {n.name for n in form.cell.encoders if form.cell.is_projected(n)}
    for name in sorted(form.coded | ({form.late} - {""})):
        own, zero = q["codes"][name], nothing[:, :outputs] if name in projected else nothing
        found[name] = {"scales": [zero] * len(own["scales"])}
        if own["offset"].ndim:
            found[name]["offset"] = zero
        if "cuts" in own:
            found[name]["cuts"] = [zero] * len(own["cuts"])
    return found


def gathered(q: Operands, taps: Mapping[str, Any], numbers: Values) -> Operands:
    """Return the gradients of operands that sums over elements of taps and numbers give."""
    found: Operands = jax.tree.map(jnp.zeros_like, q)
    for name in q["stored"]:
        found["stored"][name] = numbers[f"stored.{name}"].sum(axis=0)
    for name, own in taps.items():
        found["codes"][name]["scales"] = jnp.stack([total.sum() for total in own["scales"]])
        if "offset" in own:
            found["codes"][name]["offset"] = own["offset"].sum(axis=0)
        if "cuts" in own:
            found["codes"][name]["cuts"] = jnp.stack([total.sum() for total in own["cuts"]])
    return found
