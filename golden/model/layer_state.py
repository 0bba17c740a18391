"""What a window leaves in the layers, for the next one to go on from; and where none can."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.place import Placed
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.quantized_model import QuantizedModel


class LayerState(NamedTuple):
    """What one layer has after a step.

    Attributes
    ----------
    codes : tuple of int64 [..., n]
        Of its states, in the cell's order: h, and c of an LSTM. Of a sweep [..., P, n].
    ahead : int64 [..., k, I]
        Codes of the steps of its input that the next frame reads again; none, but of a
        convolution.
    scores : int64 [..., C] or None
        Of a model's last layer S of the readout leaky.
    """

    codes: tuple[Ints, ...]
    ahead: Ints
    scores: Ints | None = None


StateKind = Literal["cleared", "carried", "register"]
STATES: tuple[StateKind, ...] = ("cleared", "carried", "register")
"""What hardware has of windows that follow each other: each begins as after a reset, or with the
state that the one before leaves, or as a register says at the time."""


ModelState = tuple[LayerState, ...]
"""One `LayerState` a layer."""


def zero_codes(layer: QuantizedLayer, *lead: int) -> tuple[Ints, ...]:
    """Return the codes of 0 of the states, int64 ``[*lead, n]``, of a sweep ``[*lead, P, n]``.

    They are what stands there before a first step.
    """
    pixels = () if isinstance(layer.frames, Frames) else (layer.frames.pixels,)
    found = []
    for node in layer.cell.states:
        zero = layer.quantizers[node.name].zero_code(layer.sizes.count(node))
        found.append(np.broadcast_to(zero, (*lead, *pixels, len(zero))))
    return tuple(found)


def zero_steps(layer: QuantizedLayer, *lead: int) -> Ints:
    """Return the codes ``[*lead, k, I]`` of the steps of 0 before a first one."""
    before = layer.frames.before if isinstance(layer.frames, Frames) else 0
    return np.broadcast_to(layer.x.zero_code(layer.inputs), (*lead, before, layer.inputs))


def first_state(model: QuantizedModel, *lead: int) -> ModelState:
    """Return what every layer begins with after a reset, of `lead` streams."""
    *below, last = (
        LayerState(zero_codes(layer, *lead), zero_steps(layer, *lead)) for layer in model.layers
    )
    if model.reading.leak:
        last = last._replace(scores=np.zeros((*lead, model.outputs), np.int64))
    return (*below, last)


def check_carries(layers: Sequence[Placed]) -> None:
    """Raise `MubinnError` where a window cannot go on from what the one before has left.

    A backward layer begins with a window's last step, and what comes after that is not known. Where
    frames are more than a step apart, a window's last step may lie between two of them.
    """
    for layer in layers:
        if layer.place.backward:
            raise MubinnError(
                "a backward layer begins with the last step of a window, so that none goes on from "
                "the one before: let the state be cleared, or give a model without such a layer."
            )
        if isinstance(layer.frames, Frames) and layer.frames.stride > 1:
            raise MubinnError(
                f"a layer reads frames {layer.frames.stride} steps apart, of which one may be due "
                "beyond a window's end: let the state be cleared, or give a model with a stride "
                "of 1."
            )


def check_kind(layers: Sequence[Placed], kind: StateKind) -> None:
    """Raise `MubinnError` on an unknown kind, or one that these layers cannot have."""
    if kind not in STATES:
        raise MubinnError(f"unknown kind of state {kind!r}: give {', '.join(STATES)}.")
    if kind != "cleared":
        check_carries(layers)


def all_kept(kind: StateKind, windows: int) -> list[bool] | None:
    """Return that each window leaves its state to the next one; None where it is cleared.

    >>> all_kept("cleared", 2), all_kept("carried", 2)
    (None, [True, True])
    """
    return None if kind == "cleared" else [True] * windows


def check_state(model: QuantizedModel, state: ModelState, *lead: int) -> None:
    """Raise `MubinnError` unless `state` is one of `model`, of `lead` streams."""
    wanted = first_state(model, *lead)
    if len(state) != len(wanted):
        raise MubinnError(
            f"the state is one of {len(state)} layers, the model has {len(wanted)}: give what a "
            "run of this model has left."
        )
    for number, (own, zero) in enumerate(zip(state, wanted, strict=True)):
        shapes = [list(np.shape(codes)) for codes in own.codes]
        want = [list(codes.shape) for codes in zero.codes]
        if shapes != want:
            raise MubinnError(
                f"the state of layer {number} has codes {shapes}, the model's are {want}: give "
                "what a run of this model on as many streams has left."
            )
        frames = model.layers[number].frames
        most = frames.taps - 1 if isinstance(frames, Frames) else 0
        steps = {zero.ahead.shape, (*lead, most, zero.ahead.shape[-1])}
        if np.shape(own.ahead) not in steps:
            raise MubinnError(
                f"the state of layer {number} has steps {list(np.shape(own.ahead))} of its input, "
                f"the model's are {list(max(steps))}: give what a run of this model has left."
            )
        sums = [None if s is None else list(np.shape(s)) for s in (own.scores, zero.scores)]
        if sums[0] != sums[1]:
            raise MubinnError(
                f"the state of layer {number} has leaky sums {sums[0]}, the model's are {sums[1]}: "
                "give what a run of this model on as many streams has left."
            )
        nodes = model.layers[number].cell.states
        for node, codes in zip(nodes, own.codes, strict=True):
            levels = model.layers[number].quantizers[node.name].levels
            if np.size(codes) and not 0 <= int(np.min(codes)) <= int(np.max(codes)) < 1 << levels:
                raise MubinnError(
                    f"the state of layer {number} has numbers for {node.name} that are no codes of "
                    f"{levels} levels: give what a run of this model has left."
                )
