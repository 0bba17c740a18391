"""Products of signs on a GPU: XNOR and population counts, as one Pallas kernel.

What `mubinn.golden.kernels.products.XnorProduct` does on the CPU. Words of 32 signs stand along the
first axis, so that neighbouring threads read neighbouring words. Without a GPU the kernel runs in
Pallas' interpret mode, which is for tests: it is slow.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

WORD = 32
"""Signs of a word."""

BLOCK = 64
"""Rows and columns of products that a program of the grid makes."""

_triton: Any = triton
_COMPILER = getattr(_triton, "CompilerParams", None) or _triton.TritonCompilerParams  # before 0.7


def pack(x: jax.Array) -> jax.Array:
    """Return the signs of rows [M, n] as words, int32 [n / 32, M], filled up to whole blocks.

    Bit 1 stands for ``x >= 0``; the first sign is in the low bit, and what is filled up is 0.
    """
    rows, size = x.shape
    bits = jnp.pad(x >= 0, ((0, -rows % BLOCK), (0, -size % WORD)))
    fields = bits.reshape(len(bits), -1, WORD).astype(jnp.uint32)
    fields <<= jnp.arange(WORD, dtype=jnp.uint32)
    return lax.bitcast_convert_type(fields.sum(axis=2, dtype=jnp.uint32), jnp.int32).T


@partial(jax.jit, static_argnames=("outputs", "interpret"))
def xnor_product(
    x: jax.Array, weights: jax.Array, *, outputs: int, interpret: bool = False
) -> jax.Array:
    """Return the dot products of the signs of rows with packed signs, int32 [M, R].

    Parameters
    ----------
    x : float32 [M, n]
        Packed in the call; the sign of 0 is +1.
    weights : int32 [n / 32, R]
        From `pack`.
    outputs : int
        R, without what `pack` filled up.
    interpret : bool
        Run step by step, where there is no GPU.

    Examples
    --------
    >>> signs = jnp.array([[1.0, 1.0, -1.0], [-1.0, -1.0, -1.0]])
    >>> rows = jnp.array([[0.5, -2.0, 0.0]])
    >>> xnor_product(rows, pack(signs), outputs=2, interpret=True).tolist()
    [[-1, -1]]
    """
    size, rows = x.shape[1], pack(x)
    words, height = rows.shape
    shape: Any = jax.ShapeDtypeStruct
    made: jax.Array = pl.pallas_call(
        partial(_block, size=size),
        out_shape=shape((height, weights.shape[1]), jnp.int32),
        grid=(height // BLOCK, weights.shape[1] // BLOCK),
        in_specs=[
            pl.BlockSpec((words, BLOCK), lambda i, j: (0, i)),
            pl.BlockSpec((words, BLOCK), lambda i, j: (0, j)),
        ],
        out_specs=pl.BlockSpec((BLOCK, BLOCK), lambda i, j: (i, j)),
        compiler_params=_COMPILER(),
        interpret=interpret,
    )(rows, weights)
    return made[: len(x), :outputs]


def _block(rows: Any, columns: Any, out: Any, *, size: int) -> None:
    """Fill a block of products, of which each sum stays in a register."""

    def add(k: Any, counts: Any) -> Any:
        return counts + lax.population_count(rows[k, :][:, None] ^ columns[k, :][None, :])

    counts = lax.fori_loop(0, rows.shape[0], add, jnp.zeros(out.shape, jnp.int32))
    out[:, :] = size - 2 * counts
