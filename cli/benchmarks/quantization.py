"""``mubinn bench quantization``: the error of quantized tensors and logits, level by level."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mubinn.cli.benchmarks.figures import figure, subject_model, versions
from mubinn.cli.shared.recordings import float_scores, held_out, open_labelled, prepared, spread
from mubinn.golden.binarize.levels import MAX_LEVELS, Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.inference.run import infer
from mubinn.golden.model import reference
from mubinn.golden.model.bounds import dequantize
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.quantize import quantize
from mubinn.train.data.windows import LabelledSet

CALIBRATION_WINDOWS, MEASURED_WINDOWS = 64, 256
"""A few windows in a hundred make up much of the mean squared error of the logits: of a few dozen
it rises and falls by which of these are among them."""

FIXED = 4
"""Levels of what is not varied where A or W is varied alone."""

SERIES = {
    "A = W": (None, None),
    f"A alone, W = {FIXED}": (None, FIXED),
    f"W alone, A = {FIXED}": (FIXED, None),
}
"""Levels A and W by title; None is what is varied."""

BEYOND = 2.0
"""Standard errors over windows that an error rises by where it is more than chance."""

Squares = dict[str, Floats]
"""Mean squared error of each window over the variance, [windows] by what is quantized."""


def bench_quantization(
    model: FloatModel | None = None,
    data: LabelledSet | None = None,
    most: int = MAX_LEVELS,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Return the errors of x, h, c and logits for 1 to `most` levels, over their deviations.

    x, h and c are those of the float model, encoded; logits are those of the whole quantized
    model, in float64 with its stored numbers and bit-true. Windows that are measured were not
    calibrated on: they are of the fold that training held out, where the model names one.

    Parameters
    ----------
    model : FloatModel, optional
        LSTMs, by default the bundled one.
    data : LabelledSet, optional
        By default the shared data set, or synthetic EEG.
    most : int
    progress : callable, optional
        Is told the levels as they begin.

    Raises
    ------
    MubinnError
        The model is a GRU, or there are too few windows.
    """
    model, name = subject_model(model), "given"
    if model.cell != "lstm":
        raise MubinnError("The benchmark quantization measures LSTMs: give the model of one.")
    if data is None:
        data, name = open_labelled(None, features=model.features)
    calibration, measured = _parts(model, data, name)
    floats = FloatRun.of(model, measured)
    tables, rising = {}, {}
    for title, (a, w) in SERIES.items():
        rows = []
        for n in range(1, most + 1):
            levels = Levels.of(a or n, w or n)
            if progress is not None:
                progress(str(levels))
            rows.append(level_errors(quantize(model, levels, calibration), floats))
        rising[title] = [rises(rows), rises(rows, BEYOND)]
        shown = [
            [str(n), *(f"{rms(own):.5f}" for own in row.values())] for n, row in enumerate(rows, 1)
        ]
        tables[title] = {"columns": ["levels", *rows[0]], "rows": shown}
    alone = sum(sum(beyond.values()) for title, (_, beyond) in rising.items() if title != "A = W")
    return {
        "figures": [
            figure("rises", sum(rising["A = W"][0].values()), "errors that rise, A = W", "0"),
            figure("rises_alone", alone, f"by over {BEYOND:g} standard errors, A or W alone"),
        ],
        "tables": tables,
        "versions": versions("mubinn", "numpy"),
        "parameters": {
            "data": name,
            "calibrated on": len(calibration),
            "windows": len(measured),
            "steps": measured.shape[1],
            "most": most,
        },
    }


def _parts(model: FloatModel, data: LabelledSet, name: str) -> tuple[Floats, Floats]:
    """Return windows to calibrate on, and others to measure on."""
    fold = held_out(model, data, name)
    numbers = np.arange(len(data.x))
    test = numbers % 3 == 2 if fold is None else data.fold == fold
    chosen = spread(CALIBRATION_WINDOWS, numbers[~test]), spread(MEASURED_WINDOWS, numbers[test])
    if not all(map(len, chosen)):
        raise MubinnError("There are too few windows: give three at least.")
    calibration, measured = (prepared(model, data.x[own]).astype(np.float64) for own in chosen)
    return calibration, measured


@dataclass(frozen=True)
class FloatRun:
    """What the float model makes of windows.

    Attributes
    ----------
    model : FloatModel
    x : float64 [windows, T, I]
    h, c : list of float64 [windows, T, H], one a layer
        c is clipped where the layer clips it.
    logits : float64 [windows, C]
    """

    model: FloatModel
    x: Floats
    h: list[Floats]
    c: list[Floats]
    logits: Floats

    @classmethod
    def of(cls, model: FloatModel, x: Floats) -> "FloatRun":
        """Return the run of `model`, which is of LSTMs, over `x`."""
        h: list[Floats] = []
        c: list[Floats] = []
        for layer in model.layers:
            run = reference.run_layer(layer, reference.LayerQuantizers(), h[-1] if h else x)
            clip = layer.clip("c")
            h.append(run["h"])
            c.append(np.clip(run["c_raw"], -clip, clip))
        return cls(model, x, h, c, float_scores(model, x))


def rises(rows: Sequence[Squares], beyond: float = 0.0) -> dict[str, int]:
    """Return how often each error is larger than with one level less.

    It is by more than `beyond` standard errors of the difference, window by window.
    """
    return {
        name: sum(_rise(after[name] - before[name]) > beyond for before, after in pairwise(rows))
        for name in rows[0]
    }


def _rise(difference: Floats) -> float:
    """Return the mean over windows in its standard errors, infinite where all are alike."""
    mean, error = difference.mean(), difference.std() / np.sqrt(len(difference))
    return float(mean / error) if error else float(np.sign(mean) * np.inf if mean else 0.0)


def level_errors(made: QuantizedModel, real: FloatRun) -> Squares:
    """Return the squared errors of what is quantized in `made`, which is of ``real.model``."""
    floats, quantizers = dequantize(made)
    errors = {"x": _squares(quantizers[0].x(real.x), real.x)}
    for index, own in enumerate(quantizers):
        mark = "" if index == 0 else str(index)
        errors[f"h{mark}"] = _squares(own["h"](real.h[index]), real.h[index])
        errors[f"c{mark}"] = _squares(own["c"](real.c[index]), real.c[index])
    errors["logits"] = _squares(float_scores(floats, real.x, quantizers=quantizers), real.logits)
    found = made.values(infer(made, real.x).scores, real.x.shape[1])
    errors["bit-true logits"] = _squares(found, real.logits)
    return errors


def _squares(found: Floats, real: Floats) -> Floats:
    axes = tuple(range(1, real.ndim))
    return np.asarray(np.square(found - real).mean(axis=axes) / real.var(), np.float64)


def rms(squares: Floats) -> float:
    """Return the root mean square error over the deviation."""
    return float(np.sqrt(squares.mean()))
