"""Bit-true inference of GRUs over whole data sets: `bit_true.run` without its trace.

Level bits and scales are taken together, so that a step's sums are two products of matrices of
integers, exact in float64 within the limits of `mubinn.golden.cells.constants`.
"""

from collections.abc import Callable

import numpy as np

from mubinn.golden.cells.gru_before_cell import gru_before_reset, gru_before_state
from mubinn.golden.cells.gru_before_layer import QuantizedGruBefore
from mubinn.golden.cells.gru_cell import gru_state
from mubinn.golden.cells.gru_layer import GruLayer, QuantizedGru
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
        assert isinstance(layer, GruLayer)
        codes = _run(layer, codes)
    dense, h = model.dense, model.layers[-1].h
    read = codes if model.readout == "mean" else codes[:, -1:]
    # The sum of h over the steps is exact, and so is the sum of logits that it gives.
    total = h.decode_signs(read).sum(axis=1)
    return np.asarray(total @ dense.w.values.T + read.shape[1] * dense.b.values)


def _run(layer: GruLayer, codes: Ints) -> Ints:
    """Return the codes of h, int64 [N, T, H], of input codes [N, T, I]."""
    shift = layer.z_fraction - layer.x.fraction - layer.wx.fraction
    wx: Floats = np.ldexp(layer.wx.values.T.astype(np.float64), shift)
    step = _step(layer)
    h = np.broadcast_to(layer.h.zero_code(layer.hidden), (len(codes), layer.hidden))
    steps = np.empty((*codes.shape[:2], layer.hidden), np.int64)
    for t in range(codes.shape[1]):
        over_x = layer.x.decode_signs(codes[:, t]).astype(np.float64) @ wx
        h = step(over_x.astype(np.int64) + layer.b.values, h)
        steps[:, t] = h
    return steps


def _step(layer: GruLayer) -> Callable[[Ints, Ints], Ints]:
    """Return what gives the new codes [N, H] for x's and the bias's part of the sums, and h."""
    sums = [_state_sums(layer, phase) for phase in range(len(layer.phases))]
    if isinstance(layer, QuantizedGruBefore):
        before, update = layer, 2 * layer.hidden

        def two_phases(z: Ints, h: Ints) -> Ints:
            t = gru_before_reset(before, z[:, :update] + sums[0](h), h)
            candidate = z[:, update:] + sums[1](t["s"])
            return gru_before_state(before, candidate, t["gate"][:, : before.hidden], h)["h"]

        return two_phases
    assert isinstance(layer, QuantizedGru)
    after = layer
    return lambda z, h: gru_state(after, z + sums[0](h), h)["h"]


def _state_sums(layer: GruLayer, phase: int) -> Callable[[Ints], Ints]:
    """Return what gives the sums of a phase's rows over the codes [N, H] of the phase's state."""
    state = layer.states[phase]
    shift = layer.z_fraction - state.fraction - layer.wh.fraction
    rows = layer.wh.values[layer.phase_rows(phase)]
    w: Floats = np.ldexp(rows.T.astype(np.float64), shift)
    return lambda codes: (state.decode_signs(codes).astype(np.float64) @ w).astype(np.int64)
