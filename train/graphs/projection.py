"""Products of a recurrence with its weights, and their gradients, as XLA's CPU does them fast.

A step's inputs stand beside its state, and a bias is the weight of one more input that is always 1,
so that a step is one product and no array of pre-activations is written before the recurrence.

The gradient of a weight is a sum over steps and windows, ``dz^T x``. XLA on the CPU multiplies with
the right operand as it lies and writes a transposed copy of the left one: as ``(x^T dz)^T`` that is
a copy of x in the place of one of dz, which is several times as large.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from mubinn.golden.model.head import Reading, Readout, reading_of
from mubinn.train.graphs.binarize import round_to


def weight_gradient(x: Array, dz: Array) -> Array:
    """Return the sum over steps and windows of ``dz x^T``.

    Parameters
    ----------
    x : float32 [T, B, I]
    dz : float32 [T, B, R]

    Returns
    -------
    float32 [R, I]
    """
    return jnp.einsum("tbi,tbr->ir", x, dz).T


def with_one(x: Array) -> Array:
    """Return x [T, B, I] with one more input that is 1."""
    return jnp.concatenate([x, jnp.ones((*x.shape[:2], 1), x.dtype)], axis=2)


def side_by_side(wh: Array, wx: Array, b: Array) -> Array:
    """Return the weights of a state beside its inputs, [R, H + I + 1], for `with_one`.

    Parameters
    ----------
    wh : float32 [R, H]
    wx : float32 [R, I]
    b : float32 [R]
    """
    return jnp.concatenate([wh, wx, b[:, None]], axis=1)


def classified(
    h: Array,
    readout: Readout,
    wd: Array,
    bd: Array,
    kept: Array | None,
    skipped: int = 0,
    unit: Array | None = None,
) -> Array:
    """Return the numbers that the dense layer makes of h.

    float32 [B, C], or [B, T - skipped, C] at every step.

    Parameters
    ----------
    h : float32 [T, B, H]
    readout : str
    wd : float32 [C, H]
    bd : float32 [C]
    kept : float32 [B, H] or None
        Factors of what is read of h, for dropout in training.
    skipped : int
        First steps of which there are to be no numbers, where each has some.
    unit : float32 [] or None
        Of the integers that hardware has: a leaky mean is rounded down as theirs is, the gradient
        passing straight through.
    """
    reading = reading_of(readout)
    if reading.leak:
        read = h if kept is None else h * kept
        return _leaky(read @ wd.T + bd, reading, skipped, unit)
    if reading.each:
        seen = jnp.swapaxes(h, 0, 1)
        if reading.sums:
            seen = seen.cumsum(axis=1) / reading.divisor(len(h)).astype(np.float32)
        seen = seen[:, _given(reading, len(h), skipped)]
        kept = None if kept is None else kept[:, None]
    else:
        seen = h.mean(axis=0) if reading.sums else h[-1]
    return jnp.asarray((seen if kept is None else seen * kept) @ wd.T + bd)


def _given(reading: Reading, steps: int, skipped: int) -> slice | Array:
    """Return which of the steps have results that are wanted."""
    if reading.every == 1:
        return slice(skipped, None)
    chosen = reading.given(steps)
    return jnp.asarray(chosen[chosen >= skipped])


def _leaky(values: Array, reading: Reading, skipped: int, unit: Array | None) -> Array:
    """Return leaky means of numbers [T, B, C] as `classified` does."""
    share = 1.0 / (1 << reading.leak)
    if unit is not None:
        values = round_to(values, unit)

    def step(total: Array, now: Array) -> tuple[Array, Array]:
        kept = total * share
        if unit is not None:
            kept = kept + lax.stop_gradient(jnp.floor(kept / unit) * unit - kept)
        total = total + (now - kept)
        return total, total * share

    last, means = lax.scan(step, jnp.zeros_like(values[0]), values)
    last = last * share
    if not reading.each:
        return jnp.asarray(last)
    return jnp.swapaxes(means, 0, 1)[:, _given(reading, len(values), skipped)]
