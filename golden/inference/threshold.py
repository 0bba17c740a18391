"""Fast inference of the threshold datapath: the same tables, from its searches and code tables."""

from typing import Any

import numpy as np

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.operations import Search
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.inference.input import SCALE_LIMIT, positive, runs
from mubinn.golden.units.threshold_search import ThresholdSearchParams, threshold_search


def threshold_segments(layer: QuantizedLayer, gate: str, bound: int) -> tuple[Ints, Ints]:
    """Return first z and code of the segments of `gate` that ``|z| <= bound`` reaches."""
    operation = layer.lowered[gate].operation
    assert isinstance(operation, Search)
    params, tree = operation.params, operation.tree
    nodes = np.unique(np.array(params.trees[tree], np.int64))
    first = np.append(-bound, nodes[(nodes > -bound) & (nodes <= bound)])
    code = threshold_search(params, first, tree)
    starts = runs(code)
    return first[starts], code[starts]


def _buckets(params: ThresholdSearchParams, low: int, high: int) -> Ints:
    """Return the codes of low..high."""
    if high - low > 4 * SCALE_LIMIT:
        raise MubinnError(
            f"sums of {high - low} steps are too long for the fast inference: "
            "quantize the model with shorter scales."
        )
    return threshold_search(params, np.arange(low, high + 1))


def threshold_c(layer: QuantizedLayer, codes: dict[str, Ints], limit: int) -> dict[str, Any]:
    """Return the fields of c in `LayerTables`, Eq. (5)."""
    lowered = layer.lowered
    c = np.arange(1 << layer.quantizers["c"].levels)
    fc = lowered["_fc"].operation(codes["f"][:, None], c)
    ig = lowered["_ig"].operation(codes["i"][:, None], codes["g"])
    search = lowered["c"].operation
    assert isinstance(search, Search)
    low, high = int(fc.min() + ig.min()), int(fc.max() + ig.max())
    table, bucket = None, np.zeros(1, np.int64)
    if fc.size * ig.size <= limit:
        raw = fc[:, :, None, None] + ig
        table = search(raw).astype(np.uint8).ravel()
    else:
        bucket = _buckets(search.params, low, high)
    return {
        "c_table": table,
        "fc": fc.ravel() - low,
        "ig": ig.ravel(),
        "c_shift": 0,
        "c_bucket": bucket.astype(np.uint8),
    }


def threshold_h(layer: QuantizedLayer, o: Ints, kind: np.dtype[Any]) -> dict[str, Any]:
    """Return the fields of h in `LayerTables`, Eq. (6)."""
    lowered, c = layer.lowered, np.arange(1 << layer.quantizers["c"].levels)
    raw = "h_raw" if "h_raw" in lowered else "h"
    words = lowered[raw].operation(o[:, None], c).ravel()
    offset = np.broadcast_to(layer.h.offset, layer.hidden)[:, None]
    search = lowered["h"].operation
    if not isinstance(search, Search):  # the words are codes already
        low, offset, code = 0, 0 * offset, np.arange(1 << layer.h.levels)
    else:
        low = int(words.min() - offset.max())
        code = _buckets(search.params, low, int(words.max() - offset.min()))
    return {
        "h_raw": words - low,
        "h_offset": offset,
        "h_bucket": positive(layer.h, code).astype(kind),
        "h_codes": code,
    }
