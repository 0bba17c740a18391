"""The bit-true model over whole windows, with every intermediate kept: what hardware is held to."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.place import side_by_side, stages
from mubinn.golden.cells.step import Trace, cell_step, dots, logits
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.head import head_of, reading_of
from mubinn.golden.model.quantized_model import QuantizedModel


def frames_of(layer: QuantizedLayer, x: npt.ArrayLike) -> Ints:
    """Return what the layer reads of input codes `x` [..., T, inputs]: frames [..., T', I].

    They stand in the layer's order, of a backward one the last step first.
    """
    frames = layer.frames.of(np.asarray(x, np.int64), layer.x.zero_code(layer.inputs))
    return layer.place.ordered(frames)


def run_layer(layer: QuantizedLayer, x: npt.ArrayLike) -> Trace:
    """Return the intermediates of `cell_step` over whole sequences of frames `x` [..., T, I].

    The state before the first step is the code of 0. The arrays [T, ..., n] are the cell's with a
    leading time axis. A sweep goes over all pixels of a frame at once.
    """
    codes = np.asarray(x, np.int64)
    sweep = layer.frames if isinstance(layer.frames, Sweep) else None
    # [T, ..., I], or by frame [T, ..., P, I].
    codes = np.moveaxis(sweep.frames(codes), -3, 0) if sweep else np.moveaxis(codes, -2, 0)
    names = [node.name for node in layer.cell.states]
    counts = map(layer.sizes.count, layer.cell.states)
    zeros = [layer.quantizers[n].zero_code(k) for n, k in zip(names, counts, strict=True)]
    states = [np.broadcast_to(zero, (*codes.shape[1:-1], len(zero))) for zero in zeros]
    steps = []
    for now in codes:
        around = sweep.neighbours(states[0], zeros[0]) if sweep else None
        steps.append(cell_step(layer, now, *states, around=around))
        states = [steps[-1][name] for name in names]
    if sweep is None:
        return {name: np.stack([step[name] for step in steps]) for name in steps[0]}
    pixels = codes.ndim - 2
    return {
        name: np.concatenate([np.moveaxis(step[name], pixels - 1, 0) for step in steps])
        for name in steps[0]
    }


def layer_inputs(model: QuantizedModel, x: npt.ArrayLike) -> list[Ints]:
    """Return the frames [..., T, I] of every layer, in its own order, of input codes of windows."""
    found, codes = [], np.asarray(x, np.int64)
    for stage in stages(model.layers):
        found += [frames_of(layer, codes) for layer in stage]
        if stage[-1] is not model.layers[-1]:
            _, made = _run_stage(stage, found[-len(stage) :])
            codes = side_by_side(stage, made)
    return found


def _run_stage(
    stage: Sequence[QuantizedLayer], frames: Sequence[Ints]
) -> tuple[list[Trace], list[Ints]]:
    """Return the traces of layers beside each other, and h [..., T, n] of each in its order."""
    traces = [run_layer(layer, own) for layer, own in zip(stage, frames, strict=True)]
    return traces, [np.moveaxis(trace["h"], 0, -2) for trace in traces]


def run(model: QuantizedModel, x: npt.ArrayLike) -> tuple[list[Trace], Ints, Ints | None]:
    """Return the traces of all layers, the scores and the classes of whole windows.

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
        Of a step, or the sums over the steps so far for the readouts mean and running.
    classes : int64 [...] or [..., T], or None
        As the head decides; None where it does not, in a regression.
    """
    traces = []
    codes = np.asarray(x, np.int64)
    for stage in stages(model.layers):
        own, made = _run_stage(stage, [frames_of(layer, codes) for layer in stage])
        traces += own
        codes = side_by_side(stage, made)
    dense, top = model.dense, model.layers[-1]
    reading, head = reading_of(model.readout), head_of(dense.head)
    if not reading.every_step:
        codes = np.concatenate([h[..., -1:, :] for h in made], axis=-1)
    planes = dots(codes, top.h, dense.w.bits)
    scores = reading.total(logits(planes, dense.gamma(top.h), dense.b.values))
    return traces, scores, head.decide(scores) if head.decision else None
