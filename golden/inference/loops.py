"""Loops of the fast inference as plain Python on NumPy arrays, written for numba to compile.

`run_layer` runs a layer over all steps: the sums of its rows, and for each cell the program of
`mubinn.golden.inference.program`. Each inner loop runs over the windows of a batch, contiguous and
of 32 bits where it can be, so that LLVM turns it into vector instructions. The casts keep numba
from widening what fits 32 bits; unsigned indices save its test for negative ones. All loops stand
in this file, as numba compiles anew when the file of the function that it keeps changes.
"""

from typing import Any

import numpy as np
from numpy import int32, uint32

from mubinn.golden.inference.input import WORD, Array

GROUP = 4
"""Thresholds that are compared in one pass."""

BLOCK = 16
"""Windows whose samples are encoded side by side, as they share lines of the cache."""

TILE = 4
"""Rows whose sums are made together."""

LOAD, KEEP, SEGMENT, LOOK, MIX, SPLIT, STORE, DECIDE = range(8)
"""Instructions; `mubinn.golden.inference.program` says what they do."""


def popcount(word: Any) -> int:
    """Return how many bits of the unsigned `word` are 1."""
    return int(word).bit_count()


def accumulate(z: Array, weights: Array, row: int, column: int, m: Array) -> None:
    """Add products of pairs of 16-bit numbers to z [rows, B], Eq. (9) with all levels collapsed.

    Parameters
    ----------
    z : int32 [rows, B]
        A multiple of `TILE` rows, and of as many windows as a tile has.
    weights : uint32 [R, 1, n]
        Two numbers a word, from `row` and `column` on.
    m : uint32 [1, k, B]
    """
    own = weights[row : row + len(z), 0, column : column + m.shape[1]].copy().view(np.int16)
    wide = m[0].view(np.int16).reshape(m.shape[1], -1, 2).astype(np.int32)
    z += np.einsum("rkp,kbp->rb", own.reshape(len(z), -1, 2).astype(np.int32), wide)


def differ(
    z: Array, weights: Array, row: int, column: int, m: Array, pair: Any, gains: Array
) -> None:
    """Add to z [rows, B] the bits in which a pair of levels differs, each row's times its gain.

    Parameters
    ----------
    z : int32 [rows, B]
        As `accumulate` has it.
    weights : uint32 [R, W, n]
        Levels in words, from `row` and `column` on.
    m : uint32 [L, k, B]
    pair : tuple of int
        The level of m, that of the weights, and which of the two gains is theirs.
    gains : int32 [R, L, W, 2]
    """
    i, j, side = pair
    own = weights[row : row + len(z), j, column : column + m.shape[1]]
    counts = np.bitwise_count(own[:, :, None] ^ m[i]).sum(axis=1, dtype=np.int32)
    z += gains[row : row + len(z), i, j, side, None] * counts


def weighted(b: int, h: Array, x: Array, i: int, words: Array, row: int, j: int, sizes: Any) -> Any:
    """Return how many bits of h, and of x, differ in window b from a plane of a row of weights.

    Parameters
    ----------
    b : int
    h, x : uint32 [L, n_h, B] and [L, n_x, B]
        Levels, of which number `i` counts.
    words : uint32 [R, W, n_h + n_x]
    row, j : int
        Which row and plane of `words`.
    sizes : tuple of n_h and of n_x zeros
        Their lengths are known where numba compiles, so that it unrolls the loops.
    """
    of_h, of_x = int32(0), int32(0)
    for k in range(len(sizes[0])):
        of_h = int32(of_h + int32(popcount(uint32(h[i, k, b] ^ words[row, j, k]))))
    for k in range(len(sizes[1])):
        word = words[row, j, len(sizes[0]) + k]
        of_x = int32(of_x + int32(popcount(uint32(x[i, k, b] ^ word))))
    return of_h, of_x


def products(
    z: Array, n: int, h: Array, x: Array, words: Array, row: int, gains: Array, sizes: Any
) -> None:
    """Make z[n] the sum over all pairs of levels, Eq. (9); gains are int32 [R, L, W, 2].

    `L` is the larger of the two level counts of h and x; absent levels have gain 0.
    """
    for i in range(gains.shape[1]):
        for j in range(words.shape[1]):
            gain_h, gain_x = gains[row, i, j, 0], gains[row, i, j, 1]
            if i + j == 0:
                for b in range(z.shape[1]):
                    of_h, of_x = weighted(b, h, x, 0, words, row, 0, sizes)
                    z[n, b] = int32(int32(gain_h * of_h) + int32(gain_x * of_x))
                continue
            for b in range(z.shape[1]):
                of_h, of_x = weighted(b, h, x, i, words, row, j, sizes)
                z[n, b] += int32(int32(gain_h * of_h) + int32(gain_x * of_x))


def decide(operands: Any, place: int, first: Array, at: int, symbols: Array, dst: int) -> None:
    """Make a symbol of whether the sum of a row of one pair of levels reaches a threshold."""
    h, x, words, gains, _, sizes = operands
    t, gain_h, gain_x = first[at], gains[place, 0, 0, 0], gains[place, 0, 0, 1]
    for b in range(symbols.shape[1]):
        of_h, of_x = weighted(b, h, x, 0, words, place, 0, sizes)
        symbols[dst, b] = int32(int32(int32(gain_h * of_h) + int32(gain_x * of_x)) >= t)


def segment(
    z: Array, row: int, first: Array, at: int, count: int, symbols: Array, dst: int
) -> None:
    """Make a symbol of how many of `count` thresholds in `first` from `at` on z[row] reaches."""
    if count == 1:
        t = first[at]
        for b in range(z.shape[1]):
            symbols[dst, b] = int32(z[row, b] >= t)
        return
    for k in range(at, at + count, GROUP):
        t, u, v, w = first[k], first[k + 1], first[k + 2], first[k + 3]
        if k == at:
            for b in range(z.shape[1]):
                low = int32(int32(z[row, b] >= t) + int32(z[row, b] >= u))
                high = int32(int32(z[row, b] >= v) + int32(z[row, b] >= w))
                symbols[dst, b] = int32(low + high)
            continue
        for b in range(z.shape[1]):
            low = int32(int32(z[row, b] >= t) + int32(z[row, b] >= u))
            symbols[dst, b] += int32(low + int32(int32(z[row, b] >= v) + int32(z[row, b] >= w)))


def look(symbols: Array, code: Array, at: int, table: int, tables: Array, words: Array) -> None:
    """Make a symbol of four others: all together, or an entry of a table or of a table's word."""
    dst, p, q, r, s = code[at, 1], code[at, 2], code[at, 3], code[at, 4], code[at, 5]
    k, m, n = uint32(code[at, 6]), uint32(code[at, 7]), uint32(code[at, 8])
    if code[at, 11] > 0:
        wide, word = uint32(code[at, 11] - 1), uint32(words[table])
        ones = uint32((1 << (1 << (code[at, 11] - 1))) - 1)
        if p == q == 0:
            for b in range(symbols.shape[1]):
                high = uint32(uint32(uint32(symbols[r, b]) << n) | uint32(symbols[s, b]))
                symbols[dst, b] = uint32(uint32(word >> uint32(high << wide)) & ones)
            return
        for b in range(symbols.shape[1]):
            high = uint32(uint32(uint32(symbols[p, b]) << k) | uint32(symbols[q, b]))
            high = uint32(uint32(high << m) | uint32(symbols[r, b]))
            high = uint32(uint32(high << n) | uint32(symbols[s, b]))
            symbols[dst, b] = uint32(uint32(word >> uint32(high << wide)) & ones)
        return
    for b in range(symbols.shape[1]):
        high = uint32(uint32(uint32(symbols[p, b]) << k) | uint32(symbols[q, b]))
        high = uint32(uint32(high << m) | uint32(symbols[r, b]))
        symbols[dst, b] = uint32(uint32(high << n) | uint32(symbols[s, b]))
    if code[at, 11] < 0:
        return
    begin = uint32(table)
    # By itself, as it is no vector instruction.
    for b in range(symbols.shape[1]):
        symbols[dst, b] = tables[uint32(begin + uint32(symbols[dst, b]))]


def mix(
    numbers: Array, symbols: Array, z: Array, row: int, code: Array, at: int, pool: Array, n: int
) -> None:
    """Add to a number an entry of `pool`, times the scaled sum of a row; float64."""
    dst, p, begin, scale = code[at, 1], code[at, 2], uint32(code[at, 9]), code[at, 10] + 2 * n
    keep, factor, constant = float(code[at, 4]), pool[scale], pool[scale + 1]
    for b in range(symbols.shape[1]):
        own = pool[uint32(begin + uint32(symbols[p, b]))] * (factor * z[row, b] + constant)
        numbers[dst, b] = keep * numbers[dst, b] + own


def store(
    symbols: Array, src: int, words: Array, phase: int, n: int, width: int, counts: Array
) -> None:
    """Put fields of a symbol into words[phase], and add them to counts [planes, H, B]."""
    per = WORD // width
    word, shift, ones = n // per, uint32(n % per * width), uint32((1 << width) - 1)
    for plane in range(words.shape[1]):
        down = uint32(plane)
        if plane < len(counts):
            for b in range(symbols.shape[1]):
                field = uint32(uint32(uint32(symbols[src, b]) >> down) & ones)
                words[phase, plane, word, b] |= uint32(field << shift)
                counts[plane, n, b] += int32(field)
            continue
        for b in range(symbols.shape[1]):
            field = uint32(uint32(uint32(symbols[src, b]) >> down) & ones)
            words[phase, plane, word, b] |= uint32(field << shift)


def encoded(x: Array, b: int, t: int, thresholds: Array, codes: Array, reached: Array) -> bool:
    """Make `reached` the codes of the samples x[b, t]; return whether all are finite."""
    reached[:] = 0
    good = int32(1)
    for i in range(x.shape[2]):
        good &= int32(abs(x[b, t, i]) < np.inf)
    for k in range(len(thresholds)):
        for i in range(x.shape[2]):
            reached[i] += uint32(x[b, t, i] >= thresholds[k, i])
    for i in range(x.shape[2]):
        reached[i] = codes[reached[i]]
    return bool(good)


def encode_words(x: Array, thresholds: Array, codes: Array, width: int, words: Array) -> bool:
    """Encode samples into fields of `width` bits; return whether all are finite.

    Parameters
    ----------
    x : float32 [N, T, I]
    thresholds : float32 [K, I]
    codes : uint32 [K + 1]
        Of a sample that reaches so many thresholds.
    width : int
    words : uint32 [T, L, n, B]
        Zeros, filled in for the first N windows.
    """
    reached, per = np.zeros(2 * x.shape[2], np.uint32), WORD // width
    finite = True
    for begin in range(0, len(x), BLOCK):
        for t in range(x.shape[1]):
            for b in range(begin, min(begin + BLOCK, len(x))):
                finite &= encoded(x, b, t, thresholds, codes, reached)
                if width > 1:
                    for k in range(words.shape[2]):
                        high = uint32(reached[2 * k + 1] << uint32(width))
                        words[t, 0, k, b] = uint32(reached[2 * k] | high)
                    continue
                for plane in range(words.shape[1]):
                    for word in range(words.shape[2]):
                        part, own = reached[word * per : (word + 1) * per], uint32(0)
                        for i in range(len(part)):
                            bit = uint32(uint32(part[i] >> uint32(plane)) & uint32(1))
                            own |= uint32(bit << uint32(i))
                        words[t, plane, word, b] = own
    return finite


def run_cell(
    n: int, z: Array, first: int, code: Array, memory: Any, fields: Any, pools: Any, operands: Any
) -> None:
    """Run the program `code` [k, 12] of one phase for cell n, whose sums are z[first:].

    `operands` are those of `decide`.
    """
    symbols, numbers, kept = memory
    h, step, made, counts, width = fields
    tables, thresholds, pool = pools
    for k in range(len(code)):
        operation, dst, src, count = code[k, 0], code[k, 1], code[k, 2], code[k, 11]
        at = code[k, 9] + n * code[k, 10]
        if operation == SEGMENT:
            segment(z, first + src, thresholds, at, count, symbols, dst)
        elif operation == DECIDE:
            decide(operands, n * operands[4] + src, thresholds, at, symbols, dst)
        elif operation == LOOK:
            look(symbols, code, k, at, tables, thresholds)
        elif operation == LOAD:
            for b in range(symbols.shape[1]):
                symbols[dst, b] = kept[src, n, b]
        elif operation == KEEP:
            for b in range(symbols.shape[1]):
                kept[dst, n, b] = symbols[src, b]
        elif operation == STORE:
            if dst < 0:
                store(symbols, src, h, step, n, width, counts)
            else:
                store(symbols, src, made, dst, n, width, counts[:0])
        elif operation == SPLIT:
            segment(numbers, src, pool, at, count, symbols, dst)
        else:
            mix(numbers, symbols, z, first + code[k, 3], code, k, pool, n)


def run_layer(
    x: Array, h: Array, made: Array, kept: Array, counts: Array, span: Any, phases: Any, pools: Any
) -> None:
    """Run one layer over all steps, Eq. (1)-(6).

    Parameters
    ----------
    x, h : uint32 [T, L, n_x, B] and [T + 1 or 2, L, n_h, B]
        Fields of the input, and of the states: the first is given, the others are filled in, all
        or the last ones.
    made : uint32 [P, L, n_h, B]
        Fields of what phase p multiplies with W_h where it is not h.
    kept : uint8 [S, H, B]
        Symbols that cells keep; those of the states are given.
    counts : int32 [planes, P, B]
        Sums of the fields of h over the steps from `count_from` on.
    span : tuple
        count_from, width of a field, counts of symbols, numbers and rows of a cell, and `sizes` of
        `products`; two empty ones where words are pairs of numbers, and where rows are long.
    phases : tuple of tuple
        weights uint32 [R, W, n] with a cell's rows side by side, gains int32 [R, L, W, 2], rows of
        a cell, code, whether the phase reads `made`, how many rows `decide` adds up, and the cells.
    pools : tuple
        tables uint16, thresholds and words int32, and numbers float64, one after the other.
    """
    count_from, width, symbol_count, number_count, most, sizes = span
    batch = x.shape[3]
    memory = np.zeros((symbol_count, batch), np.int32), np.zeros((number_count, batch)), kept
    z = np.zeros((TILE * most, batch), np.int32)
    for t in range(len(x)):
        after = (t + 1) % len(h)
        h[after] = 0
        made[:] = 0
        counted = counts if t >= count_from else counts[:0]
        for phase in range(len(phases)):
            weights, gains, rows, code, own, decided, cells = phases[phase]
            read, now = made[phase] if own else h[t % len(h)], x[t]
            operands = read, now, weights, gains, rows, sizes
            fields = h, after, made, counted, width
            if len(sizes[0]):
                for n in range(cells):
                    for row in range(rows - decided):
                        products(z, row, read, now, weights, n * rows + row, gains, sizes)
                    run_cell(n, z, 0, code, memory, fields, pools, operands)
                continue
            group = 1 if rows % TILE == 0 else 2 if 2 * rows % TILE == 0 else TILE
            sums = z[: group * rows]
            for n in range(0, cells, group):
                sums[:] = 0
                if width == 1:
                    for i in range(gains.shape[1]):
                        for j in range(gains.shape[2]):
                            differ(sums, weights, n * rows, 0, read, (i, j, 0), gains)
                            differ(sums, weights, n * rows, read.shape[1], now, (i, j, 1), gains)
                else:
                    accumulate(sums, weights, n * rows, 0, read)
                    accumulate(sums, weights, n * rows, read.shape[1], now)
                for k in range(min(group, cells - n)):
                    run_cell(n + k, z, k * rows, code, memory, fields, pools, operands)


PARTS = (weighted, encoded, products, decide, segment, look, mix, store, run_cell)
"""What the loops call, besides `popcount`, `accumulate` and `differ`."""
