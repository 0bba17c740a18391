"""Scales to start training from: fitted to a float model's tensors, or found by search. NumPy."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.binarize.mlb import fit_scales, mlb, mlb_value
from mubinn.golden.binarize.scale_form import fit_form
from mubinn.golden.cells.library import gru_before
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model import reference
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.train.recipes.method import Method

SAMPLE = 100_000
"""Values of an activation tensor that its scales are fitted to."""

EXPONENTS = range(-7, 3)
"""Powers of two that the search of MuBiNN1 chooses from."""


def first_scales(
    model: FloatModel, method: Method, x: NDArray[np.float32]
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return logarithms of the scales [rows, groups] and the offsets, by tensor.

    Parameters
    ----------
    model : FloatModel
        One layer.
    method : Method
    x : float32 [windows, T, I]
        Training windows that the activations are taken from.
    """
    layer = _layer(model)
    run = reference.run_layer(layer, reference.LayerQuantizers(), np.asarray(x, np.float64))
    offsets = {}
    values: dict[str, list[Floats]] = {}
    gates = layer.cell.gate_names
    if "c_raw" in run:
        values["c"] = [np.clip(run["c_raw"], -layer.clip("c"), layer.clip("c"))]
    for name, tensor in (("x", np.asarray(x, np.float64)), ("h", run["h"])):
        offset = _offset(getattr(method, f"{name}_offset"), tensor, method.counts[name])
        if offset is not None:
            offsets[name] = offset
            tensor = tensor - offset
        values[name] = [tensor]
    values["gate"] = [
        y - (0 if name in "gn" else method.gate_offset)
        for name, y in zip(gates, np.split(run["y"], len(gates), axis=-1), strict=True)
    ]
    groups = 4 if method.granularity == "gate" else 4 * layer.hidden
    wx, wh, _ = _rows(model)
    values["wx"] = np.split(wx, groups)
    values["wh"] = np.split(wh, groups)
    values["wd"] = np.split(model.wd, 1 if method.granularity == "gate" else model.classes)
    biases = folded(model, offsets)
    values |= {"b": np.split(biases[0], 4), "bd": [biases[1]]}
    rng = np.random.default_rng(0)
    logs = {
        name: np.stack([_fit(method, name, _some(rng, part)) for part in values[name]], axis=1)
        for name, count in method.counts.items()
        if count is not None and name in values
    }
    return logs, offsets


def _layer(model: FloatModel) -> FloatLayer:
    """Return the one layer that binarized training takes."""
    layer = model.layers[0]
    if len(model.layers) != 1 or layer.cell is gru_before:
        raise MubinnError(
            "Binarized training takes models of one LSTM layer, or of one GRU layer that resets "
            "after the product: use `mubinn quantize` for others."
        )
    return layer


def _rows(model: FloatModel) -> tuple[Floats, Floats, Floats]:
    """Return W_x [4H, I], W_h [4H, H] and the bias [4H] of the rows of all cells."""
    layer = _layer(model)
    return layer.wx, layer.wh, layer.b


def folded(model: FloatModel, offsets: dict[str, Floats]) -> tuple[Floats, Floats]:
    """Return the biases of layer and classifier with the offsets of x and h folded in."""
    (wx, wh, b), bd = _rows(model), model.bd
    if "x" in offsets:
        b = b + wx @ offsets["x"]
    if "h" in offsets:
        b, bd = b + wh @ offsets["h"], bd + model.wd @ offsets["h"]
    return b, bd


def _offset(how: str, tensor: Floats, levels: int | None) -> Floats | None:
    """Return offsets that are positive and negative in turn, one a channel or cell.

    At one level the mean magnitude; at more a quarter of the distance of two values, so that the
    thresholds of neighbours interleave.
    """
    if how == "none" or levels is None:
        return None
    sizes = np.abs(tensor).mean(axis=tuple(range(tensor.ndim - 1)))
    sizes = sizes if levels == 1 else np.ldexp(sizes, -levels)
    return np.asarray(np.where(np.arange(len(sizes)) % 2, -sizes, sizes), np.float64)


def _some(rng: np.random.Generator, tensor: Any) -> Floats:
    flat = np.asarray(tensor, np.float64).ravel()
    return rng.choice(flat, SAMPLE) if flat.size > SAMPLE else flat


def _fit(method: Method, name: str, values: Floats) -> Floats:
    count = method.counts[name]
    assert count is not None
    if method.name == "b_lstm":
        return np.zeros(1)
    if method.name == "mubinn1":
        return np.asarray(np.log(2) * search_exponents(values, count), np.float64)
    if method.rows_of_logs(name) < count:
        return np.log(fit_form([values], count, "power-of-two")[0, -1:])
    return np.log(np.maximum(fit_scales(values, count), 1e-6))


def search_exponents(values: Floats, levels: int) -> Floats:
    """Return the descending exponents of two with the least squared error over `values`."""
    choices = [np.array(chosen[::-1]) for chosen in combinations(EXPONENTS, levels)]
    errors = [_error(values, 2.0**exponents) for exponents in choices]
    return choices[int(np.argmin(errors))].astype(np.float64)


def _error(values: Floats, scales: Floats) -> float:
    return float(np.square(values - mlb_value(mlb(values, scales), scales)).mean())
