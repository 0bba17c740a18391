"""Where decisions on a number change: thresholds of encoders, searches and what stands before."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.operations import Activate, Encode, Operation, Search
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.units.threshold_search import encoder_nodes, threshold_search


def segments(chain: Sequence[Operation], bound: int) -> tuple[Ints, Ints]:
    """Return where the result of operations on a number changes, and the results.

    All of `chain` but the last one never decrease. ``|number| <= bound``.

    Returns
    -------
    first : int64 [H or 1, K]
    made : int64 [K + 1]
    """
    *inner, last = chain
    nodes, made, offset = _decisions(last)
    first = nodes + np.reshape(offset, (-1, 1))
    if inner:
        low, high = np.full(first.shape, -bound - 1), np.full(first.shape, bound + 1)
        # The smallest number whose value reaches the node, by bisection on the golden units.
        while (high - low > 1).any():
            middle = (low + high) // 2
            reached = reduce(lambda value, link: link(value), inner, middle) >= first
            high, low = np.where(reached, middle, high), np.where(reached, low, middle)
        first = high
    always, never = (first <= -bound).all(axis=0).sum(), (first > bound).all(axis=0).sum()
    kept = slice(int(always), len(nodes) - int(never))
    return first[:, kept], made[kept.start : kept.stop + 1]


def _decisions(last: Operation) -> tuple[Ints, Ints, Ints]:
    """Return an operation's nodes [K], what it makes below and from each, and its offset."""
    if isinstance(last, Encode):
        return encoder_segments(last.quantizer, last.fraction)
    if isinstance(last, Search):
        nodes = np.array(last.params.trees[last.tree], np.int64)
        offset = np.zeros(1, np.int64) if last.offset is None else last.offset
        found = _runs(nodes, lambda value: threshold_search(last.params, value, last.tree))
        return *found, offset
    assert isinstance(last, Activate)
    half = 1 << last.params.in_width - 1
    return *_runs(np.arange(1 - half, half), last), np.zeros(1, np.int64)


def encoder_segments(quantizer: Quantizer, fraction: int) -> tuple[Ints, Ints, Ints]:
    """Return the nodes [K] of an encoder without its offset, the codes [K + 1], and the offset."""
    bare = replace(quantizer, offset=np.zeros((), np.int64))
    shift = fraction - bare.fraction
    nodes = np.array(encoder_nodes(bare), np.int64) << shift
    return *_runs(nodes, lambda value: bare.encode(value, fraction)), quantizer.offset << shift


def _runs(nodes: Ints, function: Callable[[Ints], Ints]) -> tuple[Ints, Ints]:
    """Return the nodes where a function changes, and what it makes below and from each."""
    nodes = np.unique(nodes)
    made = function(np.append(nodes[0] - 1, nodes))
    starts = np.flatnonzero(np.diff(made))
    return nodes[starts], made[np.append(0, starts + 1)]
