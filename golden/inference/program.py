"""A layer's plan as arrays for the compiled loops: weights in words, instructions, constants.

Fields of the state and of x stand in words of 32 bits: level bits, whose products are XNOR and
population counts, or pairs of the 16-bit numbers m. An instruction is twelve integers:

==========  ======================================================================================
`LOAD`      symbol dst = kept symbol src of the cell
`KEEP`      the other way
`SEGMENT`   symbol dst = how many thresholds from `at` on the sum of row src reaches
`DECIDE`    the same of one threshold and one pair of levels, where no row has anything else: the
            sum is not kept
`LOOK`      symbol dst = the table's entry of the symbols 2 to 5, bits of the last three in 6 to 8;
            where the count is not 0 the table is one word, of so many bits an entry, and
            where it is -1 the symbols are put together
`MIX`       number dst = what it is, where 4 is 1, plus the entry of symbol src in the pool times
            the sum of row 3, with factor and constant of the cell from 10 on
`SPLIT`     symbol dst = how many thresholds from `at` on the number src reaches
`STORE`     fields of symbol src into h, or into what phase dst reads
==========  ======================================================================================

Positions 9, 10 and 11 are where a table or thresholds begin, the same for each further cell, and
the count of thresholds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.step import stored_values
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.inference.input import WORD, Array, pack, positive, unit
from mubinn.golden.inference.loops import (
    DECIDE,
    GROUP,
    KEEP,
    LOAD,
    LOOK,
    MIX,
    SEGMENT,
    SPLIT,
    STORE,
    TILE,
)
from mubinn.golden.inference.plan import Look, Mix, Plan, Segment, reads
from mubinn.golden.inference.rows import LIMIT, MatrixRows, Rows, WordRows, framed

FIELD = {"words": 1, "pairs": 16}
"""Bits of a field."""

UNROLLED = 8
"""Rows of so many words have loops of their length; those of longer ones are made in tiles."""

NEVER = 2 * LIMIT - 1
"""Above all sums."""


@dataclass(frozen=True, eq=False)
class Program:
    """One layer for `run_layer` of the loops.

    Attributes
    ----------
    layer : QuantizedLayer
    form : "words" or "pairs"
    phases, pools, span : tuple
        As `run_layer` has them; `span` without the first entry.
    start : uint8 [S, H]
        Kept symbols before the first step.
    """

    layer: QuantizedLayer
    form: str
    phases: Any
    pools: Any
    span: Any
    start: Array

    @classmethod
    def of(cls, plan: Plan, form: str) -> "Program | None":
        """Return the program; None of a sweep, or where sums are too long for `form`.

        Pairs hold all levels of h, of which rows may read the first ones alone: None as well.
        """
        layer = plan.layer
        if isinstance(layer.frames, Sweep) or (form == "pairs" and layer.read is not None):
            return None
        rows: list[Any] = list(plan.rows)
        if form == "words":
            rows = [WordRows.of(layer, phase) for phase in range(len(plan.phases))]
        if any(own.largest >= LIMIT or (form == "pairs" and not own.fits_pairs) for own in rows):
            return None
        own = (words_for(size, FIELD[form]) for size in (layer.hidden, layer.inputs))
        sizes = [n * taps for n, taps in zip(own, (1, layer.frames.taps), strict=True)]
        short = form == "words" and sum(sizes) <= UNROLLED
        writer, phases = _Writer(plan, form, rows, short), []
        for phase, own in enumerate(rows):
            count = len(layer.phases[phase])
            if form == "words":
                weights, gains = _words(own, count)
            else:
                weights, gains = _pairs(own, layer, count, sizes[0])
            made = layer.cell.recurrent[phase].operation == "encode"
            code = np.array(writer.phase(phase), np.int64)
            decided = count if DECIDE in code[:, 0] else 0
            phases.append((weights, gains, count, code, made, decided, own.count))
        pools = [
            np.concatenate([np.zeros(1), *pool]).astype(kind)
            for pool, kind in zip(writer.pools, (np.uint16, np.int32, np.float64), strict=True)
        ]
        unrolled = tuple((0,) * size if short else () for size in sizes)
        most = max(map(len, layer.phases))
        span = FIELD[form], len(writer.symbols) + 1, max(1, len(writer.numbers)), most, unrolled
        return cls(layer, form, tuple(phases), tuple(pools), span, _start(layer, writer.kept))

    def fields(self, quantizer: Quantizer, codes: Ints, planes: int) -> Array:
        """Return fields uint32 [L, n, B] of codes [size, B]; at least so many planes."""
        if self.form == "words":
            return pack(codes, quantizer.levels, 1, planes)
        return pack(positive(quantizer, codes), 1, 16)

    def read(self, words: Array, planes: int) -> Array:
        """Return the frames [T', L, taps n, B] that the layer reads of fields [T, L, n, B]."""
        x, frames = self.layer.x, self.layer.frames
        assert not isinstance(frames, Sweep)
        if frames.plain:
            return words
        zero = self.fields(x, x.zero_code(self.layer.inputs)[:, None], planes)[:, None, :, 0]
        made = frames.of(words.transpose(1, 3, 0, 2), zero[:, None])
        return np.ascontiguousarray(made.transpose(2, 0, 3, 1))

    def counted(self, fields: Array) -> Ints:
        """Return the fields [L, n_h, B] of h one by one, int64 [planes, P, B], as they count."""
        width = self.width
        n = np.arange(self.layer.outputs)
        shifts = (n % (WORD // width) * width).astype(np.uint32)
        words = fields[: len(self.planes), n // (WORD // width)]
        return (words >> shifts[:, None] & np.uint32((1 << width) - 1)).astype(np.int64)

    @property
    def width(self) -> int:
        """Bits of a field."""
        return FIELD[self.form]

    @property
    def planes(self) -> Ints:
        """What each plane of the fields of h counts in m."""
        if self.form == "pairs":
            return np.ones(1, np.int64)
        return np.asarray(self.layer.h.scales // unit(self.layer.h))


def _start(layer: QuantizedLayer, kept: list[str]) -> Array:
    found = np.zeros((1 + len(kept), layer.hidden), np.uint8)
    first = {
        f"old.{node.name}": layer.quantizers[node.name].zero_code(layer.sizes.count(node))
        for node in layer.cell.states
    }
    first |= stored_values(layer)
    for place, name in enumerate(kept, 1):
        codes = first.get(name, np.zeros(0))
        found[place, : len(codes)] = codes
    return found


def words_for(size: int, width: int) -> int:
    """Return the words that so many fields of `width` bits take."""
    return -(-size * width // WORD)


def _side_by_side(rows: Array, count: int) -> Array:
    """Return rows [count H, ...] with those of a cell side by side, and zeros to fill tiles."""
    own = rows.reshape(count, -1, *rows.shape[1:]).swapaxes(0, 1).reshape(rows.shape)
    more = np.zeros((TILE * count, *rows.shape[1:]), rows.dtype)
    return np.ascontiguousarray(np.concatenate([own, more]))


def _words(rows: WordRows, count: int) -> tuple[Array, Array]:
    arrays = rows.words, rows.gains.astype(np.int32)
    words, gains = (_side_by_side(own, count) for own in arrays)
    return words, gains


def _pairs(rows: MatrixRows, layer: QuantizedLayer, count: int, state: int) -> tuple[Array, Array]:
    """Return weights, of which those of the state take `state` words, and no gains."""
    columns = rows.matrix.shape[1] - layer.features
    parts = (rows.matrix[:, :columns], 1), (rows.matrix[:, columns:], layer.frames.taps)
    of_h, of_x = (framed(part.T, taps, 16) for part, taps in parts)
    spare = np.zeros((state - len(of_h), of_h.shape[1]), of_h.dtype)
    gains = np.zeros((1, 1, 1, 2), np.int32)
    return _side_by_side(np.concatenate([of_h, spare, of_x]).T[:, None], count), gains


class _Writer:
    """Writes instructions; constants go into pools, and symbols and numbers get places."""

    def __init__(self, plan: Plan, form: str, rows: list[Rows], short: bool) -> None:
        self.plan, self.form, self.rows, self.short = plan, form, rows, short
        self.pools: tuple[list[Array], ...] = ([], [], [])
        self.sizes = [1, 1, 1]
        self.symbols: dict[tuple[int, str], int] = {}
        self.numbers: dict[str, int] = {}
        # Slot 0 is there for cells that keep nothing.
        self.kept = plan.kept
        # What is read as a code, and not as a field alone.
        self.read = {name for step in plan.steps for name in reads(step)}
        self.read |= {name.removeprefix("old.") for name in self.kept}
        self.code: list[list[int]] = []
        self.now = 0

    def phase(self, phase: int) -> list[list[int]]:
        """Return the instructions of a phase."""
        self.code, self.now, plan, cell = [], phase, self.plan, self.plan.layer.cell
        vectors = {cell.states[0].name: -1}
        vectors |= {
            node.name: place
            for place, node in enumerate(cell.recurrent)
            if node.operation == "encode"
        }
        for step in plan.phases[phase]:
            if step.out not in vectors:
                self._step(step)
                continue
            if self.form == "words" or step.out in self.read:
                self._step(step)
            self._store(step, vectors[step.out])
        for name in self.kept:
            if plan.phase_of.get(name) == phase:
                self._emit(KEEP, self._slot(name), self._symbol(name))
        for node in cell.states:
            if f"old.{node.name}" in self.kept and phase == plan.last_phase(node):
                self._emit(KEEP, self._slot(f"old.{node.name}"), self._symbol(node.name))
        return self.code

    def _decides(self, phase: int) -> bool:
        """Return whether all that rows of a phase do is to reach one threshold each."""
        rows = self.rows[phase]
        if not self.short or not isinstance(rows, WordRows) or rows.gains[0, ..., 0].size > 1:
            return False
        names = {name for name, (own, _) in self.plan.places.items() if own == phase}
        users = [step for step in self.plan.steps if names & set(reads(step))]
        single = [s for s in users if isinstance(s, Segment) and s.first.shape[1] <= 1]
        return len(users) == len(single) == len(self.plan.layer.phases[phase])

    def _slot(self, name: str) -> int:
        return 1 + self.kept.index(name)

    def _emit(self, *numbers: int, at: int = 0, each: int = 0, count: int = 0) -> None:
        self.code.append([*numbers, *[0] * (9 - len(numbers)), at, each, count])

    def _symbol(self, name: str) -> int:
        """Return the place of a symbol in this phase; load it where an earlier one made it."""
        key = self.now, name
        if key not in self.symbols:
            self._place(name)
            self._emit(LOAD, self.symbols[key], self._slot(name))
        return self.symbols[key]

    def _place(self, name: str) -> int:
        return self.symbols.setdefault((self.now, name), len(self.symbols) + 1)

    def _pool(self, pool: int, values: Array) -> tuple[int, int]:
        """Put constants [H or 1, n] into a pool; return where they begin, and the next cell's."""
        at = self.sizes[pool]
        self.pools[pool].append(values.ravel())
        self.sizes[pool] += values.size
        return at, values.shape[1] if len(values) > 1 else 0

    def _step(self, step: Segment | Look | Mix) -> None:
        if isinstance(step, Look):
            self._look(step.out, step, step.table)
        elif isinstance(step, Mix):
            self._mix(step)
        elif step.source in self.plan.places:
            phase, row = self.plan.places[step.source]
            first = self.rows[phase].first(step.first, row)
            first = np.clip(first, -NEVER, NEVER)
            operation = DECIDE if self._decides(phase) else SEGMENT
            self._thresholds(operation, step.out, row, 1, first, NEVER)
        else:
            number = self.numbers[step.source]
            self._thresholds(SPLIT, step.out, number, 2, step.first, np.inf)

    def _thresholds(
        self, operation: int, out: str, source: int, pool: int, first: Array, never: float
    ) -> None:
        count = max(1, first.shape[1])
        count = count if count == 1 else -(-count // GROUP) * GROUP
        padded = np.full((len(first), count), never)
        padded[:, : first.shape[1]] = first
        at, each = self._pool(pool, padded)
        self._emit(operation, self._place(out), source, at=at, each=each, count=count)

    def _look(self, out: str, look: Look, table: Ints | None) -> None:
        """Write the table of symbols; without one they are put together."""
        symbols = [self._symbol(name) for name in look.operands]
        bits = list(look.bits)
        while len(symbols) > 4:
            joined = self._place(f"{out}.{len(symbols)}")
            self._four(joined, symbols[:2], bits[:2])
            symbols, bits = [joined, *symbols[2:]], [sum(bits[:2]), *bits[2:]]
        place = self._place(out)
        if table is None:
            self._four(place, symbols, bits)
            return
        # Entries of 1, 2, 4, .. bits, so that shifts find them.
        double = (max(1, int(table.max()).bit_length()) - 1).bit_length()
        if table.shape[1] << double > WORD:
            at, each = self._pool(0, table)
            self._four(place, symbols, bits, at=at, each=each)
            return
        words = np.bitwise_or.reduce(table << (np.arange(table.shape[1]) << double), axis=1)
        at, _ = self._pool(1, words.astype(np.uint32).view(np.int32)[:, None])
        self._four(place, symbols, bits, at=at, each=int(len(words) > 1), count=1 + double)

    def _four(self, out: int, symbols: list[int], bits: list[int], **how: int) -> None:
        more = 4 - len(symbols)  # symbol 0 is always 0
        own, sizes = [0] * more + symbols, [0] * more + bits
        self._emit(LOOK, out, *own, *sizes[1:], **{"count": -1, **(how and {"count": 0}), **how})

    def _mix(self, step: Mix) -> None:
        number = self.numbers.setdefault(step.out, len(self.numbers))
        for k, (look, row) in enumerate(step.terms):
            index = look.operands[0] if len(look.operands) == 1 else f"{step.out}.{k}"
            if len(look.operands) != 1:
                self._look(index, look, None)
            at, _ = self._pool(2, look.table)
            place = 0
            if row:
                phase, place = self.plan.places[row]
                pair = self.rows[phase].of_row(place)
            else:
                count = self.rows[self.now].count
                pair = np.zeros(count, np.int64), np.ones(count, np.int64)
            scaled, _ = self._pool(2, np.stack(pair, axis=1))
            self._emit(MIX, number, self._symbol(index), place, min(k, 1), at=at, each=scaled)

    def _store(self, step: Segment | Look | Mix, vector: int) -> None:
        source = step.out
        if self.form == "pairs":
            assert isinstance(step, Look)
            source = f"{step.out}.m"
            quantizer = self.plan.layer.quantizers[step.out]
            self._look(source, step, positive(quantizer, step.table))
        self._emit(STORE, vector, self._symbol(source))
