"""Post-training quantization: level bits and scales fitted to a float model's own tensors.

NumPy and all else are imported by the call: the front of the package stands on this module.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mubinn.golden.binarize.levels import Levels
    from mubinn.golden.binarize.rules import Rule
    from mubinn.golden.binarize.scale_form import ScaleForm
    from mubinn.golden.cells.formats import Formats
    from mubinn.golden.cells.layer import QuantizedLayer
    from mubinn.golden.ground.fixed import Floats
    from mubinn.golden.model.float_model import FloatModel
    from mubinn.golden.model.quantized_model import QuantizedModel
    from mubinn.golden.quantization.tensors import Granularity


def quantize(
    model: "FloatModel",
    levels: "Levels",
    calibration: "Floats",
    *,
    granularity: "Granularity" = "gate",
    scale_form: "ScaleForm" = "free",
    gate_offset: float = 0.5,
    h_offset: "Floats | None" = None,
    formats: "Formats | None" = None,
    seed: int = 0,
    encoders: "Mapping[str, Rule] | None" = None,
) -> "QuantizedModel":
    """Return `model` in level bits and fixed-point scales, without any training.

    Scales minimise the squared error of each tensor: of the weights themselves, per gate or per row
    (`fit_scales`), and of the activations that the float model has on `calibration` (`fit_fixed`).
    With few levels that leaves the tails of a sample out (`mubinn.golden.quantization.clipped`).
    The bits of biases and weights are then chosen so that the errors of a row compensate each other
    on those activations (`mubinn.golden.binarize.error_compensation`).

    Parameters
    ----------
    model : FloatModel
    levels : Levels
        No tensor in full precision.
    calibration : float [windows, T, channels]
        Prepared input windows; a few dozen are enough.
    granularity : "gate" or "row"
        What shares one set of weight scales.
    scale_form : "free", "power-of-two" or "shift"
        Of the scales that meet in dot products, those of x, h and the weights; see
        `mubinn.golden.binarize.scale_form`. Gates, c and biases stay free.
    gate_offset : float
        Offset of the sigmoid gates f, i, o, or z, r; 0 is the paper's literal form.
    h_offset : float [H] or None
        Offsets of the last layer's h, one a cell; folded into the biases. A GRU takes one for all,
        and so do layers beside each other.
    formats : Formats or None
    seed : int
        Of the sample that activation scales are fitted to.
    encoders : mapping of str to Rule, or None
        By tensor: x, w, h, c or gate (`mubinn.golden.binarize.rules.parse_encoders`); those that
        are missing have Algorithm 1. A rule of activations becomes thresholds of the hardware; one
        of w decides here, on each weight of the recurrent layers by itself, and is not stored. The
        classifier and the biases have Algorithm 1.

    Raises
    ------
    MubinnError
        For a full-precision level, unusable calibration data, scales out of range, or rules that
        do not fit the levels.
    """
    import numpy as np

    from mubinn.golden.binarize.rules import check_rules
    from mubinn.golden.binarize.scales import scale_bits
    from mubinn.golden.cells.constants import INPUT_FRACTION
    from mubinn.golden.cells.formats import Formats
    from mubinn.golden.cells.place import side_by_side, stages, width
    from mubinn.golden.ground.errors import MubinnError
    from mubinn.golden.model import reference
    from mubinn.golden.model.quantized_model import QuantizedModel, sample_codes
    from mubinn.golden.quantization.layers import dense_layer, quantized_stage
    from mubinn.golden.quantization.tensors import FitOptions, fit_activation

    counts = {name: getattr(levels, name) for name in ("x", "w", "h", "c", "gate", "b")}
    if None in counts.values():
        raise MubinnError(
            f"{levels} keeps a tensor in full precision: give counts for all tensors."
        )
    if calibration.ndim != 3 or calibration.shape[2] != model.channels or not calibration.size:
        raise MubinnError(
            f"calibration data of shape {calibration.shape} are not (windows, steps, "
            f"{model.channels}): prepare them as the model's input is."
        )
    if h_offset is not None and np.ndim(h_offset):
        cells = width(model.top)
        if len(model.top) > 1:
            raise MubinnError(
                "h_offset has a number a cell, but the top layers beside each other have one "
                "quantizer: give one number."
            )
        if np.shape(h_offset) != (cells,):
            raise MubinnError(
                f"h_offset has shape {np.shape(h_offset)}: give one number, or one for each of "
                f"{cells} cells."
            )
    rules = dict(encoders or {})
    check_rules(rules, counts, scale_form)
    options = FitOptions(levels, granularity, scale_form, gate_offset, formats or Formats(), rules)
    rng = np.random.default_rng(seed)
    layers: list[QuantizedLayer] = []
    if not np.isfinite(calibration).all():
        raise MubinnError("the calibration data hold NaN or infinite values: drop those windows.")
    below = model.embedded(calibration)
    try:
        x = fit_activation(
            rng,
            below,
            levels.count("x"),
            most=INPUT_FRACTION,
            form=scale_form,
            rule=rules.get("x"),
        )
    except MubinnError as error:
        if "x" in rules:
            raise
        raise MubinnError(
            f"The input runs from {below.min():.4g} to {below.max():.4g}, which is too large for "
            f"scales of {scale_bits(levels.count('x'))} bits: have it normalised (--normalise "
            "window), or train on data in a larger unit."
        ) from error
    found = stages(model.layers)
    for stage in found:
        runs = [reference.run_layer(layer, reference.LayerQuantizers(), below) for layer in stage]
        offset = h_offset if stage is found[-1] and h_offset is not None else 0.0
        layers += quantized_stage(rng, stage, x, below, runs, offset, options)
        below, x = side_by_side(stage, [run["h"] for run in runs]), layers[-1].h
    about = model.readout, model.preprocessing, dict(model.meta)
    words = model.embedding
    codes = None if words is None else sample_codes(layers[0].x, words)
    return QuantizedModel(tuple(layers), dense_layer(model, layers[-1].h, options), *about, codes)
