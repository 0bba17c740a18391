"""Post-training quantization of an LSTM layer, and of the classifier."""

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.constants import GATES, INPUT_FRACTION
from mubinn.golden.cells.lstm_layer import QuantizedLstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model.float_model import FloatLstm, FloatModel
from mubinn.golden.model.quantized_model import QuantizedDense
from mubinn.golden.quantization.tensors import (
    FitOptions,
    StateRows,
    before,
    fit_activation,
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
    return QuantizedLstm(x, h, gates, wx, wh, b, formats, c=c)


def _check_clip(c: Quantizer, clip: float) -> None:
    """Clipping folds into the encoder of c while no threshold lies beyond it."""
    highest = float(c.float_scales[:-1].sum() + np.abs(c.float_offset).max())
    if highest > clip:
        raise MubinnError(
            f"the highest threshold of c, {highest:.4g}, lies beyond its clip {clip:.4g}: "
            "use fewer levels for c."
        )


def dense_layer(model: FloatModel, h: Quantizer, options: FitOptions) -> QuantizedDense:
    """Return the classifier, with the offset of `h` folded into its bias."""
    w_levels, b_levels = options.levels.count("w"), options.levels.count("b")
    groups = 1 if options.granularity == "gate" else model.classes
    w = fit_weights(model.wd, w_levels, groups, options.form)
    offset = np.broadcast_to(h.float_offset, model.layers[-1].hidden)
    folded = model.bd + w.float_values @ offset
    return QuantizedDense(w, fit_weights(folded, b_levels, 1, fraction=h.fraction + w.fraction))
