"""The pixels around each one of a frame in JAX: what layers that sweep frames read."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from mubinn.golden.cells.sweep import Sweep


def neighbours(sweep: Sweep, pixels: Array, outside: Array) -> Array:
    """Return what each pixel reads, as `Sweep.neighbours`, of pixels with windows behind them.

    Parameters
    ----------
    sweep : Sweep
    pixels : float32 [..., P, B, n]
    outside : float32 [n] or [..., 1]
        What stands outside of a frame.

    Returns
    -------
    float32 [..., P, B, taps n]

    Examples
    --------
    >>> row = jnp.arange(1.0, 4.0).reshape(3, 1, 1)
    >>> neighbours(Sweep(1, 3, 1, 3), row, jnp.zeros(1))[:, 0].tolist()
    [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 0.0]]
    """
    height, width, tall, wide = sweep.height, sweep.width, sweep.rows // 2, sweep.columns // 2
    *lead, _, windows, size = pixels.shape
    grid = pixels.reshape(*lead, height, width, windows, size)
    shape = (*lead, height + 2 * tall, width + 2 * wide, windows, size)
    padded = jnp.broadcast_to(outside, shape)
    padded = padded.at[..., tall : tall + height, wide : wide + width, :, :].set(grid)
    parts = [
        padded[..., tall + y : tall + y + height, wide + x : wide + x + width, :, :]
        for y, x in sweep.shifts
    ]
    found = jnp.concatenate(parts, axis=-1)
    return found.reshape(*lead, sweep.pixels, windows, sweep.taps * size)


def around(sweep: Sweep | None, h: Array, first: Array) -> Array:
    """Return what W_h meets, [P B, taps H], of states [P B, H]; `first` are those before a window.

    Without a sweep these are the states themselves.
    """
    if sweep is None:
        return h
    found = neighbours(sweep, h.reshape(sweep.pixels, -1, h.shape[1]), first[0])
    return found.reshape(len(h), -1)


def around_slope(sweep: Sweep | None, slope: Array, first: Array) -> Array:
    """Return the gradient of states [P B, H] of that of what `around` made of them."""
    if sweep is None:
        return slope
    (found,) = jax.vjp(lambda h: around(sweep, h, first), jnp.zeros_like(first))[1](slope)
    return jnp.asarray(found)
