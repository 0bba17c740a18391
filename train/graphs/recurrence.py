"""The recurrence of any cell over time, with a gradient that is derived from its step.

Forward a scan keeps the sums of the rows and the states, and nothing else. The gradient is one scan
backward: each step is computed again from them and differentiated (`jax.vjp`, phase by phase), so
that no product with weights is. The gradient of the weights is one product over all steps
afterwards, where automatic differentiation of the scan makes one small product and sum a step.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

from mubinn.train.graphs import activations
from mubinn.train.graphs.cell_step import (
    Form,
    Operands,
    Step,
    Taps,
    Values,
    first_states,
    gathered,
    numbers_of,
    ones_like,
    read_of,
    taps_of,
    value_name,
)
from mubinn.train.graphs.pixels import around, around_slope
from mubinn.train.graphs.projection import weight_gradient

Weights: TypeAlias = tuple[Array, ...]
"""Of each phase [R, V + I + 1]: of the vector that its rows read, of the inputs, and the bias."""


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def recurrence(x: Array, w: Weights, q: Operands, form: Form) -> Array:
    """Return the output of every step.

    Parameters
    ----------
    x : float32 [T, B, I + 1]
        Inputs without their offset, `mubinn.train.graphs.projection.with_one`.
    w : tuple of float32 [R, V + I + 1]
        Weights and bias of the rows of each phase `side_by_side`, of the V numbers that they read
        and of the inputs, 0 where a row leaves something
        out, offsets of x and of the output folded into the bias.
    q : Operands
    form : Form

    Returns
    -------
    float32 [T, B, H], or [T, B, P] of a projection
        Without the offset, where each cell has its own.
    """
    return _forward(x, w, q, form)[0]


def _heads(form: Form, phase: int, z: Array) -> Values:
    """Return what is kept of the sums of a phase, by row."""
    rows = form.cell.phase_nodes[phase]
    heads = {}
    for row, part in zip(rows, jnp.split(z, len(rows), axis=1), strict=True):
        head = form.heads[row.name]
        known = head.operation == "activation"
        heads[row.name] = activations.function(head.kind, part) if known else part
    return heads


def _kept_states(form: Form) -> list[str]:
    """Return the names of the states that are kept for the gradient, the output apart."""
    return [value_name(node) for node in form.cell.states[1:]]


def _ones(form: Form, one: Array, outputs: int) -> list[Array]:
    """Return `one` [B, H] in the shape of what each phase makes."""
    return [one[:, :outputs] if rows[0].projects else one for rows in form.cell.phase_nodes]


def _forward(x: Array, w: Weights, q: Operands, form: Form) -> tuple[Array, Any]:
    """Run the recurrence; return the outputs and what their gradient needs, all [T, B, ...]."""
    cell = form.cell
    rows = [own.T for own in w]
    inputs, hidden = x.shape[2], w[0].shape[0] // len(cell.phase_nodes[0])
    outputs = w[-1].shape[0] // len(cell.phase_nodes[-1]) if cell.projects else hidden
    nothing = jnp.zeros((x.shape[1], hidden), x.dtype)
    start = first_states(form, q, nothing, outputs)
    one = ones_like(x[0] @ rows[0][-inputs:, :hidden])
    ones = _ones(form, one, outputs)
    outside = read_of(form, q, form.reads(0), start[0], {}, one)
    names = [value_name(node) for node in cell.states]
    numbers = numbers_of(q, nothing)

    def step(states: list[Array], now: Array) -> tuple[list[Array], Any]:
        known = dict(zip(names, states, strict=True)) | numbers
        kept: Values = {name: known[name] for name in _kept_states(form)}
        heads: Values = {}
        for phase, own in enumerate(rows):
            name = form.reads(phase)
            read = read_of(form, q, name, known[name], {}, ones[phase])
            met = around(form.sweep, read, outside)
            z = jnp.concatenate([met, now], axis=1) @ own
            made = _heads(form, phase, z)
            heads |= made
            known |= Step(form, q, {}, ones[phase]).run(phase, made, known)
        new = [known[node.name] for node in cell.states]
        return new, (new[0], heads, kept)

    output, heads, kept = jax.lax.scan(step, start, x)[1]
    return output, (heads, kept)


def _forward_rule(x: Array, w: Weights, q: Operands, form: Form) -> tuple[Array, Any]:
    output, kept = _forward(x, w, q, form)
    return output, (output, kept, x, w, q)


class _Back:
    """One step backward."""

    def __init__(
        self,
        form: Form,
        q: Operands,
        wh: list[Array],
        taps: Taps,
        ones: list[Array],
        first: Array,
    ) -> None:
        self.form, self.q, self.wh, self.taps, self.ones = form, q, wh, taps, ones
        self.first = first
        self.phases = range(len(form.cell.phase_nodes))

    def run(
        self, heads: Values, known: Values, slopes: Values
    ) -> tuple[Values, list[Array], Taps, Values]:
        """Return the gradients of old states, of the sums of each phase and of taps, and codes.

        `heads` and `known` are those of the forward step, `slopes` the gradients of new states.
        """
        found: list[Any] = []
        for phase in self.phases:
            own = {row.name: heads[row.name] for row in self.form.cell.phase_nodes[phase]}
            taps = self._taps(phase)

            def values(heads: Values, known: Values, taps: Taps, phase: int = phase) -> Values:
                return Step(self.form, self.q, taps, self.ones[phase]).run(phase, heads, known)

            made, back = jax.vjp(values, own, known, taps)
            found.append((made, back))
            known = known | made
        sums: list[Array] = []
        taken: Taps = {}
        for phase in reversed(self.phases):
            made, back = found[phase]
            wanted = {n: slopes.get(n, jnp.zeros_like(value)) for n, value in made.items()}
            of_heads, of_known, of_taps = back(wanted)
            taken |= of_taps
            dz = self._of_sums(phase, heads, of_heads)
            sums.insert(0, dz)
            for name, slope in of_known.items():
                slopes = _added(slopes, name, slope)
            read = self.form.reads(phase)
            damping = self.form.damp_h if read.startswith("old.") else 1.0
            slope = around_slope(self.form.sweep, dz @ self.wh[phase], self.first)
            if read in known:
                slope, of_codes = self._of_read(phase, known[read], slope)
                taken |= of_codes
            slopes = _added(slopes, read, damping * slope)
        return slopes, sums, taken, known

    def _taps(self, phase: int) -> Taps:
        cell = self.form.cell
        own = {node.name for node in cell.encoders if cell.phase(node) == phase}
        own -= {self.form.late}
        return {name: taps for name, taps in self.taps.items() if name in own}

    def _of_read(self, phase: int, value: Array, slope: Array) -> tuple[Array, Taps]:
        """Return the gradients of a vector and of taps of its codes, by that of what rows read."""
        name = self.form.reads(phase)
        late = self.form.late
        if not late or name != f"old.{late}":
            return slope, {}

        def read(value: Array, taps: Taps) -> Array:
            return read_of(self.form, self.q, name, value, taps, self.ones[phase])

        of_value, of_taps = jax.vjp(read, value, {late: self.taps[late]})[1](slope)
        return of_value, of_taps

    def _of_sums(self, phase: int, heads: Values, of_heads: Values) -> Array:
        parts = []
        for row in self.form.cell.phase_nodes[phase]:
            head, slope = self.form.heads[row.name], of_heads[row.name]
            if head.operation == "activation":
                slope = slope * activations.slope(head.kind, heads[row.name])
            parts.append(slope)
        return jnp.concatenate(parts, axis=1)


def _added(slopes: Values, name: str, slope: Array) -> Values:
    return slopes | {name: slopes[name] + slope if name in slopes else slope}


def _backward_rule(form: Form, kept: Any, slope: Array) -> tuple[Array, Weights, Operands]:
    output, (heads, states), x, w, q = kept
    cell, inputs, outputs = form.cell, x.shape[2], output.shape[2]
    wh = [own[:, :-inputs] for own in w]
    one = ones_like(next(iter(heads.values()))[0])
    zero = jnp.zeros_like(one)
    of_output = jnp.zeros_like(output[0])
    first = first_states(form, q, zero, outputs)
    before = jnp.concatenate([first[0][None], output[:-1]])
    taps = taps_of(form, q, zero, outputs)
    ones = _ones(form, one, outputs)
    back = _Back(form, q, wh, taps, ones, first[0])
    out = cell.states[0]
    if out in cell.kept or form.late:
        states = states | {value_name(out): before}
    numbers = numbers_of(q, zero)
    made = {form.reads(phase) for phase in back.phases} - {value_name(n) for n in cell.states}

    empty = [of_output, *[zero] * (len(cell.states) - 1)]

    def step(carry: Any, now: Any) -> tuple[Any, Any]:
        slopes, (sums, totals) = carry
        here, heads, known = now
        named = {node.name: s for node, s in zip(cell.states, slopes, strict=True)}
        named[out.name] = _pinned_sum(named[out.name], here, one[:, :outputs])
        found, dz, own, codes = back.run(heads, known | numbers, named)
        carried = [
            found.get(value_name(node), none) for node, none in zip(cell.states, empty, strict=True)
        ]
        reads = {name: codes[name] for name in made}
        own_numbers = {name: found[name] for name in numbers}
        added = jax.tree.map(jnp.add, (sums, totals), (own, own_numbers))
        return (carried, added), (dz, reads)

    start = empty, (taps, dict.fromkeys(numbers, zero))
    (_, (sums, totals)), (dz, reads) = jax.lax.scan(
        step, start, (slope, heads, states), reverse=True
    )
    name = value_name(out)
    met = read_of(form, q, name, before, {}, ones[0])
    outside = read_of(form, q, name, first[0], {}, ones[0])
    reads = states | reads | {name: met}
    dw = tuple(
        _weight_gradient(form, reads[form.reads(phase)], x, dz[phase], outside)
        for phase in back.phases
    )
    dx = sum(own @ weights[:, -inputs:] for own, weights in zip(dz, w, strict=True))
    return jnp.asarray(dx), dw, gathered(q, sums, totals)


def _weight_gradient(form: Form, read: Array, x: Array, dz: Array, first: Array) -> Array:
    """Return the gradient of the weights of a phase, whose rows have `read` a state or another.

    Of frames it is summed one by one: what all pixels of all frames read of those around them is
    many times the states, and took most of a step's time to be written down.
    """
    if not form.framed:
        return weight_gradient(jnp.concatenate([read, x], axis=2), dz)

    def added(total: Array, frame: tuple[Array, Array, Array]) -> tuple[Array, None]:
        states, inputs, slopes = frame
        met = jnp.concatenate([around(form.sweep, states, first), inputs], axis=1)
        return total + weight_gradient(met[None], slopes[None]), None

    columns = (form.sweep.around if form.sweep else 1) * read.shape[2] + x.shape[2]
    nothing = jnp.zeros((dz.shape[2], columns), x.dtype)
    return jnp.asarray(jax.lax.scan(added, nothing, (read, x, dz))[0])


def _pinned_sum(carried: Array, here: Array, one: Array) -> Array:
    return (carried + here) / one


recurrence.defvjp(_forward_rule, _backward_rule)
