"""Fitting tensors of a float model: activations from a calibration run, weights from themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mubinn.golden import reference
from mubinn.golden.compensate import compensated_bits
from mubinn.golden.errors import MubinnError
from mubinn.golden.fixed import Floats, Ints, to_fixed, to_float
from mubinn.golden.formats import Formats
from mubinn.golden.levels import Levels
from mubinn.golden.mlb import mlb
from mubinn.golden.scale_form import ScaleForm, fit_form, fixed_form
from mubinn.golden.scales import MAX_STORED_SCALE, LevelTensor, Quantizer

Granularity = Literal["gate", "row"]
SAMPLE = 200_000
"""Values of an activation tensor that its scales are fitted to."""

CLIP_ROOM = 0.97
"""Share of the clip that thresholds may reach: the rest is for rounding up to 7 scales."""


@dataclass(frozen=True)
class FitOptions:
    """What is asked of every layer; see `mubinn.golden.quantize.quantize`."""

    levels: Levels
    granularity: Granularity
    form: ScaleForm
    gate_offset: float
    formats: Formats


def fit_activation(
    rng: np.random.Generator,
    values: Floats,
    levels: int,
    offset: Floats | float = 0.0,
    most: int = 15,
    clip: float = np.inf,
    form: ScaleForm = "free",
) -> Quantizer:
    """Return the quantizer fitted to a sample of the values [...] of an activation tensor.

    Parameters
    ----------
    rng : Generator
    values : float64 [..., n]
    levels : int
    offset : float64 [] or [n]
    most : int
        Fraction bits at most.
    clip : float
        The values are clipped to this magnitude.
    form : ScaleForm
    """
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
    parts = values.reshape(groups, -1)
    live = parts.any(axis=1)
    if not live.all() and live.any():
        # Groups of zeros are products that a row leaves out.
        own = parts[live]
        some, fraction = _weight_scales(own, levels, len(own), form, fraction)
        scales = np.zeros((groups, levels), np.int64)
        scales[live] = some
        return scales, fraction
    fitted = fit_form(list(parts), levels, form)
    if fraction is None:
        return fixed_form(fitted, form)
    if np.ldexp(fitted.max(), fraction) >= MAX_STORED_SCALE - 1:
        raise MubinnError(
            f"a bias as large as {fitted.max():.4g} does not fit the fixed-point format of its "
            "products: rescale the model."
        )
    return to_fixed(fitted, fraction), fraction


def fit_weights(
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


def fit_sums(
    weights: tuple[Floats, Floats, Floats],
    x: Quantizer,
    h: Quantizer,
    options: FitOptions,
    states: Floats,
    inputs: Floats,
) -> tuple[LevelTensor, LevelTensor, LevelTensor]:
    """Fit the scales, then choose bias and weight bits to keep z close to the float model's.

    The bias is binarized first, so that the weights make good what its few levels miss.

    Parameters
    ----------
    weights : (float64 [4H, I], float64 [4H, H], float64 [4H])
        W_x, W_h and the bias of four rows a cell.
    x, h : Quantizer
        Their offsets are folded into the bias.
    options : FitOptions
    states, inputs : float64 [windows, T, H], float64 [windows, T, I]
        h and x of the float layer's calibration run.

    Returns
    -------
    wx, wh, b : LevelTensor
    """
    w_x, w_h, bias = weights
    features, hidden = w_x.shape[1], w_h.shape[1]
    levels, form = options.levels, options.form
    groups = 4 if options.granularity == "gate" else 4 * hidden
    wx_scales, wx_fraction = _weight_scales(w_x, levels.count("w"), groups, form)
    wh_scales, wh_fraction = _weight_scales(w_h, levels.count("w"), groups, form)
    x_offset = np.broadcast_to(x.float_offset, features)
    h_offset = np.broadcast_to(h.float_offset, hidden)
    folded = (bias + w_x @ x_offset + w_h @ h_offset)[:, None]
    b_fraction = max(x.fraction + wx_fraction, h.fraction + wh_fraction)
    b_scales, b_fraction = _weight_scales(folded, levels.count("b"), 4, fraction=b_fraction)
    before = np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)
    columns = np.concatenate(
        [np.ones((*inputs.shape[:2], 1)), _signs_only(x, inputs), _signs_only(h, before)], axis=2
    ).reshape(-1, 1 + features + hidden)
    parts = ((folded, b_scales, b_fraction), (w_x, wx_scales, wx_fraction))
    b, wx, wh = _compensated((*parts, (w_h, wh_scales, wh_fraction)), columns)
    return wx, wh, LevelTensor(b.bits[:, :, 0], b.scales, b.fraction)


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
