"""Tables of the fast inference: one layer's cell as a matrix, segments of z, and two look-ups.

Every tensor between the dot products is a short code, so a step of the cell is

1. ``y = W [h; x; 1]``, one matrix product in which all level planes are collapsed,
2. for each gate the segment of z that y lies in, as z -> code is piecewise constant,
3. ``c = c_table[f, c, i, g]`` and ``h = h_table[o, c]``.

The tables come from calling the golden units on all their inputs. Codes of h and x stand in W as
`mubinn.golden.inference.input` says; what is constant in their values folds into the last column.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mubinn.golden.cells.constants import GATES
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.operations import Products
from mubinn.golden.cells.tabulate import values_of
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.inference.gates import COMPARE_LIMIT, GateTables
from mubinn.golden.inference.input import Array, buckets, positive
from mubinn.golden.inference.threshold import threshold_c, threshold_h
from mubinn.golden.units.pointwise import pointwise

TABLE_LIMIT = 1 << 20
"""Most entries of `LayerTables.c_table`; a larger one is split into a sum of two."""


@dataclass(frozen=True, eq=False)
class LayerTables:
    """One layer, ready to run.

    Attributes
    ----------
    hidden, features : int
    gates : GateTables
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
    h_raw : int64 [o c]
        m of the next h is ``h_bucket[h_raw - h_offset]``, clipped.
    h_offset : int64 [H, 1]
    h_bucket : float [n]
    h_codes : int64 [n]
        Its codes.
    h_zero : float [H, 1]
        m of the first state.
    c_zero : int
        Code of the first state.
    """

    hidden: int
    features: int
    gates: GateTables
    segments: tuple[int, int, int, int]
    c_codes: int
    c_table: Array | None
    fc: Ints
    ig: Ints
    c_shift: int
    c_bucket: Array
    h_raw: Ints
    h_offset: Ints
    h_bucket: Array
    h_codes: Ints
    h_zero: Array
    c_zero: int

    @classmethod
    def of(
        cls,
        layer: QuantizedLayer,
        compare_limit: int = COMPARE_LIMIT,
        table_limit: int = TABLE_LIMIT,
        packs: bool = True,
    ) -> "LayerTables":
        """Tabulate `layer`; the other parameters choose between forms of equal results.

        Raises
        ------
        MubinnError
            Where the scales of c or h sum to more than `SCALE_LIMIT`.
        """
        gates = GateTables.of(layer, compare_limit, packs)
        counts = [len(gates.codes[gate]) for gate in GATES]
        kind, thresholds = gates.weights.dtype, layer.datapath == "threshold"
        return cls(
            hidden=layer.hidden,
            features=layer.features,
            gates=gates,
            segments=(counts[0], counts[1], counts[2], counts[3]),
            c_codes=1 << layer.quantizers["c"].levels,
            **(threshold_c if thresholds else _c_tables)(layer, gates.codes, table_limit),
            **(threshold_h if thresholds else _h_tables)(layer, gates.codes["o"], kind),
            h_zero=positive(layer.h, layer.h.zero_code(layer.hidden))[:, None].astype(kind),
            c_zero=int(layer.quantizers["c"].zero_code(1)[0]),
        )

    @cached_property
    def h_table(self) -> Array | None:
        """m of the next h, float [o c]; None where the offset of h differs between cells."""
        alike = (self.h_offset == self.h_offset[0]).all()
        return np.take(self.h_bucket, self.h_raw - self.h_offset[0], mode="clip") if alike else None

    def of_cells(self, buckets: Array) -> Array:
        """Return every cell's table [H, o c] of `buckets`, which are `h_bucket` or `h_codes`."""
        return np.take(buckets, self.h_raw - self.h_offset, mode="clip")


def _c_tables(layer: QuantizedLayer, codes: dict[str, Ints], limit: int) -> dict[str, Any]:
    """Return Eq. (5) and the encoder of c over all codes, index order f, c, i, g."""
    products, quantizer, fraction = (
        layer.lowered["c_raw"],
        layer.quantizers["c"],
        layer.fraction_of("c"),
    )
    own = products.operation
    assert isinstance(own, Products)
    params, (gamma_fc, gamma_ig) = own.params, own.gammas
    f, c = codes["f"][:, None, None, None], np.arange(1 << quantizer.levels)[:, None, None]
    i, g = codes["i"][:, None], codes["g"]
    fc = pointwise(params, f, c, i[:1], g[:1], gamma_fc, 0 * gamma_ig)
    ig = pointwise(params, f[:1], c[:1], i, g, 0 * gamma_fc, gamma_ig)
    bucket, code = buckets(quantizer, fraction)
    shift = fraction - quantizer.fraction
    table = None
    if fc.size * ig.size <= limit:
        table = quantizer.encode(fc + ig, fraction).astype(np.uint8).ravel()
    start = (int(quantizer.offset.sum()) + int(bucket[0])) << shift
    return {
        "c_table": table,
        "fc": fc.ravel() - start,
        "ig": ig.ravel(),
        "c_shift": shift,
        "c_bucket": code.astype(np.uint8),
    }


def _h_tables(layer: QuantizedLayer, o: Ints, kind: np.dtype[Any]) -> dict[str, Any]:
    """Return Eq. (6) and the encoder of h over all codes, index order o, c."""
    raw = values_of(
        layer.lowered, "h_raw", o=o[:, None], c=np.arange(1 << layer.quantizers["c"].levels)
    )
    bucket, code = buckets(layer.h, layer.fraction_of("h"))
    shift = layer.fraction_of("h") - layer.h.fraction
    return {
        "h_raw": (raw >> shift).ravel() - int(bucket[0]),
        "h_offset": np.broadcast_to(layer.h.offset, layer.hidden)[:, None],
        "h_bucket": positive(layer.h, code).astype(kind),
        "h_codes": code,
    }
