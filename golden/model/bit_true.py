"""The bit-true model over whole windows, with every intermediate kept: what hardware is held to."""

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.cell import QuantizedLayer, cell_step
from mubinn.golden.cells.lstm_cell import Trace, dots, logits
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.quantized_model import QuantizedModel


def run_layer(layer: QuantizedLayer, x: npt.ArrayLike) -> Trace:
    """Return the intermediates of `cell_step` over whole sequences of input codes `x` [..., T, I].

    The state before the first step is the code of 0. The arrays [T, ..., n] are the cell's with a
    leading time axis.
    """
    codes = np.moveaxis(np.asarray(x, np.int64), -2, 0)
    shape = (*codes.shape[1:-1], layer.hidden)
    h = np.broadcast_to(layer.h.zero_code(layer.hidden), shape)
    c = np.broadcast_to(layer.c.zero_code(layer.hidden), shape)
    steps = []
    for now in codes:
        steps.append(cell_step(layer, now, h, c))
        h, c = steps[-1]["h"], steps[-1].get("c", c)
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


def run(model: QuantizedModel, x: npt.ArrayLike) -> tuple[list[Trace], Ints, Ints]:
    """Return the traces of all layers, the logits and the classes of whole windows.

    Parameters
    ----------
    model : QuantizedModel
    x : int64 [..., T, I]
        Input codes, `QuantizedModel.encode_input`.

    Returns
    -------
    traces : list of dict
        One a layer, arrays [T, ..., n].
    scores : int64 [..., C]
        Of the last step, or summed over the steps for the mean readout.
    classes : int64 [...]
        The first of the largest scores.
    """
    traces = []
    codes = np.asarray(x, np.int64)
    for layer in model.layers:
        traces.append(run_layer(layer, codes))
        codes = np.moveaxis(traces[-1]["h"], 0, -2)
    dense, top = model.dense, model.layers[-1]
    read = codes if model.readout == "mean" else codes[..., -1:, :]
    planes = dots(read, top.h, dense.w)
    scores = logits(planes, dense.gamma(top.h), dense.b.values).sum(axis=-2)
    return traces, scores, scores.argmax(axis=-1)
