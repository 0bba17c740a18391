"""Fitting tensors of a float model: activations from a calibration run, weights from themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mubinn.golden.binarize.error_compensation import compensated_bits
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.mlb import mlb
from mubinn.golden.binarize.rules import Rule
from mubinn.golden.binarize.scale_form import ScaleForm, fit_fixed, fit_form, fixed_form
from mubinn.golden.binarize.scales import MAX_STORED_SCALE, LevelTensor, Quantizer, grouped
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.sizes import Sizes
from mubinn.golden.cells.sweep import Reads
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Bits, Floats, Ints, to_fixed, to_float
from mubinn.golden.model import reference
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.units.shapes import shape_of

Granularity = Literal["gate", "row"]
SAMPLE = 200_000
"""Values of an activation tensor that its scales are fitted to."""


@dataclass(frozen=True)
class FitOptions:
    """What is asked of every layer; see `mubinn.golden.quantize.quantize`."""

    levels: Levels
    granularity: Granularity
    form: ScaleForm
    gate_offset: float
    formats: Formats
    encoders: Mapping[str, Rule] = field(default_factory=dict)


def fit_activation(
    rng: np.random.Generator,
    values: Floats,
    levels: int,
    offset: Floats | float = 0.0,
    most: int = 15,
    clip: float = np.inf,
    form: ScaleForm = "free",
    rule: Rule | None = None,
) -> Quantizer:
    """Return the quantizer fitted to a sample of the values [..., n] of an activation tensor.

    It has one `offset`, or n, and at most `most` fraction bits; the values are clipped to the
    magnitude `clip`. A `rule` has the levels, the form and the encoder of its own.
    """
    centred = (values - np.asarray(offset)).ravel()
    if not np.isfinite(centred).all():
        raise MubinnError("the calibration data hold NaN or infinite values: drop those windows.")
    sample = rng.choice(centred, SAMPLE) if centred.size > SAMPLE else centred
    if rule is not None:
        return rule.quantizer(sample, offset, most)
    peak = float(np.abs(offset).max())
    stored, fraction = fit_fixed(sample, levels, form, offset=peak, most=most, clip=clip)
    return Quantizer(stored, fraction, to_fixed(np.asarray(offset), fraction))


def fit_gates(
    rng: np.random.Generator, layer: FloatLayer, y: Floats, options: FitOptions
) -> dict[str, Quantizer]:
    """Return the quantizers of a layer's gates, side by side in `y` [windows, T, G H]."""
    gates, made = {}, layer.cell.gates
    for gate, own in zip(made, np.split(y, len(made), axis=-1), strict=True):
        clip = layer.clip(gate.name)
        signed = shape_of(gate.operands[0].kind).low < 0
        offset = 0.0 if signed else options.gate_offset
        most = options.formats.y_fraction
        gates[gate.name] = fit_activation(
            rng,
            np.clip(own, -clip, clip),
            options.levels.count("gate"),
            offset,
            most,
            clip,
            rule=options.encoders.get("gate"),
        )
    return gates


def _weight_scales(
    parts: Sequence[Floats],
    levels: int,
    form: ScaleForm = "free",
    fraction: int | None = None,
) -> tuple[Ints, int]:
    """Return fixed-point scales [groups, levels] of the weights of each group, and fraction.

    A given `fraction` is for free scales, those of biases.
    """
    live = np.array([part.any() for part in parts])
    scales = np.zeros((len(parts), levels), np.int64)
    if not live.any():
        # Fraction bits of what is 0 everywhere would lengthen all sums that it enters.
        return scales, fraction or 0
    if not live.all():
        # Groups of zeros are products that a row leaves out.
        own = [part for part in parts if part.any()]
        scales[live], fraction = _weight_scales(own, levels, form, fraction)
        return scales, fraction
    fitted = fit_form(parts, levels, form)
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
    groups: Sequence[int],
    form: ScaleForm = "free",
    fraction: int | None = None,
    rule: Rule | None = None,
) -> LevelTensor:
    """Fit and binarize rows [R, ...] in groups of so many rows, each value for itself."""
    if rule is not None:
        return rule.tensor(values, groups)
    scales, fraction = _weight_scales(grouped(values, groups), levels, form, fraction)
    # The bits come from the scales as stored, so that rounding them costs as little as it can.
    stored = to_float(np.repeat(scales, groups, axis=0), fraction)
    bits = mlb(values, stored.T.reshape(levels, -1, *[1] * (values.ndim - 1)))
    return LevelTensor(bits, scales, fraction, tuple(groups))


@dataclass(frozen=True, eq=False)
class StateRows:
    """Rows that multiply one state with W_h.

    Attributes
    ----------
    rows : int64 [n]
    quantizer : Quantizer
    read : float64 [windows, T, n]
        What the rows read in each step of the float layer's calibration run; n columns count.
    """

    rows: Ints
    quantizer: Quantizer
    read: Floats


def fit_sums(
    weights: tuple[Floats, Floats, Floats],
    x: Quantizer,
    states: Sequence[StateRows],
    options: FitOptions,
    inputs: Floats,
    frames: Reads,
    sizes: Sizes,
) -> tuple[LevelTensor, LevelTensor, LevelTensor]:
    """Fit the scales, then choose bias and weight bits to keep z close to the float model's.

    The bias is binarized first, so that the weights make good what its few levels miss. Where a
    rule encodes the weights, it decides on each by itself, and the bias has the bits nearest to it.

    Parameters
    ----------
    weights : (float64 [R, I], float64 [R, H], float64 [R])
        W_x, W_h and the bias, rows of the cell one after the other.
    x : Quantizer
        Its offset is folded into the bias, as are those of `states`.
    states : sequence of StateRows
        All rows between them.
    options : FitOptions
    inputs : float64 [windows, T, I]
        x of the float layer's calibration run.
    frames : Frames or Sweep
        What the layer reads of it.
    sizes : Sizes

    Returns
    -------
    wx, wh, b : LevelTensor
    """
    w_x, w_h, bias = weights
    gates, used = sizes.row_counts, ~sizes.unused()
    levels, form = options.levels, options.form
    groups = gates if options.granularity == "gate" else (1,) * len(w_h)
    rule = options.encoders.get("w")
    ruled = [rule.tensor(w_x, groups), rule.tensor(w_h, groups, used)] if rule else []
    (wx_scales, wx_fraction), (wh_scales, wh_fraction) = [
        (tensor.scales, tensor.fraction) for tensor in ruled
    ] or [
        _weight_scales(own, levels.count("w"), form)
        for own in (grouped(w_x, groups), grouped(w_h, groups, used))
    ]
    folded = (bias + w_x @ frames.spread(x.float_offset, inputs.shape[2]))[:, None]
    for state in states:
        columns = state.read.shape[2]
        offset = frames.spread_state(state.quantizer.float_offset, columns)
        folded[state.rows, 0] += w_h[state.rows, :columns] @ offset
    over_h = max(state.quantizer.fraction for state in states) + wh_fraction
    b_fraction = max(x.fraction + wx_fraction, over_h)
    if ruled:
        bias_levels = fit_weights(folded[:, 0], levels.count("b"), gates, fraction=b_fraction)
        return ruled[0], ruled[1], bias_levels
    b_scales, b_fraction = _weight_scales(
        grouped(folded, gates), levels.count("b"), fraction=b_fraction
    )
    parts = [
        (values, to_float(np.repeat(scales, own, axis=0), fraction))
        for values, scales, own, fraction in (
            (folded, b_scales, gates, b_fraction),
            (w_x, wx_scales, groups, wx_fraction),
            (w_h, wh_scales, groups, wh_fraction),
        )
    ]
    bits = [np.zeros((scales.shape[1], *values.shape), np.uint8) for values, scales in parts]
    read = frames.of(_signs_only(x, inputs), _signs_only(x, np.zeros(inputs.shape[2])))
    for state in states:
        columns = np.concatenate(
            [
                np.ones((*read.shape[:2], 1)),
                read,
                _signs_only(state.quantizer, state.read),
            ],
            axis=2,
        )
        own = [
            (values[state.rows, :count], scales[state.rows])
            for (values, scales), count in zip(
                parts, (1, w_x.shape[1], state.read.shape[2]), strict=True
            )
        ]
        found = _compensated(own, columns.reshape(-1, columns.shape[2]))
        for whole, made in zip(bits, found, strict=True):
            whole[:, state.rows, : made.shape[2]] = made
    b, wx, wh = bits
    return (
        LevelTensor(wx, wx_scales, wx_fraction, groups),
        LevelTensor(wh, wh_scales, wh_fraction, groups),
        LevelTensor(b[:, :, 0], b_scales, b_fraction, gates),
    )


def _signs_only(quantizer: Quantizer, values: Floats) -> Floats:
    """Return what the level bits of `values` stand for without the offset."""
    return reference.FloatQuantizer.of(quantizer)(values) - quantizer.float_offset


def _compensated(parts: Sequence[tuple[Floats, Floats]], inputs: Floats) -> list[Bits]:
    """Binarize (values [R, n], scales [R, N]), columns side by side in order.

    Parts may have different level counts: levels that a part lacks have scale 0 and are dropped.
    """
    most = max(scales.shape[1] for _, scales in parts)
    columns = []
    for values, scales in parts:
        padded = np.pad(scales.T, ((0, most - scales.shape[1]), (0, 0)))
        columns.append(np.broadcast_to(padded[:, :, None], (most, *values.shape)))
    bits = compensated_bits(
        np.concatenate([values for values, _ in parts], axis=1),
        np.concatenate(columns, axis=2),
        inputs.T @ inputs / len(inputs),
    )
    found, first = [], 0
    for values, scales in parts:
        found.append(bits[: scales.shape[1], :, first : first + values.shape[1]])
        first += values.shape[1]
    return found
