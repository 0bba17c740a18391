"""Windows that go on from each other, subject by subject: what a model makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mubinn.cli.shared.recordings import prepared
from mubinn.golden.cells.frames import Frames
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import reference
from mubinn.golden.model.bit_true import run_from
from mubinn.golden.model.layer_state import check_carries
from mubinn.golden.model.quantized_model import QuantizedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mubinn.golden.model.float_model import FloatModel


def carried_scores(
    model: FloatModel | QuantizedModel,
    x: NDArray[Any],
    subject: NDArray[Any] | None,
    show: Callable[[str, int, int], None],
) -> tuple[NDArray[Any], int]:
    """Return the scores of raw windows [N, T, C] as in `infer`, or logits, and steps a window.

    A subject's windows are a stream, in their order: each begins with what the one before has left,
    in a causal front end as in the layers. Without subjects all windows are one stream. `show` is
    told of windows done, and of all.

    Raises
    ------
    MubinnError
        No window of this model goes on from another, or not with as many steps.
    """
    check_carries(model.layers)
    _check_steps(model, x.shape[1])
    causal = model.preprocessing.normalise == "causal"
    ready = None if causal else prepared(model, x, subject)
    found: NDArray[Any] | None = None
    done = steps = 0
    for group in _streams(len(x), subject):
        if ready is None:
            # What follows a signal goes on over the windows, too.
            whole = prepared(model, x[group].reshape(len(group), -1, x.shape[2]))
            own = whole.reshape(*group.shape, -1, whole.shape[-1])
        else:
            own = ready[group]
        steps = own.shape[2]
        follow = _follow(model)
        for k in range(group.shape[1]):
            scores = follow(own[:, k])
            if found is None:
                found = np.zeros((len(x), *scores.shape[1:]), scores.dtype)
            found[group[:, k]] = scores
            done += len(group)
            show("", done, len(x))
    assert found is not None
    return found, steps


def _streams(windows: int, subject: NDArray[Any] | None) -> list[NDArray[np.int64]]:
    """Return the windows [streams, windows of each] of streams of one length, for each length."""
    if subject is None:
        return [np.arange(windows)[None]]
    codes = np.unique(subject, return_inverse=True)[1]
    own = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    lengths = sorted({len(places) for places in own})
    return [np.stack([places for places in own if len(places) == n]) for n in lengths]


def _follow(model: FloatModel | QuantizedModel) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return what makes scores of the next windows [streams, T, I], each from its own last one."""
    if not isinstance(model, QuantizedModel):
        lists: list[list[Any]] = [[] for _ in range(len(model.layers) + bool(model.reading.leak))]
        return lambda x: reference.logits(model, x, carried=lists)
    state = None

    def integers(x: NDArray[Any]) -> NDArray[Any]:
        nonlocal state
        _, scores, _, state = run_from(model, model.encode_input(x), state)
        return scores

    return integers


def _check_steps(model: FloatModel | QuantizedModel, samples: int) -> None:
    """Raise `MubinnError` where the first window of a stream has other steps than the others."""
    decimate = model.preprocessing.decimate
    if samples % decimate:
        raise MubinnError(
            f"windows of {samples} samples end within a step of {decimate}, and do not go on from "
            f"each other: give windows of a multiple of {decimate} samples."
        )
    for layer in model.layers:
        frames = layer.frames
        if isinstance(frames, Frames) and frames.before < frames.taps - 1:
            raise MubinnError(
                "a convolution has fewer frames in a first window than in those that go on from "
                "it: let the state be cleared, or give a model whose convolutions begin after "
                "steps of 0."
            )
