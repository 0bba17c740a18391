"""Scales to start training from: fitted to a float model's tensors, or found by search. NumPy."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.binarize.mlb import fit_scales, mlb, mlb_value
from mubinn.golden.binarize.scale_form import fit_form
from mubinn.golden.cells.graph import Weights
from mubinn.golden.cells.library import family_of
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model import reference
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.train.recipes.method import TENSORS, Method

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
    layer = one_layer(model)
    cell = layer.cell
    wide = np.asarray(x, np.float64)
    run = reference.run_layer(layer, reference.LayerQuantizers(), wide)
    offsets = {}
    for name, tensor in (("x", wide), ("h", run[cell.states[0].name])):
        offset = _offset(getattr(method, f"{name}_offset"), tensor, method.counts[name])
        if offset is not None:
            offsets[name] = offset
    if "h" in offsets and not cell.own_offsets:
        raise MubinnError(
            f"The cells of a {family_of(cell).upper()} share one offset of h: leave --h-offset out."
        )
    biases = folded(model, offsets)
    values = {
        "x": [wide - offsets.get("x", 0.0)],
        **_rows(layer, method),
        "b": np.split(biases[0], len(cell.rows)),
        **_codes(layer, method, run, offsets.get("h", 0.0)),
        "wd": np.split(model.wd, 1 if method.granularity == "gate" else model.outputs),
        "bd": [biases[1]],
        **{f"stored.{name}": [own] for name, own in layer.stored.items()},
    }
    tensors: dict[str, str]
    tensors = {node.name: cell.tensor(node) for node in cell.encoders if node not in cell.gates}
    tensors |= {f"stored.{name}": "stored" for name in layer.stored}
    rng = np.random.default_rng(0)
    logs = {}
    for name, parts in values.items():
        kind = tensors.get(name, name)
        if method.counts[kind] is not None:
            fits = [_fit(method, kind, _some(rng, part)) for part in parts]
            logs[name] = np.stack(fits, axis=1)
    return logs, offsets


def _rows(layer: FloatLayer, method: Method) -> dict[str, list[Floats]]:
    """Return the weights of rows that have some, in groups of one set of scales."""
    found: dict[str, list[Floats]] = {}
    kinds: tuple[Weights, ...] = ("wx", "wh")
    for name in kinds:
        own, places = getattr(layer, name), layer.cell.reading(name)
        groups = len(places) * (1 if method.granularity == "gate" else layer.hidden)
        rows = np.concatenate([own[layer.row_slice(place)] for place in places])
        found[name] = np.split(rows, groups)
    return found


def _codes(
    layer: FloatLayer, method: Method, run: dict[str, Floats], h_offset: Floats | float
) -> dict[str, list[Floats]]:
    """Return what encoders read, those of h first, without offset; gates under one name."""
    cell, found = layer.cell, {}
    for node in sorted(cell.encoders, key=lambda node: "hc".find(cell.tensor(node))):
        if node not in cell.gates:
            name, clip = node.name, layer.clip(node.name)
            made = np.clip(run[f"{name}_raw"], -clip, clip)
            found[name] = [made - h_offset if node is cell.new[0] else made]
    if cell.gates:
        found["gate"] = [
            y - method.offset_of(node.operands[0].kind)
            for node, y in zip(
                cell.gates, np.split(run["y"], len(cell.gates), axis=-1), strict=True
            )
        ]
    return found


def one_layer(model: FloatModel) -> FloatLayer:
    """Return the one layer that binarized training takes; raise `MubinnError` on others."""
    layer = model.layers[0]
    if len(model.layers) != 1:
        raise MubinnError(
            "Binarized training takes models of one layer: use `mubinn quantize` for others."
        )
    for node in layer.cell.encoders:
        if node not in layer.cell.gates and node.name in set(TENSORS) - {"h", "c"}:
            raise MubinnError(
                f"The cell {layer.cell.name} has an encoder {node.name}, as training calls a "
                "tensor of its own: give it another name."
            )
    return layer


def folded(model: FloatModel, offsets: dict[str, Floats]) -> tuple[Floats, Floats]:
    """Return the biases of layer and classifier with the offsets of x and h folded in."""
    layer, bd = one_layer(model), model.bd
    b = layer.b
    if "x" in offsets:
        b = b + layer.wx @ offsets["x"]
    if "h" in offsets:
        cell = layer.cell
        reads = [cell.recurrent_of(node) is cell.states[0] for node in cell.rows]
        b = b + np.where(np.repeat(reads, layer.hidden), layer.wh @ offsets["h"], 0.0)
        bd = bd + model.wd @ offsets["h"]
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
