"""``mubinn bench quantization``: the error of quantized tensors and logits, level by level."""

from itertools import pairwise
from typing import Any

import numpy as np

from mubinn.cli.benchmarks.figures import figure, subject_model, versions
from mubinn.cli.shared.recordings import open_labelled, prepared, spread
from mubinn.golden.binarize.levels import MAX_LEVELS, Levels
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.bounds import dequantize
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.quantize import quantize

CALIBRATION_WINDOWS, MEASURED_WINDOWS = 64, 32
FIXED = 4
"""Levels of what is not varied where A or W is varied alone."""

SERIES = {
    "A = W": (None, None),
    f"A alone, W = {FIXED}": (None, FIXED),
    f"W alone, A = {FIXED}": (FIXED, None),
}
"""Levels A and W by title; None is what is varied."""


def bench_quantization(
    model: FloatModel | None = None, data: Floats | None = None, most: int = MAX_LEVELS
) -> dict[str, Any]:
    """Return the errors of x, h, c and logits for 1 to `most` levels, over their deviations.

    x, h and c are those of the float model, encoded; logits are those of the whole quantized
    model, in float64 with its stored numbers and bit-true. Windows that are measured were not
    calibrated on.

    Parameters
    ----------
    model : FloatModel, optional
        LSTMs, by default the bundled one.
    data : float64 [windows, T, I], optional
        Prepared windows, by default of the shared data set or synthetic.
    most : int
    """
    model = subject_model(model)
    name = "given"
    if data is None:
        recorded, name = open_labelled(None, features=model.features)
        chosen = spread(CALIBRATION_WINDOWS + MEASURED_WINDOWS, np.arange(len(recorded.x)))
        data = prepared(model, recorded.x[chosen]).astype(np.float64)
    measured = np.arange(len(data)) % 3 == 2
    tables, worse = {}, 0
    for title, (a, w) in SERIES.items():
        rows = []
        for n in range(1, most + 1):
            made = quantize(model, Levels.of(a or n, w or n), data[~measured])
            rows.append(level_errors(model, made, data[measured]))
        worse += sum(rises(rows).values())
        shown = [[str(n + 1), *(f"{v:.5f}" for v in row.values())] for n, row in enumerate(rows)]
        tables[title] = {"columns": ["levels", *rows[0]], "rows": shown}
    return {
        "figures": [figure("rises", worse, "errors that rise with a level", "0")],
        "tables": tables,
        "versions": versions("mubinn", "numpy"),
        "parameters": {"data": name, "windows": int(measured.sum()), "most": most},
    }


def rises(rows: list[dict[str, float]]) -> dict[str, int]:
    """Return how often each error is higher than with one level less."""
    return {
        name: sum(after[name] > before[name] for before, after in pairwise(rows))
        for name in rows[0]
    }


def level_errors(model: FloatModel, made: QuantizedModel, x: Floats) -> dict[str, float]:
    """Return root mean square errors over the deviation of what is quantized.

    Parameters
    ----------
    model : FloatModel
        LSTMs.
    made : QuantizedModel
        Made of it.
    x : float64 [windows, T, I]
    """
    floats, quantizers = dequantize(made)
    errors, below = {"x": _error(quantizers[0].x(x), x)}, x
    for index, layer in enumerate(model.layers):
        run = reference.run_layer(layer, reference.LayerQuantizers(), below)
        clip = layer.clip("c")
        c = np.clip(run["c_raw"], -clip, clip)
        mark = "" if index == 0 else str(index)
        errors[f"h{mark}"] = _error(quantizers[index]["h"](run["h"]), run["h"])
        errors[f"c{mark}"] = _error(quantizers[index]["c"](c), c)
        below = run["h"]
    real = reference.logits(model, x)
    errors["logits"] = _error(reference.logits(floats, x, quantizers), real)
    _, scores, _ = bit_true.run(made, made.encode_input(x))
    steps = x.shape[1] if made.readout == "mean" else 1
    found = np.ldexp(scores.astype(np.float64), -made.dense.b.fraction) / steps
    errors["bit-true logits"] = _error(found, real)
    return errors


def _error(found: Floats, real: Floats) -> float:
    return float(np.sqrt(np.square(found - real).mean()) / real.std())
