"""Fast inference: the gates' decisions on one matrix product, in three exact forms."""

from dataclasses import dataclass

import numpy as np

from mubinn.golden.cells.constants import GATES
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.inference.input import Array, peak, runs, unit
from mubinn.golden.inference.packed import Decision, pack
from mubinn.golden.inference.threshold import threshold_segments

COMPARE_LIMIT = 10
"""Up to this many thresholds a gate are compared one by one; above, z_q indexes a table."""


@dataclass(frozen=True, eq=False)
class GateTables:
    """``y = weights [h; x; 1]`` and how the segment of z that each gate lies in follows from y.

    Attributes
    ----------
    codes : mapping of gate to int64 [S]
        Code of each segment that z can reach, at most 256.
    first : int64 [S - 1] of each gate
        First z of each segment but the lowest.
    weights : float32 or float64 [4H or 2H, H + I + 1]
        Rows as in the layer; float64 only where float32 might not be exact.
    packed_bit : int32 [2H, 1] or None
        With packed weights [2H, ..] the two halves of y are f with g and i with o: f and i are 1
        where y >= 0, and g and o where y has the row's bit.
    thresholds : float [K, 4, 1] or None
        Otherwise a segment is the count of thresholds that y reaches; unused ones are infinite.
    z_tables : uint8 [4, 2**z_width] or None
        Otherwise it is the entry at floor(y), clipped to the table.
    """

    codes: dict[str, Ints]
    first: list[Ints]
    weights: Array
    packed_bit: Array | None = None
    thresholds: Array | None = None
    z_tables: Array | None = None

    @classmethod
    def of(cls, layer: QuantizedLayer, compare_limit: int, packs: bool) -> "GateTables":
        """Tabulate; `compare_limit` and `packs` choose between forms of equal results."""
        product = Product.of(layer)
        found = [_segments(layer, gate, product.bound) for gate in GATES]
        codes = {gate: code for gate, (_, _, code) in zip(GATES, found, strict=True)}
        reached = [first[1:] for first, _, _ in found]
        if packs and (packed := _packed(product, layer, reached)):
            return cls(codes, reached, packed[0], packed_bit=packed[1])
        if max(map(len, reached)) > compare_limit and _can_index(product, layer):
            tables = _z_tables(layer, [start for _, start, _ in found])
            return cls(codes, reached, _indexed(product, layer), z_tables=tables)
        weights, thresholds = _compared(product, reached)
        return cls(codes, reached, weights, thresholds=thresholds)


@dataclass(frozen=True, eq=False)
class Product:
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
    def of(cls, layer: QuantizedLayer) -> "Product":
        """Collapse all level planes of `layer`."""
        left, right = (layer.h, layer.wh), (layer.x, layer.wx)
        w = [w.values << (layer.z_fraction - q.fraction - w.fraction) for q, w in (left, right)]
        values = np.concatenate(w, axis=1)
        sizes = (layer.hidden, layer.features)
        units, peaks = (np.repeat([of(layer.h), of(layer.x)], sizes) for of in (unit, peak))
        return cls(2 * values * units, layer.b.values - values @ (units * peaks), peaks)

    @property
    def bound(self) -> int:
        """At least every ``|z|``."""
        return int((np.abs(self.matrix) @ self.peak + np.abs(self.constant)).max())

    def floats(self, common: Ints, added: int, exponent: int) -> Array:
        """Return ``(matrix | constant + added) * 2**exponent`` in a type that is exact.

        z is only compared with multiples of `common` [4H], a power of two that divides the rows,
        so the constant may be rounded down to it. All partial sums, in whatever order a BLAS adds,
        then are multiples of it between the sums of the negative and of the positive terms. As
        ``|z| < 2**52`` in every model, float64 is always enough.
        """
        constant = (self.constant & -common) + added
        above = np.maximum(self.matrix, 0) @ self.peak + np.maximum(constant, 0)
        below = np.maximum(-self.matrix, 0) @ self.peak + np.maximum(-constant, 0)
        most = int((np.maximum(above, below) // common).max())
        values = np.ldexp(np.column_stack([self.matrix, constant]).astype(np.float64), exponent)
        return values.astype(np.float32 if most <= 1 << 24 else np.float64)


def _segments(layer: QuantizedLayer, gate: str, bound: int) -> tuple[Ints, Ints, Ints]:
    """Return first z, first z_q and code of the segments of `gate` that ``|z| <= bound`` reaches.

    The threshold datapath has no z_q, and is never indexed by it.
    """
    if layer.datapath == "threshold":
        first, code = threshold_segments(layer, gate, bound)
        return first, first, code
    half = 1 << (layer.formats.z_width - 1)
    z_q = np.arange(-half, half)
    lowered = layer.lowered
    code = lowered[gate].operation(lowered[f"{gate}.y"].operation(z_q))
    starts = runs(code)
    rounded = lowered[f"{gate}.z_q"].operation
    low = np.full(len(starts), -bound - 1)
    high = np.full(len(starts), bound + 1)
    # The smallest z whose z_q reaches the start, by bisection on the golden unit.
    while (high - low > 1).any():
        middle = (low + high) // 2
        reached = rounded(middle) >= z_q[starts]
        high, low = np.where(reached, middle, high), np.where(reached, low, middle)
    kept = slice(int((high <= -bound).sum()) - 1, int((high <= bound).sum()))
    return high[kept], z_q[starts][kept], code[starts][kept]


def _common(product: Product, divided: list[Ints]) -> Ints:
    """Return the largest power of two that divides each row and what its gate is compared with."""
    row = np.gcd.reduce(product.matrix, axis=1)
    gate = [np.gcd.reduce(np.append(numbers, 1 << 40)) for numbers in divided]
    common = np.gcd(row, np.repeat(gate, len(row) // 4))
    return np.asarray(common & -common)


def _compared(product: Product, first: list[Ints]) -> tuple[Array, Array]:
    """Return the matrix of y = z and the thresholds on it, `first` of each gate."""
    weights = product.floats(_common(product, first), 0, 0)
    thresholds = np.full((max(map(len, first)), 4, 1), np.inf, weights.dtype)
    for gate, z in enumerate(first):
        thresholds[: len(z), gate, 0] = z
    return weights, thresholds


def z_shift(layer: QuantizedLayer) -> int:
    """Return the fraction bits that z loses on its way to the LUTs."""
    return layer.z_fraction - layer.formats.z_fraction


def _can_index(product: Product, layer: QuantizedLayer) -> bool:
    """Whether z loses fraction bits on its way to a z_q, and the sums of `_indexed` fit float64."""
    start = 1 << (layer.formats.z_width - 1)
    if layer.datapath == "threshold" or (shift := z_shift(layer)) <= 0:
        return False
    return product.bound + ((start + 1) << shift) < 1 << 53


def _indexed(product: Product, layer: QuantizedLayer) -> Array:
    """Return the matrix of y, whose floor is z_q counted from its most negative value."""
    shift = z_shift(layer)
    start = 1 << (layer.formats.z_width - 1)
    half = 1 << (shift - 1)
    return product.floats(_common(product, [np.array([half])] * 4), (start << shift) + half, -shift)


def _z_tables(layer: QuantizedLayer, first: list[Ints]) -> Array:
    half = 1 << (layer.formats.z_width - 1)
    z_q = np.arange(-half, half)
    # Values below the first segment kept do not occur.
    tables = [np.searchsorted(start[1:], z_q, side="right") for start in first]
    return np.stack(tables).astype(np.uint8)


def _packed(
    product: Product, layer: QuantizedLayer, first: list[Ints]
) -> tuple[Array, Array] | None:
    """Return `pack` of the rows where all that they hold has one level and one threshold."""
    gains = np.abs(product.matrix)
    one_level = layer.x.levels == layer.h.levels == layer.wx.levels == 1
    if not one_level or max(map(len, first)) > 1 or not gains[:, 0].all():
        return None
    never = np.array([product.bound + 1])
    z = np.repeat(np.concatenate([t if len(t) else never for t in first]), layer.hidden)
    signs = np.sign(product.matrix)
    signs[:, layer.hidden :][gains[:, -1] == 0] = 1
    return pack(Decision(signs, layer.hidden, gains[:, 0], gains[:, -1], z - product.constant))
