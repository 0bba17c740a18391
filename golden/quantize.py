"""Post-training quantization: level bits and scales fitted to a float model's own tensors."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from mubinn.golden import reference
from mubinn.golden.compensate import compensated_bits
from mubinn.golden.errors import MubinnError
from mubinn.golden.fixed import Floats, Ints, to_fixed, to_float
from mubinn.golden.float_model import GATES, FloatLstm, FloatModel
from mubinn.golden.levels import Levels
from mubinn.golden.lstm_model import (
    INPUT_FRACTION,
    Formats,
    QuantizedDense,
    QuantizedLstm,
    QuantizedModel,
)
from mubinn.golden.mlb import mlb
from mubinn.golden.scale_form import ScaleForm, fit_form, fixed_form
from mubinn.golden.scales import (
    MAX_STORED_SCALE,
    LevelTensor,
    Quantizer,
)

Granularity = Literal["gate", "row"]
SAMPLE = 200_000
"""Values of an activation tensor that its scales are fitted to."""

CLIP_ROOM = 0.97
"""Share of the clip that thresholds may reach: the rest is for rounding up to 7 scales."""


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
    activations (`mubinn.golden.compensate`).

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
        `mubinn.golden.scale_form`. Gates, c and biases stay free.
    gate_offset : float
        Offset of the sigmoid gates f, i, o; 0 is the paper's literal form.
    h_offset : float [H] or None
        Offsets of the last layer's h, one a cell; folded into the biases.
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
    formats = formats or Formats()
    rng = np.random.default_rng(seed)
    layers: list[QuantizedLstm] = []
    below = np.asarray(calibration, np.float64)
    x_q = _activation(rng, below, levels.count("x"), most=INPUT_FRACTION, form=scale_form)
    for index, layer in enumerate(model.lstm_layers):
        run = reference.run_layer(layer, reference.LayerQuantizers(), below)
        offset = h_offset if index == len(model.layers) - 1 and h_offset is not None else 0.0
        quantizers = _fit_layer(rng, run, layer, levels, gate_offset, offset, formats, scale_form)
        fitted = _layer(
            layer, x_q, quantizers, levels, granularity, formats, run, below, scale_form
        )
        layers.append(fitted)
        below, x_q = run["h"], quantizers["h"]
    dense = _dense(model, layers[-1].h, levels, granularity, scale_form)
    return QuantizedModel(
        tuple(layers), dense, model.readout, model.preprocessing, dict(model.meta)
    )


def _activation(
    rng: np.random.Generator,
    values: Floats,
    levels: int,
    offset: object = 0.0,
    most: int = 15,
    clip: float = np.inf,
    form: ScaleForm = "free",
) -> Quantizer:
    centred = (values - np.asarray(offset)).ravel()
    if not np.isfinite(centred).all():
        raise MubinnError("the calibration data hold NaN or infinite values: drop those windows.")
    sample = rng.choice(centred, SAMPLE) if centred.size > SAMPLE else centred
    (scales,) = fit_form([sample], levels, form)
    # A threshold beyond the clip decides nothing; shrunk scales keep all of them within it.
    highest = float(scales[:-1].sum())
    if highest > CLIP_ROOM * clip:
        scales = scales * (CLIP_ROOM * clip / highest)
    peak = float(np.abs(offset).max())
    (stored,), fraction = fixed_form(scales[None], form, offset=peak, most=most)
    return Quantizer(stored, fraction, to_fixed(np.asarray(offset), fraction))


def _fit_layer(
    rng: np.random.Generator,
    run: dict[str, Floats],
    layer: FloatLstm,
    levels: Levels,
    gate_offset: float,
    h_offset: Floats | float,
    formats: Formats,
    form: ScaleForm,
) -> dict[str, Quantizer]:
    quantizers = {}
    for name, y in zip(GATES, np.split(run["y"], 4, axis=-1), strict=True):
        offset = 0.0 if name == "g" else gate_offset
        quantizers[name] = _activation(rng, y, levels.count("gate"), offset, formats.y_fraction)
    clip = np.inf if layer.c_clip is None else layer.c_clip
    c = np.clip(run["c_raw"], -clip, clip)
    quantizers["c"] = _activation(rng, c, levels.count("c"), clip=clip)
    _check_clip(quantizers["c"], clip)
    # h may be the x of a layer above, so it keeps to the fraction bits of an input.
    most = min(INPUT_FRACTION, quantizers["o"].fraction + formats.y_fraction)
    quantizers["h"] = _activation(rng, run["h"], levels.count("h"), h_offset, most, form=form)
    return quantizers


def _check_clip(c: Quantizer, clip: float) -> None:
    """Clipping folds into the encoder of c while no threshold lies beyond it."""
    highest = float(c.float_scales[:-1].sum() + np.abs(c.float_offset).max())
    if highest > clip:
        raise MubinnError(
            f"the highest threshold of c, {highest:.4g}, lies beyond its clip {clip:.4g}: "
            "use fewer levels for c."
        )


def _weight_scales(
    values: Floats,
    levels: int,
    groups: int,
    form: ScaleForm = "free",
    fraction: int | None = None,
) -> tuple[Ints, int]:
    """Return fixed-point scales [groups, levels] of rows [R, ...] in equal groups, and fraction.

    A given `fraction` is for free scales, those of biases.
    """
    fitted = fit_form(values.reshape(groups, -1), levels, form)
    if fraction is None:
        return fixed_form(fitted, form)
    if np.ldexp(fitted.max(), fraction) >= MAX_STORED_SCALE - 1:
        raise MubinnError(
            f"a bias as large as {fitted.max():.4g} does not fit the fixed-point format of its "
            "products: rescale the model."
        )
    return to_fixed(fitted, fraction), fraction


def _weights(
    values: Floats,
    levels: int,
    groups: int,
    form: ScaleForm = "free",
    fraction: int | None = None,
) -> LevelTensor:
    """Fit and binarize rows [R, ...] in `groups` equal groups, each value for itself."""
    scales, fraction = _weight_scales(values, levels, groups, form, fraction)
    # The bits come from the scales as stored, so that rounding them costs as little as it can.
    stored = to_float(scales, fraction).T[:, :, None]
    bits = mlb(values.reshape(groups, -1), stored).reshape(levels, *values.shape)
    return LevelTensor(bits, scales, fraction)


def _layer(
    layer: FloatLstm,
    x: Quantizer,
    quantizers: dict[str, Quantizer],
    levels: Levels,
    granularity: Granularity,
    formats: Formats,
    run: dict[str, Floats],
    inputs: Floats,
    form: ScaleForm,
) -> QuantizedLstm:
    """Fit the scales, then choose bias and weight bits to keep z close to the float model's.

    `inputs` [windows, T, I] and `run` are the float layer's calibration run. The bias is binarized
    first, so that the weights make good what its few levels miss.
    """
    groups = 4 if granularity == "gate" else 4 * layer.hidden
    wx_scales, wx_fraction = _weight_scales(layer.wx, levels.count("w"), groups, form)
    wh_scales, wh_fraction = _weight_scales(layer.wh, levels.count("w"), groups, form)
    h = quantizers["h"]
    x_offset = np.broadcast_to(x.float_offset, layer.features)
    h_offset = np.broadcast_to(h.float_offset, layer.hidden)
    folded = (layer.b + layer.wx @ x_offset + layer.wh @ h_offset)[:, None]
    b_fraction = max(x.fraction + wx_fraction, h.fraction + wh_fraction)
    b_scales, b_fraction = _weight_scales(folded, levels.count("b"), 4, fraction=b_fraction)
    before = np.concatenate([np.zeros_like(run["h"][:, :1]), run["h"][:, :-1]], axis=1)
    inputs = np.concatenate(
        [np.ones((*inputs.shape[:2], 1)), _signs_only(x, inputs), _signs_only(h, before)], axis=2
    ).reshape(-1, 1 + layer.features + layer.hidden)
    parts = ((folded, b_scales, b_fraction), (layer.wx, wx_scales, wx_fraction))
    b, wx, wh = _compensated((*parts, (layer.wh, wh_scales, wh_fraction)), inputs)
    stored = LevelTensor(b.bits[:, :, 0], b.scales, b.fraction)
    gates = {name: quantizers[name] for name in GATES}
    return QuantizedLstm(x, h, quantizers["c"], gates, wx, wh, stored, formats)


def _signs_only(quantizer: Quantizer, values: Floats) -> Floats:
    """Return what the level bits of `values` stand for without the offset."""
    quantized = reference.FloatQuantizer(quantizer.float_scales, quantizer.float_offset)(values)
    return quantized - quantizer.float_offset


def _compensated(
    parts: Sequence[tuple[Floats, Ints, int]], inputs: Floats
) -> tuple[LevelTensor, ...]:
    """Binarize the columns of (values [R, n], scales [G, N], fraction) side by side, in order.

    Parts may have different level counts: levels that a part lacks have scale 0 and are dropped.
    """
    rows, most = len(parts[0][0]), max(scales.shape[1] for _, scales, _ in parts)
    columns = []
    for values, scales, fraction in parts:
        spread = np.repeat(to_float(scales, fraction), rows // len(scales), axis=0).T
        padded = np.pad(spread, ((0, most - len(spread)), (0, 0)))
        columns.append(np.broadcast_to(padded[:, :, None], (most, *values.shape)))
    bits = compensated_bits(
        np.concatenate([values for values, _, _ in parts], axis=1),
        np.concatenate(columns, axis=2),
        inputs.T @ inputs / len(inputs),
    )
    tensors, first = [], 0
    for values, scales, fraction in parts:
        own = bits[: scales.shape[1], :, first : first + values.shape[1]]
        tensors.append(LevelTensor(own, scales, fraction))
        first += values.shape[1]
    return tuple(tensors)


def _dense(
    model: FloatModel,
    h: Quantizer,
    levels: Levels,
    granularity: Granularity,
    form: ScaleForm,
) -> QuantizedDense:
    w_levels, b_levels = levels.count("w"), levels.count("b")
    w = _weights(model.wd, w_levels, 1 if granularity == "gate" else model.classes, form)
    offset = np.broadcast_to(h.float_offset, model.layers[-1].hidden)
    folded = model.bd + w.float_values @ offset
    return QuantizedDense(w, _weights(folded, b_levels, 1, fraction=h.fraction + w.fraction))
