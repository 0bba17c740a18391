"""What a model is worth that goes on for hours: bit-true, on people whom training did not see.

State and front end are carried from sample to sample; a decision is read from the leaky sum of the
scores. The same windows are judged beside it as training knows them, each from a reset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model.front_end import FrontEnd
from mubinn.golden.model.head import Reading, check_decides, head_of
from mubinn.golden.model.layer_state import check_carries
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.train.data.recordings import LabelledSet
from mubinn.train.data.streams import DISTURBANCES, Stream, changes, disturbed, streams

LEAKS = (6, 7)
"""k: what a step adds is down to 1/e after ``2**k`` steps, 1.6 and 3.2 s of 40 steps a second."""

WIDTH = 24
"""Bits of the ADC: enough for all that is disturbed."""

AT_ONCE = 1 << 20
"""Samples of all channels that are made steps at once."""

BATCH = 128
"""Streams side by side, whose states of all steps are held at once."""

RECORDED = "as recorded"
"""The name of what is not disturbed."""

RESET = "reset"
"""The way in which each window begins anew; the others are `leak_name` of each k."""

EVERY_S, LONGEST_S = 0.1, 30.0
"""Seconds between the points of a reaction, and of all of it at most."""


def leak_name(k: int) -> str:
    """Return the name of the way in which all is carried, and read by a leaky sum.

    >>> leak_name(7)
    'k7'
    """
    return f"k{k}"


def judged_on(model: QuantizedModel, data: LabelledSet, fold: int) -> dict[str, Any]:
    """Return how often a model is right on the people of a fold, as JSON types.

    Parameters
    ----------
    model : QuantizedModel
        With the causal front end and one class a window.
    data : LabelledSet
        Integers of an ADC.
    fold : int

    Returns
    -------
    dict
        ``windows``: their count. ``right``: by disturbance, `RECORDED` first, and by way, how many
        are decided right; at the end of each where all is carried. ``changes``: recordings that
        another of the same person and another class goes before. ``every_s``, and ``reaction`` by
        way: of how many changes the class is right, every so many seconds after.

    Raises
    ------
    MubinnError
        The model cannot go on from step to step, or decides on no class a window; as `streams`.
    """
    check_decides(model.head, model.readout, "a recording that goes on")
    check_carries(model.layers)
    judge = _Judge(model, data)
    found = streams(data, fold)
    scale, rate = data.scale_uv or 1.0, data.fs_hz or 1.0
    each = {RECORDED: found}
    for name in DISTURBANCES:
        each[name] = [disturbed(one, name, scale, rate) for one in found]
    pairs = list(changes(found))
    every = max(1, round(EVERY_S * judge.steps_a_second))
    return {
        "windows": sum(len(one.windows) for one in found),
        "right": judge.right(each),
        "changes": len(pairs),
        "every_s": every / judge.steps_a_second,
        "reaction": judge.reaction(pairs, every),
    }


class _Judge:
    """A model, ready to decide on streams."""

    def __init__(self, model: QuantizedModel, data: LabelledSet) -> None:
        self.front_end = FrontEnd.of(model, WIDTH)
        self.decide = head_of(model.head).decide
        self.windows = CompiledModel(model)
        self.steps = CompiledModel(replace(model, readout="every"))
        self.steps_a_second = (data.fs_hz or 1.0) / self.front_end.decimation

    def right(self, found: Mapping[str, Sequence[Stream]]) -> dict[str, dict[str, int]]:
        """Return how many windows are decided right, by disturbance and by way."""
        whole = [(name, one) for name, own in found.items() for one in own]
        counts = {name: dict.fromkeys((RESET, *map(leak_name, LEAKS)), 0) for name in found}
        alone = iter(self._scores(self.windows, [w for _, one in whole for w in one.windows]))
        for name, one in whole:
            decided = self.decide(np.stack([next(alone) for _ in one.windows]))
            counts[name][RESET] += int((decided == one.label).sum())
        scores = self._scores(self.steps, [one.samples for _, one in whole])
        for k in LEAKS:
            for (name, one), sums in zip(whole, self._leaky(scores, k), strict=True):
                each = self._each(one)
                decided = self.decide(sums[each - 1 :: each])
                counts[name][leak_name(k)] += int((decided == one.label).sum())
        return counts

    def reaction(self, pairs: Sequence[tuple[Stream, Stream]], every: int) -> dict[str, list[int]]:
        """Return of how many changes the class is right `every` so many steps after, by way."""
        if not pairs:
            return {leak_name(k): [] for k in LEAKS}
        joined = [np.concatenate([one.samples, other.samples]) for one, other in pairs]
        scores = self._scores(self.steps, joined)
        begins = [self._each(one) * len(one.windows) for one, _ in pairs]
        least = min(len(own) - begin for own, begin in zip(scores, begins, strict=True))
        least = min(least, round(LONGEST_S * self.steps_a_second))
        found = {}
        for k in LEAKS:
            hits: NDArray[np.int64] = np.zeros(least // every, np.int64)
            for own, begin, (_, after) in zip(self._leaky(scores, k), begins, pairs, strict=True):
                decided = self.decide(own[begin : begin + least])
                hits += decided[every - 1 :: every] == after.label
            found[leak_name(k)] = hits.tolist()
        return found

    def _each(self, stream: Stream) -> int:
        """Return the steps of a window."""
        return int(stream.windows.shape[1]) // self.front_end.decimation

    def _scores(self, compiled: CompiledModel, found: Sequence[Ints]) -> list[Ints]:
        """Return the scores of streams of samples [T, I]."""

        def of(samples: Ints) -> Ints:
            steps, _ = self.front_end.run(samples)
            x = np.ldexp(steps.astype(np.float32), -INPUT_FRACTION)
            return compiled.infer(x, batch=BATCH).scores

        return _side_by_side(of, found)

    @staticmethod
    def _leaky(scores: Sequence[Ints], k: int) -> list[Ints]:
        return _side_by_side(Reading("leaky", 1, k).leaky, scores)


def _side_by_side(make: Callable[[Ints], Ints], found: Sequence[Ints]) -> list[Ints]:
    """Return what is made of arrays [T, n], those of one length [N, T, n] at once."""
    lengths = np.array([len(one) for one in found])
    made: dict[int, Ints] = {}
    for length in np.unique(lengths):
        own = np.flatnonzero(lengths == length)
        for part in np.array_split(own, -(-len(own) * length // AT_ONCE)):
            results = make(np.stack([found[k] for k in part]))
            made |= zip(part.tolist(), results, strict=True)
    return [made[k] for k in range(len(found))]
