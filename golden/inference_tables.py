"""Tables of the fast inference: one layer's cell as a matrix, segments of z, and two look-ups.

Every tensor between the dot products is a short code, so a step of the cell is

1. ``y = W [h; x; 1]``, one matrix product in which all level planes are collapsed,
2. for each gate the segment of z that y lies in, as z -> code is piecewise constant,
3. ``c = c_table[f, c, i, g]`` and ``h = h_table[o, c]``.

The tables come from calling the golden units on all their inputs. A code of a tensor with scales a
and bits b stands in the products as ``m = sum_k a_k b_k >= 0``; its value is ``2 m - sum_k a_k``,
whose constant part folds into the last column of W.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mubinn.golden.activation import activation
from mubinn.golden.fixed import Ints
from mubinn.golden.float_model import GATES
from mubinn.golden.inference_input import Array, buckets, positive, runs
from mubinn.golden.lstm_cell import LstmCellParams
from mubinn.golden.lstm_model import QuantizedLstm
from mubinn.golden.mac import mac
from mubinn.golden.pointwise import pointwise
from mubinn.golden.requantize import requantize
from mubinn.golden.scales import Quantizer

COMPARE_LIMIT = 10
"""Up to this many thresholds a gate are compared one by one; above, z_q indexes a table."""

TABLE_LIMIT = 1 << 20
"""Most entries of `LayerTables.c_table`; a larger one is split into a sum of two."""


@dataclass(frozen=True, eq=False)
class LayerTables:
    """One layer, ready to run.

    Attributes
    ----------
    hidden, features : int
    weights : float32 or float64 [4H, H + I + 1]
        Columns of h, of x and of 1; float64 only where float32 might not be exact.
    thresholds : float [K, 4, 1] or None
        A gate's segment is the count of thresholds that y reaches; unused ones are infinite.
    z_tables : uint8 [4, 2**z_width] or None
        Or it is the entry at floor(y), clipped to the table.
    segments : tuple of int
        Segments of f, i, g, o.
    c_codes : int
        Codes of c.
    c_table : uint8 [f c i g] or None
        The next c; None where the table is too large.
    fc, ig : int64 [f c] and [i g]
        Otherwise the next c is ``c_bucket[(fc + ig) >> c_shift]``, clipped.
    c_shift : int
    c_bucket : uint8 [n]
    h_table : float [o c] or None
        m of the next h; None where the offset of h differs between cells.
    h_raw : int64 [o c]
        Otherwise it is ``h_bucket[h_raw - h_offset]``, clipped.
    h_offset : int64 [H, 1]
    h_bucket : float [n]
    h_zero : float [H, 1]
        m of the first state.
    c_zero : int
        Code of the first state.
    """

    hidden: int
    features: int
    weights: Array
    thresholds: Array | None
    z_tables: Array | None
    segments: tuple[int, int, int, int]
    c_codes: int
    c_table: Array | None
    fc: Ints
    ig: Ints
    c_shift: int
    c_bucket: Array
    h_table: Array | None
    h_raw: Ints
    h_offset: Ints
    h_bucket: Array
    h_zero: Array
    c_zero: int

    @classmethod
    def of(
        cls,
        layer: QuantizedLstm,
        compare_limit: int = COMPARE_LIMIT,
        table_limit: int = TABLE_LIMIT,
    ) -> "LayerTables":
        """Tabulate `layer`; the limits choose between forms that give the same results.

        Raises
        ------
        MubinnError
            Where the scales of c or h sum to more than `SCALE_LIMIT`.
        """
        product = _Product.of(layer)
        gates = [_segments(layer, gate, product.bound) for gate in GATES]
        counts = [len(codes) for _, _, codes in gates]
        if max(counts) - 1 <= compare_limit or not _can_index(product, layer):
            weights, thresholds = _compared(product, [first[1:] for first, _, _ in gates])
            z_tables = None
        else:
            weights, thresholds = _indexed(product, layer), None
            z_tables = _z_tables(layer, [start for _, start, _ in gates])
        codes = dict(zip(GATES, (code for _, _, code in gates), strict=True))
        kind = weights.dtype
        return cls(
            hidden=layer.hidden,
            features=layer.features,
            weights=weights,
            thresholds=thresholds,
            z_tables=z_tables,
            segments=(counts[0], counts[1], counts[2], counts[3]),
            c_codes=1 << layer.c.levels,
            **_c_tables(layer, codes, table_limit),
            **_h_tables(layer, codes["o"], kind),
            h_zero=positive(layer.h, layer.h.zero_code(layer.hidden))[:, None].astype(kind),
            c_zero=int(layer.c.zero_code(1)[0]),
        )


@dataclass(frozen=True, eq=False)
class _Product:
    """``z = matrix @ m + constant`` over m of h and x, each 0..peak.

    Attributes
    ----------
    matrix : int64 [4H, H + I]
    constant : int64 [4H]
    peak : int64 [H + I]
    """

    matrix: Ints
    constant: Ints
    peak: Ints

    @classmethod
    def of(cls, layer: QuantizedLstm) -> "_Product":
        left, right = (layer.h, layer.wh), (layer.x, layer.wx)
        w = [w.values << (layer.z_fraction - q.fraction - w.fraction) for q, w in (left, right)]
        values = np.concatenate(w, axis=1)
        peaks = [int(q.scales.sum()) for q in (layer.h, layer.x)]
        peak = np.repeat(peaks, (layer.hidden, layer.features))
        return cls(2 * values, layer.b.values - values @ peak, peak)

    @property
    def bound(self) -> int:
        """At least every ``|z|``."""
        return int((np.abs(self.matrix) @ self.peak + np.abs(self.constant)).max())

    def floats(self, unit: Ints, added: int, exponent: int) -> Array:
        """Return ``(matrix | constant + added) * 2**exponent`` in a type that is exact.

        z is only compared with multiples of `unit` [4H], a power of two that divides the matrix, so
        the constant may be rounded down to it. All partial sums, in whatever order a BLAS adds,
        then are multiples of `unit` between the sums of the negative and of the positive terms.
        As |z| < 2**52 in every model, float64 is always enough.
        """
        constant = (self.constant & -unit) + added
        above = np.maximum(self.matrix, 0) @ self.peak + np.maximum(constant, 0)
        below = np.maximum(-self.matrix, 0) @ self.peak + np.maximum(-constant, 0)
        most = int((np.maximum(above, below) // unit).max())
        values = np.ldexp(np.column_stack([self.matrix, constant]).astype(np.float64), exponent)
        return values.astype(np.float32 if most <= 1 << 24 else np.float64)


def _segments(layer: QuantizedLstm, gate: str, bound: int) -> tuple[Ints, Ints, Ints]:
    """Return first z, first z_q and code of the segments of `gate` that |z| <= bound reaches."""
    half = 1 << (layer.formats.z_width - 1)
    z_q = np.arange(-half, half)
    y = activation(layer.formats.activation(gate), z_q)
    code = layer.gates[gate].encode(y, layer.formats.y_fraction)
    starts = runs(code)
    params = LstmCellParams(layer).z_requantize
    low = np.full(len(starts), -bound - 1)
    high = np.full(len(starts), bound + 1)
    # The smallest z whose z_q reaches the start, by bisection on the golden unit.
    while (high - low > 1).any():
        middle = (low + high) // 2
        reached = requantize(params, middle) >= z_q[starts]
        high, low = np.where(reached, middle, high), np.where(reached, low, middle)
    kept = slice(int((high <= -bound).sum()) - 1, int((high <= bound).sum()))
    return high[kept], z_q[starts][kept], code[starts][kept]


def _unit(product: _Product, divided: list[Ints]) -> Ints:
    """Return the largest power of two that divides each row and what its gate is compared with."""
    row = np.gcd.reduce(product.matrix, axis=1)
    gate = [np.gcd.reduce(np.append(numbers, 1 << 40)) for numbers in divided]
    common = np.gcd(row, np.repeat(gate, len(row) // 4))
    return np.asarray(common & -common)


def _compared(product: _Product, first: list[Ints]) -> tuple[Array, Array]:
    """Return the matrix of y = z and the thresholds on it, `first` of each gate."""
    weights = product.floats(_unit(product, first), 0, 0)
    thresholds = np.full((max(map(len, first)), 4, 1), np.inf, weights.dtype)
    for gate, z in enumerate(first):
        thresholds[: len(z), gate, 0] = z
    return weights, thresholds


def _can_index(product: _Product, layer: QuantizedLstm) -> bool:
    """Whether z loses fraction bits on its way to z_q, and the sums of `_indexed` fit float64."""
    shift, start = LstmCellParams(layer).z_requantize.shift, 1 << (layer.formats.z_width - 1)
    return shift > 0 and product.bound + ((start + 1) << shift) < 1 << 53


def _indexed(product: _Product, layer: QuantizedLstm) -> Array:
    """Return the matrix of y, whose floor is z_q counted from its most negative value."""
    shift = LstmCellParams(layer).z_requantize.shift
    start = 1 << (layer.formats.z_width - 1)
    half = 1 << (shift - 1)
    return product.floats(_unit(product, [np.array([half])] * 4), (start << shift) + half, -shift)


def _z_tables(layer: QuantizedLstm, first: list[Ints]) -> Array:
    half = 1 << (layer.formats.z_width - 1)
    z_q = np.arange(-half, half)
    # Values below the first segment kept do not occur.
    tables = [np.searchsorted(start[1:], z_q, side="right") for start in first]
    return np.stack(tables).astype(np.uint8)


def _c_tables(layer: QuantizedLstm, codes: dict[str, Ints], limit: int) -> dict[str, Any]:
    """Return Eq. (5) and the encoder of c over all codes, index order f, c, i, g."""
    params, fraction = LstmCellParams(layer).pointwise, layer.c_raw_fraction
    f, c = codes["f"][:, None, None, None], np.arange(1 << layer.c.levels)[:, None, None]
    i, g = codes["i"][:, None], codes["g"]
    fc = pointwise(params, f, c, i[:1], g[:1], layer.gamma_fc, 0 * layer.gamma_ig)
    ig = pointwise(params, f[:1], c[:1], i, g, 0 * layer.gamma_fc, layer.gamma_ig)
    bucket, code = buckets(layer.c, fraction)
    shift = fraction - layer.c.fraction
    table = None
    if fc.size * ig.size <= limit:
        raw = pointwise(params, f, c, i, g, layer.gamma_fc, layer.gamma_ig)
        table = layer.c.encode(raw, fraction).astype(np.uint8).ravel()
    start = (int(layer.c.offset.sum()) + int(bucket[0])) << shift
    return {
        "c_table": table,
        "fc": fc.ravel() - start,
        "ig": ig.ravel(),
        "c_shift": shift,
        "c_bucket": code.astype(np.uint8),
    }


def _h_tables(layer: QuantizedLstm, o: Ints, kind: np.dtype[Any]) -> dict[str, Any]:
    """Return Eq. (6) and the encoder of h over all codes, index order o, c."""
    params, gate = LstmCellParams(layer), layer.gates["o"]
    c_q = requantize(params.c_requantize, layer.c.decode(np.arange(1 << layer.c.levels)))
    tanh_c = activation(layer.formats.activation("c"), c_q)
    raw = mac(params.mac, o[:, None], tanh_c, gate.offset, gate.scales)
    bucket, code = buckets(layer.h, layer.h_raw_fraction)
    shared = bool((layer.h.offset == layer.h.offset.flat[0]).all())
    table = None
    if shared:
        offset = int(layer.h.offset.flat[0])
        one = Quantizer(layer.h.scales, layer.h.fraction, np.asarray(offset))
        table = positive(layer.h, one.encode(raw, layer.h_raw_fraction)).astype(kind).ravel()
    shift = layer.h_raw_fraction - layer.h.fraction
    return {
        "h_table": table,
        "h_raw": (raw >> shift).ravel() - int(bucket[0]),
        "h_offset": np.broadcast_to(layer.h.offset, layer.hidden)[:, None],
        "h_bucket": positive(layer.h, code).astype(kind),
    }
