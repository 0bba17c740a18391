"""The whole state of an accelerator: its parts in hardware, and what it is in integers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from amaranth.hdl import Shape

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.front_end import FrontEndState
from mubinn.golden.model.layer_state import ModelState, check_state, first_state
from mubinn.hw.accelerator.state_ring import pack, unpack
from mubinn.hw.frontend.front_end import StreamFrontEnd
from mubinn.hw.layer.layer_states import layer_state, state_layout, state_words
from mubinn.hw.layer.lstm_layer import LstmLayer
from mubinn.hw.layer.score_sum import ScoreSum


class StatePart(NamedTuple):
    """What turns in a ring by itself.

    Attributes
    ----------
    name : str
        "front_end", "layer", "sums" or "steps".
    shape : (int, int)
        Bits of a word, and how many there are.
    port : component or interface
        With the members of `mubinn.hw.stream.state_port.part_port`.
    """

    name: str
    shape: tuple[int, int]
    port: Any


def state_parts(
    front_end: StreamFrontEnd | None, layers: Sequence[LstmLayer], score_sum: ScoreSum | None
) -> list[StatePart]:
    """Return the parts of an accelerator in the order in which their words travel.

    M, D and the step of the front end; h and what else cells keep, layer by layer; S of a leaky
    mean; the count of steps.
    """
    found = []
    if front_end is not None:
        found.append(StatePart("front_end", front_end.words(front_end.front_end), front_end))
    for layer in layers:
        shape = state_layout(layer.plan).size, layer.plan.rounds
        found.append(StatePart("layer", shape, layer))
    top = [(part, part.kept) for part in layers]
    top += [] if score_sum is None else [(score_sum, score_sum.kept)]  # type: ignore[list-item]
    for name in ("sums", "steps"):
        found += [
            StatePart(name, (Shape.cast(kept[name][0]).width, kept[name][1]), getattr(part, name))
            for part, kept in top
            if name in kept
        ]
    return found


class WholeState(NamedTuple):
    """What an accelerator has between two windows of one stream.

    Attributes
    ----------
    layers : tuple of LayerState
        Codes of h and of what cells keep, and S of a leaky mean; as `run_from` leaves it.
    front_end : FrontEndState or None
        M, D and the step, as `FrontEnd.run` leaves it; of a number beyond which nothing changes
        that one.
    steps : int
        Steps since the state was cleared, where results say so: as they are counted, from
        ``2**width`` on where those that are too few are over.
    """

    layers: ModelState
    front_end: FrontEndState | None = None
    steps: int = 0


def state_bytes(core: Any, state: WholeState | None = None) -> bytes:
    """Return a state as it goes into an accelerator; without one that of a first window.

    Parameters
    ----------
    core : Accelerator
        With `state_port`.
    state : WholeState, optional

    Raises
    ------
    MubinnError
        The state is another model's.
    """
    if state is None:
        own = core.front_end and core.front_end.front_end.first()
        state = WholeState(first_state(core.model), own)
    check_state(core.model, state.layers)
    if (state.front_end is None) != (core.front_end is None):
        raise MubinnError(
            "a state has M and D exactly where the accelerator has a front end: give what a run "
            "of this model on such samples has left."
        )
    words = [] if state.front_end is None else [_front_words(core, state.front_end)]
    words += [state_words(*own) for own in zip(core.plans, state.layers, strict=True)]
    sums = state.layers[-1].scores
    for part in core.parts[len(words) :]:
        if part.name == "steps":
            words.append([_step_word(core, state.steps)])
        elif sums is not None:
            words.append(_sum_words(core, sums, part.shape))
    return pack(core.ring.shapes, words)


def whole_state(core: Any, saved: bytes) -> WholeState:
    """Return the state that the bytes of an accelerator are, see `state_bytes`.

    Raises
    ------
    MubinnError
        They are not as many as it has.
    """
    layers, front_end, steps = [], None, 0
    plans = iter(core.plans)
    for part, words in zip(core.parts, unpack(core.ring.shapes, saved), strict=True):
        if part.name == "front_end":
            own = core.front_end.front_end
            bits = own.size_width
            slow = [_signed(word, own.slow_width) for word in words[:-1]]
            size = np.array(words[-1] & (1 << bits) - 1, np.int64)
            front_end = FrontEndState(words[-1] >> bits, np.array(slow, np.int64), size)
        elif part.name == "layer":
            layers.append(layer_state(next(plans), words))
        elif part.name == "sums":
            bits, each = _sum_width(core, part.shape)
            sums = [_signed(w >> bits * e, bits) for w in words for e in range(each)]
            last = np.array(sums[: core.model.outputs], np.int64)
            layers[-1] = layers[-1]._replace(scores=last)
        else:
            width, settle = core.stamp.width, core.stamp.settle
            steps = words[0] & (1 << width) - 1
            if settle is not None and steps < settle and not words[0] >> width:
                steps += 1 << width
    return WholeState(tuple(layers), front_end, steps)


def _front_words(core: Any, state: FrontEndState) -> list[int]:
    own = core.front_end.front_end
    step = min(state.step, StreamFrontEnd.steps(own))
    slow = [int(m) % (1 << own.slow_width) for m in state.slow]
    return [*slow, step << own.size_width | int(state.size)]


def _sum_width(core: Any, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the bits of S of an output, and how many of these a word has."""
    each = core.plans[-1].engines if core.score_sum is None else 1
    return shape[0] // each, each


def _sum_words(core: Any, sums: Ints, shape: tuple[int, int]) -> list[int]:
    bits, each = _sum_width(core, shape)
    codes = [int(s) % (1 << bits) for s in sums] + [0] * (shape[1] * each - len(sums))
    chunks = (codes[first : first + each] for first in range(0, len(codes), each))
    return [sum(code << bits * e for e, code in enumerate(chunk)) for chunk in chunks]


def _step_word(core: Any, steps: int) -> int:
    stamp = core.stamp
    young = stamp.settle is not None and steps < stamp.settle
    return int(young << stamp.width | steps % (1 << stamp.width))


def _signed(word: int, bits: int) -> int:
    """Return the number that the lowest bits of a word are in two's complement.

    >>> _signed(0b11110, 4), _signed(0b101, 4)
    (-2, 5)
    """
    word &= (1 << bits) - 1
    return word - (word >> bits - 1 << bits)
