"""The bit-true model over whole windows, with every intermediate kept: what hardware is held to."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.place import side_by_side, stages
from mubinn.golden.cells.step import Trace, cell_step, dots, logits
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.head import head_of
from mubinn.golden.model.layer_state import (
    LayerState,
    ModelState,
    check_carries,
    check_state,
    first_state,
    zero_codes,
)
from mubinn.golden.model.quantized_model import QuantizedModel


def frames_after(layer: QuantizedLayer, ahead: Ints, x: Ints) -> tuple[Ints, Ints]:
    """Return what the layer reads of codes `x` [..., T, inputs], and the steps before the next.

    Frames [..., T', I] in the layer's order, of a backward one the last step first. Before x stand
    the steps `ahead`, as `LayerState` has them.
    """
    if isinstance(layer.frames, Sweep):
        return layer.frames.of(x, layer.x.zero_code(layer.inputs)), ahead
    if layer.frames.plain:
        return layer.place.ordered(x), ahead
    return layer.frames.after(ahead, x)


def run_layer(layer: QuantizedLayer, x: npt.ArrayLike) -> Trace:
    """Return the intermediates of `cell_step` over whole sequences of frames `x` [..., T, I].

    The state before the first step is the code of 0. The arrays [T, ..., n] are the cell's with a
    leading time axis. A sweep goes over all pixels of a frame at once.
    """
    codes = np.asarray(x, np.int64)
    return run_layer_from(layer, codes, zero_codes(layer, *codes.shape[:-2]))[0]


def run_layer_from(
    layer: QuantizedLayer, x: npt.ArrayLike, states: Sequence[Ints]
) -> tuple[Trace, tuple[Ints, ...]]:
    """Do as `run_layer` from other codes of the states, `LayerState.codes`; return those after."""
    codes = np.asarray(x, np.int64)
    sweep = layer.frames if isinstance(layer.frames, Sweep) else None
    # [T, ..., I], or by frame [T, ..., P, I].
    codes = np.moveaxis(sweep.frames(codes), -3, 0) if sweep else np.moveaxis(codes, -2, 0)
    names = [node.name for node in layer.cell.states]
    zeros = zero_codes(layer)
    steps = []
    for now in codes:
        around = sweep.neighbours(states[0], zeros[0][0]) if sweep else None
        steps.append(cell_step(layer, now, *states, around=around))
        states = [steps[-1][name] for name in names]
    if sweep is None:
        return {name: np.stack([step[name] for step in steps]) for name in steps[0]}, tuple(states)
    pixels = codes.ndim - 2
    found = {
        name: np.concatenate([np.moveaxis(step[name], pixels - 1, 0) for step in steps])
        for name in steps[0]
    }
    return found, tuple(states)


def layer_inputs(
    model: QuantizedModel, x: npt.ArrayLike, kept: Sequence[bool] | None = None
) -> list[Ints]:
    """Return the frames [..., T, I] of every layer, in its own order, of input codes of windows.

    With `kept` x is [windows, T, I], and says of each window whether the next one begins with the
    state that it leaves; without it all begin as after a reset. Raises `MubinnError` where no
    window goes on from another, or where those that do have more frames than others.
    """
    codes = np.asarray(x, np.int64)
    if kept is None:
        return _through(model, codes)[0]
    check_carries(model.layers)
    for layer in model.layers:
        if isinstance(layer.frames, Frames) and layer.frames.before < layer.frames.taps - 1:
            raise MubinnError(
                "a convolution has fewer frames in a first window than in those that go on from "
                "it, which are not compared side by side: let the state be cleared, or give a "
                "model whose convolutions begin after steps of 0."
            )
    found: list[list[Ints]] = []
    state = before = first_state(model)
    for window, keeps in zip(codes, kept, strict=True):
        frames, _, _, left = _through(model, window, before)
        found.append(frames)
        before = left if keeps else state
    return [np.stack(own) for own in zip(*found, strict=True)]


def _through(
    model: QuantizedModel, codes: Ints, state: ModelState | None = None
) -> tuple[list[Ints], list[Trace], list[Ints], ModelState]:
    """Return frames and traces of all layers, h of those on top, and what all layers leave.

    Without a state they begin as after a reset, and what backward ones leave means nothing.
    """
    given = iter(state or first_state(model, *codes.shape[:-2]))
    frames: list[Ints] = []
    traces: list[Trace] = []
    left: list[LayerState] = []
    for stage in stages(model.layers):
        for layer in stage:
            old = next(given)
            read, ahead = frames_after(layer, old.ahead, codes)
            trace, after = run_layer_from(layer, read, old.codes)
            frames.append(read)
            traces.append(trace)
            left.append(LayerState(after, ahead))
        codes = side_by_side(stage, made := _outputs(traces[-len(stage) :]))
    return frames, traces, made, tuple(left)


def _outputs(traces: Sequence[Trace]) -> list[Ints]:
    """Return h [..., T, n] of layers, each in its own order."""
    return [np.moveaxis(trace["h"], 0, -2) for trace in traces]


def run(model: QuantizedModel, x: npt.ArrayLike) -> tuple[list[Trace], Ints, Ints | None]:
    """Return the traces of all layers, the scores and the classes of whole windows.

    Each begins as after a reset.

    Parameters
    ----------
    model : QuantizedModel
    x : int64 [..., T, I]
        Input codes, `QuantizedModel.encode_input`.

    Returns
    -------
    traces : list of dict
        One a layer, arrays [T, ..., n] in the layer's order.
    scores : int64 [..., C], or [..., T, C] of a readout at every step
        Of a step; the sums over the steps so far for the readouts mean and running; S of leaky.
    classes : int64 [...] or [..., T], or None
        As the head decides; None where it does not, in a regression.
    """
    _, traces, made, _ = _through(model, np.asarray(x, np.int64))
    return (traces, *_read(model, made)[:2])


def run_from(
    model: QuantizedModel, x: npt.ArrayLike, state: ModelState | None = None
) -> tuple[list[Trace], Ints, Ints | None, ModelState]:
    """Do as `run` from the state that windows before have left, and return what these leave.

    A recording that is run piece by piece, each from the state of the one before, has the traces
    that it has in one go, and the scores of the readout leaky. What the readouts mean and running
    sum is of one call: the sums of each begin with 0.

    Parameters
    ----------
    model, x
        Of `run`.
    state : tuple of LayerState, optional
        One a layer; that of a first window without it.

    Returns
    -------
    traces, scores, classes
        Of `run`.
    state : tuple of LayerState

    Raises
    ------
    MubinnError
        No window of this model goes on from another, `check_carries`; or the state is not its own.
    """
    codes = np.asarray(x, np.int64)
    check_carries(model.layers)
    if state is None:
        state = first_state(model, *codes.shape[:-2])
    check_state(model, state, *codes.shape[:-2])
    _, traces, made, left = _through(model, codes, state)
    scores, classes, sums = _read(model, made, state[-1].scores)
    return traces, scores, classes, (*left[:-1], left[-1]._replace(scores=sums))


def _read(
    model: QuantizedModel, made: Sequence[Ints], before: Ints | None = None
) -> tuple[Ints, Ints | None, Ints | None]:
    """Return scores and classes of h [..., T, n] of the layers on top, each in its own order.

    Last S of a leaky mean, which was `before`, after the last step; None of others.
    """
    dense, top = model.dense, model.layers[-1]
    reading, head = model.reading, head_of(dense.head)
    if reading.every_step:
        codes = side_by_side(model.top, made)
    else:
        codes = np.concatenate([h[..., -1:, :] for h in made], axis=-1)
    planes = dots(codes, top.h, dense.w.bits)
    values = logits(planes, dense.gamma(top.h), dense.b.values)
    left = None
    if reading.leak:
        values = reading.leaky(values, before)
        scores, left = reading.chosen(values), values[..., -1, :]
    else:
        scores = reading.total(values)
    return scores, head.decide(scores) if head.decision else None, left
