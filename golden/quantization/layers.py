"""Post-training quantization of an LSTM or GRU layer, and of the classifier."""

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.constants import GATES, GRU_GATES, INPUT_FRACTION
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.library import gru, gru_before, lstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model.float_model import FloatGru, FloatLstm, FloatModel
from mubinn.golden.model.quantized_model import QuantizedDense
from mubinn.golden.quantization.tensors import (
    FitOptions,
    StateRows,
    before,
    fit_activation,
    fit_gates,
    fit_sums,
    fit_weights,
)


def lstm_layer(
    rng: np.random.Generator,
    layer: FloatLstm,
    x: Quantizer,
    inputs: Floats,
    run: dict[str, Floats],
    h_offset: Floats | float,
    options: FitOptions,
) -> QuantizedLayer:
    """Return the layer in level bits.

    Parameters
    ----------
    rng : Generator
        Of the samples that activation scales are fitted to.
    layer : FloatLstm
    x : Quantizer
        Of the layer's input.
    inputs : float64 [windows, T, I]
    run : dict of float64 arrays
        Intermediates of the float layer on `inputs`.
    h_offset : float, or float64 [H]
    options : FitOptions
    """
    levels, formats = options.levels, options.formats
    gates = fit_gates(rng, GATES, run["y"], options)
    clip = np.inf if layer.c_clip is None else layer.c_clip
    c = fit_activation(rng, np.clip(run["c_raw"], -clip, clip), levels.count("c"), clip=clip)
    _check_clip(c, clip)
    # h may be the x of a layer above, so it keeps to the fraction bits of an input.
    most = min(INPUT_FRACTION, gates["o"].fraction + formats.y_fraction)
    h = fit_activation(rng, run["h"], levels.count("h"), h_offset, most, form=options.form)
    states = StateRows(np.arange(len(layer.b)), h, before(run["h"]))
    wx, wh, b = fit_sums((layer.wx, layer.wh, layer.b), x, [states], options, inputs)
    return QuantizedLayer(lstm, x, {**gates, "c": c, "h": h}, wx, wh, b, formats)


def _check_clip(c: Quantizer, clip: float) -> None:
    """Clipping folds into the encoder of c while no threshold lies beyond it."""
    highest = float(c.float_scales[:-1].sum() + np.abs(c.float_offset).max())
    if highest > clip:
        raise MubinnError(
            f"the highest threshold of c, {highest:.4g}, lies beyond its clip {clip:.4g}: "
            "use fewer levels for c."
        )


def gru_layer(
    rng: np.random.Generator,
    layer: FloatGru,
    x: Quantizer,
    inputs: Floats,
    run: dict[str, Floats],
    h_offset: Floats | float,
    options: FitOptions,
) -> QuantizedLayer:
    """Return the layer in level bits, in the form of its reset; parameters as of `lstm_layer`.

    Raises
    ------
    MubinnError
        For offsets of h that differ between cells, and scales out of range.
    """
    if np.ndim(h_offset):
        raise MubinnError("a GRU takes one offset of h for all cells: give one number.")
    levels, formats = options.levels, options.formats
    gates = fit_gates(rng, GRU_GATES, run["y"], options)
    most = INPUT_FRACTION
    h = fit_activation(rng, run["h"], levels.count("h"), h_offset, most, form=options.form)
    rows, size = np.arange(4 * layer.hidden), 2 * layer.hidden
    if layer.reset == "after":
        states = [StateRows(rows, h, before(run["h"]))]
        sums = fit_sums(row_weights(layer), x, states, options, inputs)
        return QuantizedLayer(gru, x, {**gates, "h": h}, *sums, formats)
    s = fit_activation(rng, run["s_raw"], levels.count("h"), 0.0, most, form=options.form)
    bias = np.concatenate([layer.b[:size], layer.b[size:] + layer.bn])
    states = [
        StateRows(rows[:size], h, before(run["h"])),
        StateRows(rows[size : size + layer.hidden], s, run["s_raw"]),
    ]
    sums = fit_sums((layer.wx, layer.wh, bias), x, states, options, inputs)
    return QuantizedLayer(gru_before, x, {**gates, "s": s, "h": h}, *sums, formats)


def row_weights(layer: FloatGru) -> tuple[Floats, Floats, Floats]:
    """Return W_x [4H, I], W_h [4H, H] and the bias [4H] of the rows z, r, nh, nx of each cell."""
    gates = 2 * layer.hidden
    none_x = np.zeros((layer.hidden, layer.features))
    none_h = np.zeros((layer.hidden, layer.hidden))
    return (
        np.concatenate([layer.wx[:gates], none_x, layer.wx[gates:]]),
        np.concatenate([layer.wh, none_h]),
        np.concatenate([layer.b[:gates], layer.bn, layer.b[gates:]]),
    )


def dense_layer(model: FloatModel, h: Quantizer, options: FitOptions) -> QuantizedDense:
    """Return the classifier, with the offset of `h` folded into its bias."""
    w_levels, b_levels = options.levels.count("w"), options.levels.count("b")
    groups = 1 if options.granularity == "gate" else model.classes
    w = fit_weights(model.wd, w_levels, groups, options.form)
    offset = np.broadcast_to(h.float_offset, model.layers[-1].hidden)
    folded = model.bd + w.float_values @ offset
    return QuantizedDense(w, fit_weights(folded, b_levels, 1, fraction=h.fraction + w.fraction))
