"""Post-training quantization of a GRU layer."""

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.constants import GRU_GATES, INPUT_FRACTION
from mubinn.golden.cells.gru_before_layer import QuantizedGruBefore
from mubinn.golden.cells.gru_layer import QuantizedGru
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model.float_model import FloatGru
from mubinn.golden.quantization.tensors import (
    FitOptions,
    StateRows,
    before,
    fit_activation,
    fit_sums,
)


def gru_layer(
    rng: np.random.Generator,
    layer: FloatGru,
    x: Quantizer,
    inputs: Floats,
    run: dict[str, Floats],
    h_offset: Floats | float,
    options: FitOptions,
) -> QuantizedGru | QuantizedGruBefore:
    """Return the layer in level bits, in the form of its reset.

    Parameters
    ----------
    rng : Generator
        Of the samples that activation scales are fitted to.
    layer : FloatGru
    x : Quantizer
        Of the layer's input.
    inputs : float64 [windows, T, I]
    run : dict of float64 arrays
        Intermediates of the float layer on `inputs`.
    h_offset : float
    options : FitOptions

    Raises
    ------
    MubinnError
        For offsets of h that differ between cells, and scales out of range.
    """
    if np.ndim(h_offset):
        raise MubinnError("a GRU takes one offset of h for all cells: give one number.")
    levels, formats = options.levels, options.formats
    gates = {}
    for name, y in zip(GRU_GATES, np.split(run["y"], 3, axis=-1), strict=True):
        offset = 0.0 if name == "n" else options.gate_offset
        gates[name] = fit_activation(rng, y, levels.count("gate"), offset, formats.y_fraction)
    most = INPUT_FRACTION
    h = fit_activation(rng, run["h"], levels.count("h"), h_offset, most, form=options.form)
    rows, size = np.arange(4 * layer.hidden), 2 * layer.hidden
    if layer.reset == "after":
        states = [StateRows(rows, h, before(run["h"]))]
        sums = fit_sums(row_weights(layer), x, states, options, inputs)
        return QuantizedGru(x, h, gates, *sums, formats)
    s = fit_activation(rng, run["s_raw"], levels.count("h"), 0.0, most, form=options.form)
    bias = np.concatenate([layer.b[:size], layer.b[size:] + layer.bn])
    states = [
        StateRows(rows[:size], h, before(run["h"])),
        StateRows(rows[size : size + layer.hidden], s, run["s_raw"]),
    ]
    sums = fit_sums((layer.wx, layer.wh, bias), x, states, options, inputs)
    return QuantizedGruBefore(x, h, gates, *sums, formats, s=s)


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
