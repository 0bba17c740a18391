"""Bit-true inference of GRUs over whole data sets: `bit_true.run` without its trace.

Level bits and scales are taken together, so that a step's sums are two products of matrices of
integers, exact in float64 within `mubinn.golden.cells.constants.check_bounds`.
"""

from collections.abc import Callable

import numpy as np

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.step import row_values, stored_values
from mubinn.golden.ground.fixed import Floats, Ints
from mubinn.golden.inference.input import Array, check_windows
from mubinn.golden.model.quantized_model import QuantizedModel


def gru_scores(
    model: QuantizedModel, x: Array, batch: int, progress: Callable[[int], None] | None = None
) -> Ints:
    """Return the scores of prepared windows of a GRU, int64 [N, C], as `bit_true.run` does.

    Parameters and faults are those of `CompiledModel.infer`.
    """
    check_windows(x)
    scores = np.zeros((len(x), model.classes), np.int64)
    for begin in range(0, len(x), batch):
        part = slice(begin, begin + batch)
        scores[part] = _scores(model, model.encode_input(x[part]))
        if progress is not None:
            progress(len(x[part]))
    return scores


def _scores(model: QuantizedModel, codes: Ints) -> Ints:
    for layer in model.layers:
        codes = _run(layer, codes)
    dense, h = model.dense, model.layers[-1].h
    read = codes if model.readout == "mean" else codes[:, -1:]
    # The sum of h over the steps is exact, and so is the sum of logits that it gives.
    total = h.decode_signs(read).sum(axis=1)
    return np.asarray(total @ dense.w.values.T + read.shape[1] * dense.b.values)


def _run(layer: QuantizedLayer, codes: Ints) -> Ints:
    """Return the codes of h, int64 [N, T, H], of input codes [N, T, I]."""
    shift = layer.z_fraction - layer.x.fraction - layer.wx.fraction
    wx: Floats = np.ldexp(layer.wx.values.T.astype(np.float64), shift)
    names = [node.name for node in layer.cell.states]
    zeros = (layer.quantizers[name].zero_code(layer.hidden) for name in names)
    states = [np.broadcast_to(zero, (len(codes), layer.hidden)) for zero in zeros]
    sums = [_state_sums(layer, phase) for phase in range(len(layer.phases))]
    steps = np.empty((*codes.shape[:2], layer.hidden), np.int64)
    numbers = stored_values(layer)
    for t in range(codes.shape[1]):
        over_x = layer.x.decode_signs(codes[:, t]).astype(np.float64) @ wx
        z = over_x.astype(np.int64) + layer.b.values
        values = {f"old.{name}": state for name, state in zip(names, states, strict=True)}
        values |= numbers
        for phase, read in enumerate(layer.cell.recurrent):
            rows = layer.phase_rows(phase)
            own = states[0] if read.operation == "state" else values[read.name]
            z[:, rows] += sums[phase](own)
            values |= row_values(layer, z, phase)
            layer.lowered.run(values, phase)
        states = [values[name] for name in names]
        steps[:, t] = states[0]
    return steps


def _state_sums(layer: QuantizedLayer, phase: int) -> Callable[[Ints], Ints]:
    """Return what gives the sums of a phase's rows over the codes [N, H] of the phase's state."""
    state = layer.states[phase]
    shift = layer.z_fraction - state.fraction - layer.wh.fraction
    rows = layer.wh.values[layer.phase_rows(phase)]
    w: Floats = np.ldexp(rows.T.astype(np.float64), shift)
    return lambda codes: (state.decode_signs(codes).astype(np.float64) @ w).astype(np.int64)
