"""Post-training quantization: level bits and scales fitted to a float model's own tensors."""

import numpy as np

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scale_form import ScaleForm
from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model import reference
from mubinn.golden.model.float_model import GATES, FloatGru, FloatLstm, FloatModel
from mubinn.golden.model.quantized_model import (
    INPUT_FRACTION,
    Formats,
    QuantizedDense,
    QuantizedLayer,
    QuantizedLstm,
    QuantizedModel,
)
from mubinn.golden.quantization.gru import gru_layer
from mubinn.golden.quantization.tensors import (
    FitOptions,
    Granularity,
    StateRows,
    before,
    fit_activation,
    fit_sums,
    fit_weights,
)


def quantize(
    model: FloatModel,
    levels: Levels,
    calibration: Floats,
    *,
    granularity: Granularity = "gate",
    scale_form: ScaleForm = "free",
    gate_offset: float = 0.5,
    h_offset: Floats | None = None,
    formats: Formats | None = None,
    seed: int = 0,
) -> QuantizedModel:
    """Return `model` in level bits and fixed-point scales, without any training.

    Scales minimise the squared error of each tensor (`fit_scales`): of the weights themselves, per
    gate or per row, and of the activations that the float model has on `calibration`. The bits of
    biases and weights are then chosen so that the errors of a row compensate each other on those
    activations (`mubinn.golden.binarize.error_compensation`).

    Parameters
    ----------
    model : FloatModel
    levels : Levels
        No tensor in full precision.
    calibration : float [windows, T, I]
        Prepared input windows; a few dozen are enough.
    granularity : "gate" or "row"
        What shares one set of weight scales.
    scale_form : "free", "power-of-two" or "shift"
        Of the scales that meet in dot products, those of x, h and the weights; see
        `mubinn.golden.binarize.scale_form`. Gates, c and biases stay free.
    gate_offset : float
        Offset of the sigmoid gates f, i, o, or z, r; 0 is the paper's literal form.
    h_offset : float [H] or None
        Offsets of the last layer's h, one a cell; folded into the biases. A GRU takes one for all.
    formats : Formats or None
    seed : int
        Of the sample that activation scales are fitted to.

    Raises
    ------
    MubinnError
        For a full-precision level, unusable calibration data, or scales out of range.
    """
    counts = {name: getattr(levels, name) for name in ("x", "w", "h", "c", "gate", "b")}
    if None in counts.values():
        raise MubinnError(
            f"{levels} keeps a tensor in full precision: give counts for all tensors."
        )
    if calibration.ndim != 3 or calibration.shape[2] != model.features or not calibration.size:
        raise MubinnError(
            f"calibration data of shape {calibration.shape} are not (windows, steps, "
            f"{model.features}): prepare them as the model's input is."
        )
    if h_offset is not None and np.shape(h_offset) not in ((), (model.layers[-1].hidden,)):
        raise MubinnError(
            f"h_offset has shape {np.shape(h_offset)}: give one number, or one for each of "
            f"{model.layers[-1].hidden} cells."
        )
    options = FitOptions(levels, granularity, scale_form, gate_offset, formats or Formats())
    rng = np.random.default_rng(seed)
    layers: list[QuantizedLayer] = []
    below = np.asarray(calibration, np.float64)
    x = fit_activation(rng, below, levels.count("x"), most=INPUT_FRACTION, form=scale_form)
    for index, layer in enumerate(model.layers):
        run = reference.run_layer(layer, reference.LayerQuantizers(), below)
        offset = h_offset if index == len(model.layers) - 1 and h_offset is not None else 0.0
        if isinstance(layer, FloatGru):
            layers.append(gru_layer(rng, layer, x, below, run, offset, options))
        else:
            layers.append(_lstm_layer(rng, layer, x, below, run, offset, options))
        below, x = run["h"], layers[-1].h
    dense = _dense(model, layers[-1].h, options)
    return QuantizedModel(
        tuple(layers), dense, model.readout, model.preprocessing, dict(model.meta)
    )


def _lstm_layer(
    rng: np.random.Generator,
    layer: FloatLstm,
    x: Quantizer,
    inputs: Floats,
    run: dict[str, Floats],
    h_offset: Floats | float,
    options: FitOptions,
) -> QuantizedLstm:
    """Return the layer; `inputs` [windows, T, I] and `run` are its float calibration run."""
    levels, formats = options.levels, options.formats
    gates = {}
    for name, y in zip(GATES, np.split(run["y"], 4, axis=-1), strict=True):
        offset = 0.0 if name == "g" else options.gate_offset
        gates[name] = fit_activation(rng, y, levels.count("gate"), offset, formats.y_fraction)
    clip = np.inf if layer.c_clip is None else layer.c_clip
    c = fit_activation(rng, np.clip(run["c_raw"], -clip, clip), levels.count("c"), clip=clip)
    _check_clip(c, clip)
    # h may be the x of a layer above, so it keeps to the fraction bits of an input.
    most = min(INPUT_FRACTION, gates["o"].fraction + formats.y_fraction)
    h = fit_activation(rng, run["h"], levels.count("h"), h_offset, most, form=options.form)
    states = StateRows(np.arange(len(layer.b)), h, before(run["h"]))
    wx, wh, b = fit_sums((layer.wx, layer.wh, layer.b), x, [states], options, inputs)
    return QuantizedLstm(x, h, c, gates, wx, wh, b, formats)


def _check_clip(c: Quantizer, clip: float) -> None:
    """Clipping folds into the encoder of c while no threshold lies beyond it."""
    highest = float(c.float_scales[:-1].sum() + np.abs(c.float_offset).max())
    if highest > clip:
        raise MubinnError(
            f"the highest threshold of c, {highest:.4g}, lies beyond its clip {clip:.4g}: "
            "use fewer levels for c."
        )


def _dense(model: FloatModel, h: Quantizer, options: FitOptions) -> QuantizedDense:
    w_levels, b_levels = options.levels.count("w"), options.levels.count("b")
    groups = 1 if options.granularity == "gate" else model.classes
    w = fit_weights(model.wd, w_levels, groups, options.form)
    offset = np.broadcast_to(h.float_offset, model.layers[-1].hidden)
    folded = model.bd + w.float_values @ offset
    return QuantizedDense(w, fit_weights(folded, b_levels, 1, fraction=h.fraction + w.fraction))
