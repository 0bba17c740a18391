"""Scales to start training from: fitted to a float model's tensors, or found by search. NumPy."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.binarize.mlb import fit_scales, mlb, mlb_value
from mubinn.golden.binarize.rules import Rule
from mubinn.golden.binarize.scale_form import fit_form
from mubinn.golden.cells.place import side_by_side, stages
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model import reference
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.train.recipes.matrices import chosen, matrices, places_of
from mubinn.train.recipes.method import STORED, TENSORS, Method
from mubinn.train.recipes.stack import at, check_own_offsets, stage_places

SAMPLE = 100_000
"""Values of an activation tensor that its scales are fitted to."""

EXPONENTS = range(-7, 3)
"""Powers of two that the search of MuBiNN1 chooses from."""


def first_scales(
    model: FloatModel, method: Method, x: NDArray[np.float32]
) -> tuple[dict[str, Floats], dict[str, Floats], dict[str, Floats]]:
    """Return logarithms of the scales [rows, groups], the offsets, and logarithms of thresholds.

    Each by tensor; the highest threshold of a rule by encoder, where it does not follow from the
    present weights.

    Parameters
    ----------
    model : FloatModel
    method : Method
    x : float32 [windows, T, channels]
        Training windows that the activations are taken from.
    """
    wide = model.embedded(x)
    runs: list[dict[str, Floats]] = []
    steps = wide
    for stage in stages(model.layers):
        for layer in stage:
            _check_names(layer)
            runs.append(reference.run_layer(layer, reference.LayerQuantizers(), steps))
        outputs = zip(stage, runs[-len(stage) :], strict=True)
        steps = side_by_side(stage, [run[layer.cell.states[0].name] for layer, run in outputs])
    offsets = _offsets(model, method, wide, runs)
    biases, bd = folded(model, offsets, method)
    codes = [
        _codes(layer, method, run, offsets.get(at(place, "h"), 0.0))
        for place, (layer, run) in enumerate(zip(model.layers, runs, strict=True))
    ]
    for first, *others in stage_places(model.layers):
        for place in others:  # one quantizer of h has what all of them make
            more = codes[place].pop(model.layers[place].cell.states[0].name)
            output = codes[first][model.layers[first].cell.states[0].name]
            output[0] = np.concatenate([output[0], *more], axis=-1)
    values: dict[str, list[Floats]] = {"x": [wide - offsets.get("x", 0.0)]}
    tensors: dict[str, str] = {}
    names: dict[str, list[str]] = {}
    for place, (layer, b) in enumerate(zip(model.layers, biases, strict=True)):
        cell = layer.cell
        own = {
            **by_scale(layer, method),
            "b": [b[layer.row_slice(row)] for row in range(len(cell.rows))],
            **codes[place],
            **({} if place + 1 < len(runs) else _classifier(model, method, bd)),
            **{f"stored.{name}": [numbers] for name, numbers in layer.stored.items()},
        }
        kinds: dict[str, str]
        kinds = {node.name: cell.tensor(node) for node in cell.encoders if node not in cell.gates}
        kinds |= {f"stored.{name}": "stored" for name in layer.stored} | {"wr": "wh"}
        names[at(place, "gate")] = [at(place, gate) for gate in cell.gate_names]
        for name, parts in own.items():
            values[stored_name := name if name in ("wd", "bd") else at(place, name)] = parts
            tensors[stored_name] = kinds.get(name, name)
    rng = np.random.default_rng(0)
    logs: dict[str, Floats] = {}
    cuts: dict[str, Floats] = {}
    for name, parts in values.items():
        kind = tensors.get(name, name)
        if method.counts[kind] is None or (kind in STORED and method.weight_scales != "learned"):
            continue
        samples, rule = [_some(rng, part) for part in parts], method.rule(kind)
        if rule is None:
            fits = [_fit(method, kind, sample) for sample in samples]
        else:
            fits, reaches = _ruled(rule, samples, alike=kind in STORED)
            if rule.factor is not None and (kind not in STORED or method.thresholds == "learned"):
                cuts.update(zip(names.get(name, [name]), reaches, strict=False))
        logs[name] = np.stack(fits, axis=1)
    return logs, offsets, cuts


def _ruled(rule: Rule, samples: list[Floats], *, alike: bool) -> tuple[list[Floats], list[Floats]]:
    """Return the logarithms of the one scale of each group and of its highest threshold.

    Groups that are `alike` share their thresholds.
    """
    whole = [np.concatenate(samples)] * len(samples) if alike else samples
    cuts = [rule.thresholds(own) for own in whole]
    units = [rule.last_scales(sample[None], own) for sample, own in zip(samples, cuts, strict=True)]
    fits = [np.log(np.maximum(unit, 1e-6)) for unit in units]
    return fits, [np.log(np.maximum(own.max(), 1e-6)) for own in cuts]


def _classifier(model: FloatModel, method: Method, bd: Floats) -> dict[str, list[Floats]]:
    groups = model.outputs if method.granularity == "row" else 1
    return {"wd": np.split(model.wd, groups), "bd": [bd]}


def _offsets(
    model: FloatModel, method: Method, x: Floats, runs: list[dict[str, Floats]]
) -> dict[str, Floats]:
    """Return the offsets of x and of the output of each layer."""
    found: dict[str, Floats] = {}
    first = _offset(method.x_offset, x, method.counts["x"])
    if first is not None:
        found["x"] = first
    for place, (layer, run) in enumerate(zip(model.layers, runs, strict=True)):
        output = run[layer.cell.states[0].name]
        own = _offset(method.h_offset, output, method.counts["h"])
        if own is None:
            continue
        check_own_offsets(model.layers)
        found[at(place, "h")] = own
    return found


def by_scale(layer: FloatLayer, method: Method) -> dict[str, list[Floats]]:
    """Return the weights of rows that have some, of each matrix in groups of one set of scales."""
    found: dict[str, list[Floats]] = {}
    for name in matrices(layer.cell):
        places = places_of(layer.cell, name)
        if places:
            count = layer.sizes.row_counts[places[0]]
            found[name] = np.split(chosen(layer, name), method.groups(len(places), count))
    return found


def _codes(
    layer: FloatLayer, method: Method, run: dict[str, Floats], h_offset: Floats | float
) -> dict[str, list[Floats]]:
    """Return what encoders read, those of h first, without offset; gates under one name."""
    cell, found = layer.cell, {}
    for node in sorted(cell.encoders, key=lambda node: "hc".find(cell.tensor(node))):
        if node not in cell.gates:
            name, made = node.name, _clipped(layer, node.name, run[f"{node.name}_raw"])
            found[name] = [made - h_offset if node is cell.new[0] else made]
    if cell.gates:
        found["gate"] = [
            _clipped(layer, node.name, y) - method.offset_of(node.operands[0].kind)
            for node, y in zip(
                cell.gates, np.split(run["y"], len(cell.gates), axis=-1), strict=True
            )
        ]
    return found


def _clipped(layer: FloatLayer, name: str, values: Floats) -> Floats:
    clip = layer.clip(name)
    return np.clip(values, -clip, clip)


def _check_names(layer: FloatLayer) -> None:
    """Raise `MubinnError` where an encoder is called as a tensor that training knows."""
    for node in layer.cell.encoders:
        if node not in layer.cell.gates and node.name in set(TENSORS) - {"h", "c"}:
            raise MubinnError(
                f"The cell {layer.cell.name} has an encoder {node.name}, as training calls a "
                "tensor of its own: give it another name."
            )


def read_offsets(
    model: FloatModel, offsets: dict[str, Floats]
) -> list[tuple[Floats | None, Floats | None]]:
    """Return what is taken off the inputs of each layer, and off the output that its rows read.

    [I] and [H], or None; of inputs as the layer's frames are.
    """
    below, found = offsets.get("x"), []
    for stage in stage_places(model.layers):
        own = offsets.get(at(stage[0], "h"))
        for place in stage:
            layer = model.layers[place]
            of_x = None if below is None else layer.frames.spread(below, layer.inputs)
            columns = layer.outputs * layer.frames.around
            found.append((of_x, None if own is None else layer.frames.spread_state(own, columns)))
        below = own
    return found


def folded(
    model: FloatModel, offsets: dict[str, Floats], method: Method
) -> tuple[tuple[Floats, ...], Floats]:
    """Return the biases of layers and classifier with the offsets of x and h folded in.

    That of the classifier stays where it reads h itself.
    """
    found = []
    for layer, (of_x, of_h) in zip(model.layers, read_offsets(model, offsets), strict=True):
        b = layer.b
        if of_x is not None:
            b = b + layer.wx @ of_x
        cell = layer.cell
        reads = [cell.recurrent_of(node) is cell.states[0] for node in cell.rows]
        if of_h is not None and any(reads):
            h = layer.wh[:, : len(of_h)] @ of_h
            b = b + np.where(np.repeat(reads, layer.sizes.row_counts), h, 0.0)
        found.append(b)
    last = offsets.get(at(stage_places(model.layers)[-1][0], "h"))
    bd = model.bd if last is None or method.known.late else model.bd + model.wd @ last
    return tuple(found), bd


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
