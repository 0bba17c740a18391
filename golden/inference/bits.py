"""Fast inference with level bits in words: XNOR and population counts in the place of a matrix.

The dot product of two planes of signs is ``n - 2 popcount(a ^ b)``, so a row of z is

    ``z = start + sum_ij gains_ij popcount(h_i ^ wh_j) + the same of x``,  ``gains = -2 g_ij``,

Eq. (9) with 32 elements a word. `mubinn.golden.inference.loops` runs it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.inference.compiled import kernels
from mubinn.golden.inference.input import Array, InputTables, unit
from mubinn.golden.inference.loops import GROUP, WORD
from mubinn.golden.inference.tables import LayerTables
from mubinn.golden.model.quantized_model import QuantizedModel

LIMIT = 1 << 30
"""Sums stay below it, so that int32 holds them and the difference of two."""


@dataclass(frozen=True, eq=False)
class BitTables:
    """One layer, ready for `run_layer` of the loops, whose `rows` and `cell` it holds.

    Attributes
    ----------
    layer : QuantizedLayer
    rows, cell : tuple
    c_zero : int
    h_zero : uint32 [L, n_h, 1]
        Levels of the first state.
    """

    layer: QuantizedLayer
    rows: Any
    cell: Any
    c_zero: int
    h_zero: Array

    @classmethod
    def of(cls, layer: QuantizedLayer, tables: LayerTables, planes: int) -> "BitTables | None":
        """Return the tables; None where sums might reach `LIMIT` or c has no table.

        There are `planes` levels of x and h in words, of which the layer may use less.
        """
        if tables.c_table is None or 3 * layer.z_bound >= LIMIT:
            return None
        gains, start = _gains(layer)
        first = padded(tables.gates.first, LIMIT)
        return cls(
            layer,
            (start.astype(np.int32), _words(layer), gains, first.astype(np.int32), _sizes(layer)),
            _cell(layer, tables),
            tables.c_zero,
            pack_words(layer.h.zero_code(layer.hidden)[:, None], layer.h.levels, planes),
        )


def depth(layer: QuantizedLayer) -> int:
    """Return L, the larger of the level counts of x and h."""
    return max(layer.x.levels, layer.h.levels)


def words_of(layer: QuantizedLayer) -> int:
    """Return the words of all rows and level pairs of a step."""
    return layer.wx.rows * depth(layer) * layer.wx.levels * sum(map(len, _sizes(layer)))


def padded(first: list[Ints], never: float) -> Array:
    """Return thresholds [4, 1 or n GROUP], as many a gate, with `never` for absent ones."""
    most = max(1, *map(len, first))
    out = np.full((4, most if most == 1 else -(-most // GROUP) * GROUP), never)
    for own, values in zip(out, first, strict=True):
        own[: len(values)] = values
    return out


def pack_words(codes: Array, levels: int, planes: int) -> Array:
    """Return the levels of codes [n, B] as words uint32 [planes, ceil(n / 32), B]."""
    size, batch = codes.shape
    out = np.zeros((planes, -(-size // WORD), batch), np.uint32)
    for level in range(levels):
        for k in range(size):
            bit = (codes[k] >> level & 1).astype(np.uint32)
            out[level, k // WORD] |= bit << np.uint32(k % WORD)
    return out


def _gains(layer: QuantizedLayer) -> tuple[Array, Ints]:
    """Return gains int32 [4H, L, W, 2] and start int64 [4H]."""
    gains = np.zeros((layer.wx.rows, depth(layer), layer.wx.levels, 2), np.int64)
    gains[:, : layer.h.levels, :, 0] = -2 * layer.gamma_h
    gains[:, : layer.x.levels, :, 1] = -2 * layer.gamma_x
    of_h, of_x = (gamma.sum(axis=(1, 2)) for gamma in (layer.gamma_h, layer.gamma_x))
    return gains.astype(np.int32), layer.b.values + layer.hidden * of_h + layer.features * of_x


def _sizes(layer: QuantizedLayer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (0,) * -(-layer.hidden // WORD), (0,) * -(-layer.features // WORD)


def _words(layer: QuantizedLayer) -> Array:
    """Return the weights' planes uint32 [4H, W, n_h + n_x]."""
    planes = [
        np.concatenate([pack_words(h.T, 1, 1)[0], pack_words(x.T, 1, 1)[0]])
        for h, x in zip(layer.wh.bits, layer.wx.bits, strict=True)
    ]
    return np.ascontiguousarray(np.stack(planes).transpose(2, 0, 1))


def _cell(layer: QuantizedLayer, tables: LayerTables) -> Any:
    """Return radix, c_levels, c_word, c_table, h_levels, h_words, h_tables."""
    _, i, g, _ = tables.segments
    assert tables.c_table is not None
    c_table, c_levels = tables.c_table, layer.quantizers["c"].levels
    h_tables, h_levels = tables.of_cells(tables.h_codes).astype(np.uint8), layer.h.levels
    c_word, h_words = np.zeros(1, np.uint32), np.zeros(layer.hidden, np.uint32)
    if c_table.size * c_levels <= WORD:
        c_word, c_table = _short(c_table[None], c_levels), c_table[:0]
    if h_tables.shape[1] * h_levels <= WORD:
        h_words, h_tables = _short(h_tables, h_levels), h_tables[:, :0].copy()
    return (
        (tables.c_codes, i, g),
        c_levels,
        c_word[0],
        c_table,
        h_levels,
        h_words,
        h_tables,
    )


def _short(table: Array, levels: int) -> Array:
    """Return the rows of table [n, m], `levels` bits an entry, as uint32 [n]."""
    at = np.arange(table.shape[1], dtype=np.uint32) * np.uint32(levels)
    return np.asarray(np.bitwise_or.reduce(table.astype(np.uint32) << at, axis=1))


def read_bits(tables: list[BitTables], first: InputTables, model: QuantizedModel, x: Array) -> Ints:
    """Return m of h of the top layer over x [N, T, I]: of the last step, or summed over all.

    Returns
    -------
    int64 [H, N]

    Raises
    ------
    MubinnError
        On NaN.
    """
    words, steps = _encoded(tables[0], first, model, x), x.shape[1]
    for own in tables:
        layer, top = own.layer, own is tables[-1]
        states = np.empty((steps + 1, *own.h_zero.shape[:2], len(x)), np.uint32)
        states[0] = own.h_zero
        counts = np.zeros((layer.h.levels, layer.hidden, len(x) if top else 0), np.int32)
        count_from = steps if not top else 0 if model.readout == "mean" else steps - 1
        kernels().run_layer(words, states, counts, count_from, own.rows, own.cell, own.c_zero)
        words = states[1:]
    scales = model.layers[-1].h.scales // unit(model.layers[-1].h)
    return np.asarray(np.tensordot(scales, counts.astype(np.int64), axes=1))


def _encoded(own: BitTables, first: InputTables, model: QuantizedModel, x: Array) -> Array:
    """Return the levels of the samples' codes, uint32 [T, L, n_x, N]."""
    layer, (_, steps, features) = own.layer, x.shape
    words = np.zeros((steps, len(own.h_zero), len(own.rows[-1][1]), len(x)), np.uint32)
    if x.dtype == np.float32:
        thresholds = np.broadcast_to(first.thresholds, (len(first.thresholds), features))
        if kernels().encode_words(
            np.ascontiguousarray(x), np.ascontiguousarray(thresholds), first.codes, words
        ):
            return words
    codes = model.encode_input(x)  # raises on NaN with the right words
    for t in range(steps):
        words[t] = pack_words(codes[:, t].T, layer.x.levels, len(own.h_zero))
    return words
