"""Post-training quantization of recurrent layers, and of the classifier."""

from collections.abc import Mapping, Sequence

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.graph import Node
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.library import family_of
from mubinn.golden.cells.place import width
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedDense
from mubinn.golden.quantization.tensors import (
    FitOptions,
    StateRows,
    fit_activation,
    fit_gates,
    fit_sums,
    fit_weights,
)


def quantized_stage(
    rng: np.random.Generator,
    stage: Sequence[FloatLayer],
    x: Quantizer,
    inputs: Floats,
    runs: Sequence[dict[str, Floats]],
    h_offset: Floats | float,
    options: FitOptions,
) -> list[QuantizedLayer]:
    """Return layers beside each other, or one, in level bits; they have one quantizer of h.

    Parameters
    ----------
    rng : Generator
        Of the samples that activation scales are fitted to.
    stage : sequence of FloatLayer
    x : Quantizer
        Of the layers' input.
    inputs : float64 [windows, T, I]
    runs : sequence of dict of float64 arrays
        Intermediates of each float layer on `inputs`, in its own order.
    h_offset : float, or float64 [H]
    options : FitOptions

    Raises
    ------
    MubinnError
        For offsets of h that differ between cells where h is a factor, and scales out of range.
    """
    first, *more = zip(stage, runs, strict=True)
    others = [_clipped(layer, run, layer.cell.states[0].name) for layer, run in more]
    layers = [_quantized_layer(rng, *first, x, inputs, h_offset, options, others)]
    for layer, run in more:
        h = layers[0].h
        layers.append(_quantized_layer(rng, layer, run, x, inputs, h_offset, options, h=h))
    return layers


def _clipped(layer: FloatLayer, run: Mapping[str, Floats], name: str) -> Floats:
    """Return what the encoder `name` reads."""
    clip = layer.clip(name)
    return np.clip(run[f"{name}_raw"], -clip, clip)


def _quantized_layer(
    rng: np.random.Generator,
    layer: FloatLayer,
    run: Mapping[str, Floats],
    x: Quantizer,
    inputs: Floats,
    h_offset: Floats | float,
    options: FitOptions,
    others: Sequence[Floats] = (),
    h: Quantizer | None = None,
) -> QuantizedLayer:
    """Return one layer; its h has the quantizer `h`, or one fitted to the layer's and `others`."""
    cell = layer.cell
    found = fitted_encoders(rng, layer, run, h_offset, options, others, h)
    states = []
    for phase, node in enumerate(cell.recurrent):
        made = run[node.name][..., : layer.sizes.phase_columns(phase)]
        read = layer.frames.met(made) if node.operation == "state" else made
        states.append(StateRows(layer.sizes.phase_rows(phase), found[node.name], read))
    inputs = layer.place.ordered(inputs)
    weights = layer.wx, layer.wh, layer.b
    wx, wh, b = fit_sums(weights, x, states, options, inputs, layer.frames, layer.sizes)
    levels, rule = options.levels.count("w"), options.encoders.get("w")
    stored = {
        name: fit_weights(values, levels, (len(values),), rule=rule)
        for name, values in layer.stored.items()
    }
    parts = cell, x, found, wx, wh, b, options.formats
    return QuantizedLayer(*parts, stored=stored, frames=layer.frames, place=layer.place)


def fitted_encoders(
    rng: np.random.Generator,
    layer: FloatLayer,
    run: Mapping[str, Floats],
    h_offset: Floats | float,
    options: FitOptions,
    others: Sequence[Floats] = (),
    h: Quantizer | None = None,
) -> dict[str, Quantizer]:
    """Return the quantizers of all encoders of a layer, fitted to what it has made in `run`.

    That of its output is `h`, or fitted to it and the `others` beside it. Raises `MubinnError` for
    offsets that differ between cells where h is a factor, and scales out of range.
    """
    cell, formats = layer.cell, options.formats
    output = cell.states[0]
    if np.ndim(h_offset) and output in cell.kept:
        raise MubinnError(
            f"a {family_of(cell).upper()} takes one offset of h for all cells: give one number."
        )
    found: dict[str, Quantizer] = fit_gates(rng, layer, run["y"], options) if cell.gates else {}
    for node in cell.encoders:
        if node in cell.gates:
            continue
        name, clip, tensor = node.name, layer.clip(node.name), cell.tensor(node)
        if name == output.name and h is not None:
            found[name] = h
            continue
        meets, values = tensor == "h", _clipped(layer, run, name)
        if name == output.name and others:
            values = np.concatenate([values, *others], axis=-1)
        found[name] = fit_activation(
            rng,
            values,
            options.levels.count(tensor),
            h_offset if name == output.name else 0.0,
            _most(node.operands[0], found, formats, meets),
            clip,
            options.form if meets else "free",
            options.encoders.get(tensor),
        )
    for name, quantizer in found.items():
        _check_clip(name, quantizer, layer.clip(name))
    return found


def _most(node: Node, found: dict[str, Quantizer], formats: Formats, meets: bool) -> int:
    """Return the most fraction bits of scales for a value.

    What meets weights may be the x of a layer above, and keeps to the fraction bits of an input.
    """
    limits = [INPUT_FRACTION] if meets else [15]
    own = _fraction(node, found, formats)
    return min(limits if own is None else [*limits, own])


def _fraction(node: Node, found: dict[str, Quantizer], formats: Formats) -> int | None:
    """Return the fraction bits of a value, None where they follow from scales not known yet."""
    if node.is_code:
        quantizer = found.get(node.name)
        return None if quantizer is None else quantizer.fraction
    if node.operation == "activation":
        return formats.y_fraction
    if node.operation == "row":
        return None
    parts = [_fraction(part, found, formats) for part in node.operands]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return sum(known) if node.operation == "product" else max(known)


def _check_clip(name: str, quantizer: Quantizer, clip: float) -> None:
    """Clipping folds into an encoder while no threshold lies beyond it."""
    reach = int(np.abs(quantizer.nodes).max() + np.abs(quantizer.offset).max())
    highest = float(np.ldexp(float(reach), -quantizer.fraction))
    if highest > clip:
        raise MubinnError(
            f"the highest threshold of {name}, {highest:.4g}, lies beyond its clip {clip:.4g}: "
            f"use fewer levels for {name}{'' if quantizer.encoder is None else ', or mlb'}."
        )


def dense_layer(model: FloatModel, h: Quantizer, options: FitOptions) -> QuantizedDense:
    """Return the dense layer, with the offset of `h` folded into its bias."""
    w_levels, b_levels = options.levels.count("w"), options.levels.count("b")
    groups = (model.outputs,) if options.granularity == "gate" else (1,) * model.outputs
    w = fit_weights(model.wd, w_levels, groups, options.form)
    offset = np.broadcast_to(h.float_offset, width(model.top))
    folded = model.bd + w.float_values @ offset
    b = fit_weights(folded, b_levels, (model.outputs,), fraction=h.fraction + w.fraction)
    return QuantizedDense(w, b, model.head)
