"""Loops of the fast inference as plain Python on NumPy arrays, written for numba to compile.

Each inner loop runs over the windows of a batch, contiguous and of 32 bits at most, so that LLVM
turns it into vector instructions, with a population count where the CPU has one. The casts keep
numba from widening what fits 32 bits; unsigned indices save its test for negative ones. All loops
stand in this file, as numba compiles anew when the file of the function that it keeps changes.

A cell's tail has `radix`, the counts of codes of c and of segments of i and g, and tables over the
codes f, c, i, g and o, c in this order. Tables of 32 bits at most are passed as one word.
"""

from typing import Any

import numpy as np
from numpy import int32, uint32

from mubinn.golden.inference.input import Array

WORD = 32
"""Bits of a word."""

GROUP = 4
"""Thresholds that `segment` compares in one pass."""


def popcount(word: Any) -> int:
    """Return how many bits of the unsigned `word` are 1."""
    return int(word).bit_count()


def weighted(b: int, h: Array, x: Array, words: Array, gains: Array, sizes: Any) -> Any:
    """Return ``gains @ [differing bits of h, of x]`` of window b, int32.

    Parameters
    ----------
    b : int
    h, x : uint32 [n_h, B] and [n_x, B]
        One level of each.
    words : uint32 [n_h + n_x]
        One level of one row of weights.
    gains : int32 [2]
    sizes : tuple of n_h and of n_x zeros
        Their lengths are known where numba compiles, so that it unrolls the loops.
    """
    of_h, of_x = int32(0), int32(0)
    for k in range(len(sizes[0])):
        of_h = int32(of_h + int32(popcount(uint32(h[k, b] ^ words[k]))))
    for k in range(len(sizes[1])):
        of_x = int32(of_x + int32(popcount(uint32(x[k, b] ^ words[len(sizes[0]) + k]))))
    return int32(int32(gains[0] * of_h) + int32(gains[1] * of_x))


def products(z: Array, h: Array, x: Array, words: Array, gains: Array, sizes: Any) -> None:
    """Add `weighted` of every pair of levels, Eq. (9), to z.

    Parameters
    ----------
    z : int32 [B]
    h, x : uint32 [L, n_h, B] and [L, n_x, B]
        Levels; `L` is the larger of the two counts, and absent levels have gain 0.
    words : uint32 [W, n_h + n_x]
    gains : int32 [L, W, 2]
    sizes : as in `weighted`
    """
    for level in range(len(gains)):
        for plane in range(len(words)):
            own_h, own_x, row, gain = h[level], x[level], words[plane], gains[level, plane]
            for b in range(len(z)):
                z[b] += weighted(b, own_h, own_x, row, gain, sizes)


def decide(out: Array, h: Array, x: Array, words: Array, gains: Array, t: Any, sizes: Any) -> None:
    """``out = weighted >= t``, int32 [B], with one level of everything: no z is stored."""
    for b in range(len(out)):
        out[b] = weighted(b, h, x, words, gains, sizes) >= t


def segment(z: Array, first: Array, out: Array) -> None:
    """``out = count of first that z reaches``: int32 [B] of z [B] and first [1 or n GROUP]."""
    if len(first) == 1:
        t = first[0]
        for b in range(len(z)):
            out[b] = z[b] >= t
        return
    out[:] = 0
    for k in range(0, len(first), GROUP):
        t, u, v, w = first[k], first[k + 1], first[k + 2], first[k + 3]
        for b in range(len(z)):
            low = int32(int32(z[b] >= t) + int32(z[b] >= u))
            out[b] += int32(low + int32(int32(z[b] >= v) + int32(z[b] >= w)))


def join(high: Any, radix: Any, low: Any) -> Any:
    """Return ``high * radix + low``, uint32."""
    return uint32(uint32(uint32(high) * uint32(radix)) + uint32(low))


def next_c(gates: Array, c: Array, radix: Any, table: Array) -> None:
    """Replace the codes c [B] by the entries of `table`; gates is int32 [4, B]."""
    f, i, g = gates[0], gates[1], gates[2]
    for b in range(len(c)):
        c[b] = table[join(join(join(f[b], radix[0], c[b]), radix[1], i[b]), radix[2], g[b])]


def next_c_short(gates: Array, c: Array, radix: Any, word: Any, levels: Any) -> None:
    """Do as `next_c` with a table of `levels` bits an entry in one uint32 word."""
    f, i, g = gates[0], gates[1], gates[2]
    ones = uint32((1 << levels) - 1)
    for b in range(len(c)):
        at = join(join(join(f[b], radix[0], c[b]), radix[1], i[b]), radix[2], g[b])
        c[b] = uint32(word >> uint32(at * uint32(levels))) & ones


def next_c_sum(gates: Array, c: Array, radix: Any, sums: Any) -> None:
    """Do as `next_c` with ``bucket[(fc + ig) >> shift]``, clipped; sums holds these four."""
    f, i, g = gates[0], gates[1], gates[2]
    fc, ig, shift, bucket = sums
    last = len(bucket) - 1
    for b in range(len(c)):
        raw = fc[join(f[b], radix[0], c[b])] + ig[join(i[b], radix[2], g[b])]
        c[b] = bucket[min(max(raw >> shift, 0), last)]


def next_h(o: Array, c: Array, radix: Any, table: Array, out: Array) -> None:
    """``out = table[o, c]`` over the windows of one cell."""
    for b in range(len(c)):
        out[b] = table[join(o[b], radix[0], c[b])]


def next_h_short(o: Array, c: Array, radix: Any, word: Any, levels: Any) -> None:
    """Replace o by the entries of a table of `levels` bits an entry in one uint32 word."""
    ones = uint32((1 << levels) - 1)
    for b in range(len(c)):
        o[b] = uint32(word >> uint32(join(o[b], radix[0], c[b]) * uint32(levels))) & ones


def store_bits(code: Array, words: Array, at: int, counts: Array) -> None:
    """Set bit `at` of the words [L, B] to the levels of code [B], and add them to counts [L, B]."""
    shift = uint32(at)
    for level in range(len(words)):
        own, down = words[level], uint32(level)
        for b in range(len(code)):
            own[b] |= uint32((uint32(uint32(code[b]) >> down) & uint32(1)) << shift)
    for level in range(len(counts)):
        count, down = counts[level], uint32(level)
        for b in range(len(code)):
            count[b] += int32(uint32(uint32(code[b]) >> down) & uint32(1))


def encode_words(x: Array, thresholds: Array, codes: Array, words: Array) -> bool:
    """Encode samples into level bits; return whether all are finite.

    Parameters
    ----------
    x : float32 [B, T, I]
    thresholds : float32 [K, I]
    codes : uint32 [K + 1]
        Code of a sample that reaches so many thresholds.
    words : uint32 [T, L, n, B]
        Zeros, filled in.
    """
    reached = np.empty(x.shape[2], np.uint32)
    finite = True
    for b in range(len(x)):
        for t in range(x.shape[1]):
            samples = x[b, t]
            reached[:] = 0
            good = int32(1)
            for i in range(len(samples)):
                good &= int32(abs(samples[i]) < np.inf)
            finite &= good != 0
            for k in range(len(thresholds)):
                first = thresholds[k]
                for i in range(len(samples)):
                    reached[i] += uint32(samples[i] >= first[i])
            for i in range(len(samples)):
                reached[i] = codes[reached[i]]
            for level in range(words.shape[1]):
                for start in range(0, len(samples), WORD):
                    part, word = reached[start : start + WORD], uint32(0)
                    for i in range(len(part)):
                        bit = uint32(uint32(part[i] >> uint32(level)) & uint32(1))
                        word |= uint32(bit << uint32(i))
                    words[t, level, start // WORD, b] = word
    return finite


def run_layer(
    x: Array, h: Array, counts: Array, count_from: int, rows: Any, cell: Any, state: Any
) -> None:
    """Run one layer over all steps with XNOR and population counts, Eq. (1)-(6).

    Parameters
    ----------
    x, h : uint32 [T, L, n_x, B] and [T + 1, L, n_h, B]
        Levels of the input, and of the states: the first is given, the others are filled in.
    counts : int32 [levels of h, H, B]
        Steps of at least `count_from` in which the level of h is 1, added to what it holds.
    count_from : int
    rows : tuple
        start int32 [4H], words uint32 [4H, W, n], gains int32 [4H, L, W, 2], first int32 [4, K],
        and the tuples `sizes` of `weighted`.
    cell : tuple
        radix, c_levels, c_word, c_table, h_levels, h_words uint32 [H], h_tables [H, n]; the words
        count where the tables are empty.
    state : int
        Code of the first c.
    """
    start, words, gains, first, sizes = rows
    short = gains.shape[1] * gains.shape[2] * first.shape[1] == 1
    radix, c_levels, c_word, c_table, h_levels, h_words, h_tables = cell
    hidden, batch = len(h_words), x.shape[3]
    z, gates = np.empty(batch, np.int32), np.empty((4, batch), np.int32)
    c = np.full((hidden, batch), state, np.uint8)
    for t in range(len(x)):
        now = h[t + 1]
        now[:] = 0
        for n in range(hidden):
            for gate in range(4):
                row = gate * hidden + n
                if short:
                    least = int32(first[gate, 0] - start[row])
                    gain = gains[row, 0, 0]
                    decide(gates[gate], h[t, 0], x[t, 0], words[row, 0], gain, least, sizes)
                    continue
                z[:] = start[row]
                products(z, h[t], x[t], words[row], gains[row], sizes)
                segment(z, first[gate], gates[gate])
            if len(c_table):
                next_c(gates, c[n], radix, c_table)
            else:
                next_c_short(gates, c[n], radix, c_word, c_levels)
            if h_tables.shape[1]:
                next_h(gates[3], c[n], radix, h_tables[n], gates[3])
            else:
                next_h_short(gates[3], c[n], radix, h_words[n], h_levels)
            counted = counts[: h_levels if t >= count_from else 0, n]
            store_bits(gates[3], now[:h_levels, n // WORD], n % WORD, counted)


def finish_step(y: Array, h: Array, c: Array, first: Array, cell: Any) -> None:
    """Do one step of one layer after its matrix product, Eq. (1)-(6).

    Parameters
    ----------
    y : float [4H, B]
    h : float [H, B]
        m of the next h, written.
    c : uint8 [H, B]
        Codes, replaced.
    first : float [4, K]
    cell : tuple
        radix, c_table, sums of `next_c_sum`, h_tables float [H, n]; the sums count where c_table
        is empty.
    """
    radix, c_table, sums, h_tables = cell
    gates = np.empty((4, y.shape[1]), np.int32)
    for n in range(len(h)):
        for gate in range(4):
            segment(y[gate * len(h) + n], first[gate], gates[gate])
        if len(c_table):
            next_c(gates, c[n], radix, c_table)
        else:
            next_c_sum(gates, c[n], radix, sums)
        next_h(gates[3], c[n], radix, h_tables[n], h[n])


PARTS = (weighted, products, decide, segment, join, store_bits)
TAILS = (next_c, next_c_short, next_c_sum, next_h, next_h_short)
"""What `run_layer` and `finish_step` call, besides `popcount`."""
