"""Stored words as logic that is read in order: a tree of multiplexers, its busiest bit at the root.

Bit 0 of the index chooses last. Of a counting index bit k changes every ``2**k`` reads, and the
``2**k`` multiplexers it chooses in for each bit of a word then change together: each depth takes as
many changes a read as the others. With bit 0 at the leaves all of these would change at each read.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value


def word_tree(m: Module, words: Sequence[int], index: Value, width: int, *, name: str) -> Value:
    """Return ``words[index]`` as an unsigned value of `width` bits; combinational.

    A vector of multiplexers for each bit of the index; equal parts of all bits of words are one.

    Parameters
    ----------
    m : Module
        Receives the logic, in its combinational domain.
    words : sequence of int
        ``2**len(index)`` unsigned numbers of `width` bits.
    index : Value
    width : int
    name : str
        Prefix of the signals' names.

    Raises
    ------
    ValueError
        On words that do not fit the index.
    """
    if len(words) != 1 << len(index):
        raise ValueError(f"{len(words)} words do not fit an index of {len(index)} bits")
    parts, outputs = _different(_columns(words, width))
    choices = []
    for _ in range(len(index)):
        count = len(parts)
        parts, places = _different(np.concatenate([parts[:, 0::2], parts[:, 1::2]]))
        choices.append((places[:count], places[count:]))
    values: list[Value] = [Const(int(part[0]), 1) for part in parts]
    for depth in reversed(range(len(index))):
        low, high = (Cat(values[k] for k in places) for places in choices[depth])
        chosen = Signal(len(low), name=f"{name}_{depth}")
        m.d.comb += chosen.eq(Mux(index[depth], high, low))
        values = list(chosen)
    return Cat(values[k] for k in outputs)


def _columns(words: Sequence[int], width: int) -> npt.NDArray[np.uint8]:
    """Return each bit of all words, uint8 [width, words]."""
    rows = [list(word.to_bytes(-(-width // 8), "little")) for word in words]
    bits = np.unpackbits(np.array(rows, np.uint8), axis=1, bitorder="little")
    return np.ascontiguousarray(bits[:, :width].T)


def _different(
    parts: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the rows that differ from each other, and which of them each of `parts` is."""
    found, places = np.unique(parts, axis=0, return_inverse=True)
    return found, places.reshape(-1)
