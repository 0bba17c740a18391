"""Fast inference of the threshold datapath: the same tables, from its searches and code tables."""

from typing import Any

import numpy as np

from mubinn.golden.cells.constants import GATES
from mubinn.golden.cells.lstm_layer import QuantizedLstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.inference.input import SCALE_LIMIT, positive, runs
from mubinn.golden.units.code_table import code_table
from mubinn.golden.units.threshold_search import ThresholdSearchParams, threshold_search


def threshold_segments(layer: QuantizedLstm, gate: str, bound: int) -> tuple[Ints, Ints]:
    """Return first z and code of the segments of `gate` that ``|z| <= bound`` reaches."""
    params, tree = layer.thresholds.gate, GATES.index(gate)
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


def threshold_c(layer: QuantizedLstm, codes: dict[str, Ints], limit: int) -> dict[str, Any]:
    """Return the fields of c in `LayerTables`, Eq. (5)."""
    tables, bits = layer.thresholds, layer.levels.count("gate")
    c = np.arange(1 << layer.c.levels)
    fc = code_table(tables.fc, codes["f"][:, None] | c << bits)
    ig = code_table(tables.ig, codes["i"][:, None] | codes["g"] << bits)
    low, high = int(fc.min() + ig.min()), int(fc.max() + ig.max())
    table, bucket = None, np.zeros(1, np.int64)
    if fc.size * ig.size <= limit:
        raw = fc[:, :, None, None] + ig
        table = threshold_search(tables.c, raw).astype(np.uint8).ravel()
    else:
        bucket = _buckets(tables.c, low, high)
    return {
        "c_table": table,
        "fc": fc.ravel() - low,
        "ig": ig.ravel(),
        "c_shift": 0,
        "c_bucket": bucket.astype(np.uint8),
    }


def threshold_h(layer: QuantizedLstm, o: Ints, kind: np.dtype[Any]) -> dict[str, Any]:
    """Return the fields of h in `LayerTables`, Eq. (6)."""
    tables, bits = layer.thresholds, layer.levels.count("gate")
    words = code_table(tables.h, o[:, None] | np.arange(1 << layer.c.levels) << bits).ravel()
    offset = np.broadcast_to(layer.h.offset, layer.hidden)[:, None]
    if tables.h_raw is None:  # the words are codes already
        low, offset, code = 0, 0 * offset, np.arange(1 << layer.h.levels)
    else:
        low = int(words.min() - offset.max())
        code = _buckets(tables.h_raw, low, int(words.max() - offset.min()))
    return {
        "h_raw": words - low,
        "h_offset": offset,
        "h_bucket": positive(layer.h, code).astype(kind),
        "h_codes": code,
    }
