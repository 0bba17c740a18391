"""Compiled loops of the fast inference, where numba is installed (``mubinn[fast]``).

numba is imported when `kernels` is first called. Compiled code lets go of the interpreter.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import cache_root
from mubinn.golden.inference import loops
from mubinn.golden.inference.loops import (
    PARTS,
    TILE,
    accumulate,
    differ,
    encode_words,
    popcount,
    run_layer,
    weighted,
)

LANES = 16
"""Sums in a vector of a tile."""

WINDOWS = 64
"""Windows are a multiple of it, which is one of every tile's."""


@dataclass(frozen=True)
class Kernels:
    """Compiled forms of the functions of these names."""

    encode_words: Callable[..., bool]
    run_layer: Callable[..., None]


def available() -> bool:
    """Whether numba is installed."""
    try:
        return find_spec("numba") is not None
    except ValueError:  # what stands in sys.modules is no module
        return False


@cache
def kernels() -> Kernels:
    """Import numba and declare the functions to it; each is compiled at its first call.

    The machine code is kept in the cache, by the text of what it is made of: numba itself looks at
    the file of a function alone, and not at what that calls.
    """
    numba: Any = import_module("numba")
    extending: Any = import_module("numba.extending")

    def count_bits(typing: Any, word: Any) -> Any:
        return word(word), lambda context, builder, signature, words: builder.ctpop(words[0])

    native = extending.intrinsic(count_bits)
    extending.overload(popcount)(lambda word: lambda word: native(word))
    wide = WINDOWS if host_has("avx512f") else LANES
    vectors = range(0, wide, LANES)
    of_pairs, of_words = (_tile(numba, extending, vectors, sums) for sums in (_pairs(), _words()))

    def pairs(z: Any, weights: Any, row: Any, column: Any, m: Any) -> Any:
        for k in range(0, z.shape[0], TILE):
            for window in range(0, z.shape[1], wide):
                of_pairs(z, weights, m, z, k, window, row + k, 1, column, 0, 0, 0, 0)

    def words(z: Any, weights: Any, row: Any, column: Any, m: Any, pair: Any, gains: Any) -> Any:
        i, j, side = pair
        planes, start = weights.shape[1], i * m.shape[1]
        own, step = i * planes + j, gains.shape[1] * planes
        for k in range(0, z.shape[0], TILE):
            line, gain = (row + k) * planes + j, (row + k) * step + own
            for window in range(0, z.shape[1], wide):
                of_words(
                    z, weights, m, gains, k, window, line, planes, column, start, gain, step, side
                )

    for loop, tiled in ((accumulate, pairs), (differ, words)):
        chosen = wraps(tiled)(lambda *_, tiled=tiled: tiled)  # numba demands the same signature
        extending.overload(loop)(chosen)
    for part in PARTS:
        # Inlined before types are known, or each call would count references to its arrays.
        extending.register_jitable(inline="never" if part is weighted else "always")(part)
    return Kernels(*(_declared(numba, whole) for whole in (encode_words, run_layer)))


@cache
def host_has(feature: str) -> bool:
    """Return whether LLVM knows a feature of this machine's, by LLVM's name."""
    try:
        binding: Any = import_module("llvmlite.binding")
    except ImportError:
        return False
    return bool(binding.get_host_cpu_features().get(feature))


@dataclass(frozen=True)
class _Sums:
    """How a tile's sums are made in a step.

    Attributes
    ----------
    fields : callable
        Makes of a builder and the words of `LANES` windows what all rows share.
    factor : callable
        Makes of a builder and a row's word in all lanes what all windows share.
    plus : callable
        Makes of a builder, a sum, a factor and fields the new sum.
    gained : bool
        Whether a row's sums are multiplied by its gain in the end.
    """

    fields: Callable[..., Any]
    factor: Callable[..., Any]
    plus: Callable[..., Any]
    gained: bool


def _pairs() -> _Sums:
    """Return sums of products of pairs of 16-bit numbers.

    Every step multiplies pairs and adds the two products, which is one instruction of most
    processors; a plain loop does not become it.
    """
    ir: Any = import_module("llvmlite.ir")
    lanes, both = (ir.VectorType(ir.IntType(32), count * LANES) for count in (1, 2))
    pairs = ir.VectorType(ir.IntType(16), 2 * LANES)
    even, odd = (ir.Constant(lanes, list(range(k, 2 * LANES, 2))) for k in (0, 1))

    def wide(builder: Any, words: Any) -> Any:
        return builder.sext(builder.bitcast(words, pairs), both)

    def plus(builder: Any, total: Any, factor: Any, fields: Any) -> Any:
        products = builder.mul(factor, fields)
        halves = (builder.shuffle_vector(products, products, half) for half in (even, odd))
        return builder.add(total, builder.add(*halves))

    return _Sums(wide, wide, plus, False)


def _words() -> _Sums:
    """Return sums of bits in which words differ."""
    ir: Any = import_module("llvmlite.ir")
    lanes = ir.VectorType(ir.IntType(32), LANES)
    kind = ir.FunctionType(lanes, [lanes])

    def same(builder: Any, words: Any) -> Any:
        return words

    def plus(builder: Any, total: Any, factor: Any, fields: Any) -> Any:
        count = builder.module.declare_intrinsic(f"llvm.ctpop.v{LANES}i32", fnty=kind)
        return builder.add(total, builder.call(count, [builder.xor(factor, fields)]))

    return _Sums(same, same, plus, True)


class _Memory:
    """Arrays of words of 32 bits in LLVM's terms, read and written in vectors of `LANES`."""

    def __init__(self, context: Any, builder: Any, kinds: list[Any], values: list[Any]):
        ir: Any = import_module("llvmlite.ir")
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(kinds, values, strict=True)
        ]
        self.builder, self.word = builder, ir.IntType(32)
        self.lanes = ir.VectorType(self.word, LANES)
        self.zeros = ir.Constant(self.lanes, [0] * LANES)
        self.nothing = ir.Constant(self.lanes, ir.Undefined)
        self.data = [builder.bitcast(array.data, self.word.as_pointer()) for array in arrays]
        self.shapes = [
            [builder.extract_value(array.shape, axis) for axis in range(kind.ndim)]
            for array, kind in zip(arrays, kinds, strict=True)
        ]

    def vector(self, array: int, line: Any, place: Any) -> Any:
        """Return the pointer to a vector."""
        return self.builder.bitcast(self._at(array, line, place), self.lanes.as_pointer())

    def loaded(self, pointer: Any) -> Any:
        """Return what stands at a pointer."""
        return self.builder.load(pointer, align=4)

    def spread(self, array: int, line: Any, place: Any) -> Any:
        """Return a word in all lanes."""
        own = self.loaded(self._at(array, line, place))
        alone = self.builder.insert_element(self.nothing, own, self.word(0))
        return self.builder.shuffle_vector(alone, alone, self.zeros)

    def _at(self, array: int, line: Any, place: Any) -> Any:
        offset = self.builder.add(self.builder.mul(line, self.shapes[array][-1]), place)
        return self.builder.gep(self.data[array], [offset])


def _tile(numba: Any, extending: Any, vectors: range, sums: _Sums) -> Any:
    """Return what adds sums over words to `TILE` rows of z, for some windows.

    The sums stay in registers. Rows of weights are `jump` lines apart, from `line` on; the words
    of m begin in line `start`. Gains of the rows are `step` lines apart, from `own` and `side` on.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature.args[:4], values[:4])
        count = memory.shapes[2][1]
        first, window, line, jump, column, start, own, step, side = values[4:]

        def after(value: Any, number: int, distance: Any = None) -> Any:
            more = value.type(number)
            return builder.add(value, more if distance is None else builder.mul(distance, more))

        windows = [after(window, v) for v in vectors]
        before, loop = builder.block, builder.append_basic_block("words")
        stored = builder.append_basic_block("stored")
        builder.branch(loop)
        builder.position_at_end(loop)
        place = builder.phi(count.type)
        totals = [[builder.phi(memory.lanes) for _ in windows] for _ in range(TILE)]
        shared = builder.add(start, place)
        fields = [
            sums.fields(builder, memory.loaded(memory.vector(2, shared, each))) for each in windows
        ]
        following, where, new = after(place, 1), builder.add(column, place), []
        for k, row in enumerate(totals):
            factor = sums.factor(builder, memory.spread(1, after(line, k, jump), where))
            pairs = zip(row, fields, strict=True)
            new.append([sums.plus(builder, total, factor, each) for total, each in pairs])
            for total, then in zip(row, new[k], strict=True):
                total.add_incoming(memory.zeros, before)
                total.add_incoming(then, loop)
        place.add_incoming(count.type(0), before)
        place.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, stored)
        builder.position_at_end(stored)
        for k, row in enumerate(new):
            gain = memory.spread(3, after(own, k, step), side) if sums.gained else None
            for total, place in zip(row, windows, strict=True):
                spot = memory.vector(0, after(first, k), place)
                made = total if gain is None else builder.mul(total, gain)
                builder.store(builder.add(memory.loaded(spot), made), spot, align=4)
        return context.get_dummy_value()

    def typed(
        typing: Any,
        z: Any,
        weights: Any,
        m: Any,
        gains: Any,
        first: Any,
        window: Any,
        line: Any,
        jump: Any,
        column: Any,
        start: Any,
        own: Any,
        step: Any,
        side: Any,
    ) -> Any:
        return numba.types.void(z, weights, m, gains, *[numba.types.intp] * 9), generate

    return extending.intrinsic(typed)


def _declared(numba: Any, function: Any) -> Any:
    before = numba.config.CACHE_DIR
    try:
        numba.config.CACHE_DIR = str(cache_root(room="numba") / _digest())
        declared = numba.njit(nogil=True, cache=True)(function)
    except (MubinnError, RuntimeError):  # no folder to keep the machine code in
        declared = numba.njit(nogil=True)(function)
    finally:
        numba.config.CACHE_DIR = before
    return declared


def _digest() -> str:
    """Return the digest of the sources of the compiled loops."""
    texts = (Path(file).read_bytes() for file in (__file__, loops.__file__))
    return hashlib.sha256(b"".join(texts)).hexdigest()[:16]
