"""Compiled loops of the fast inference, where numba is installed (``mubinn[fast]``).

numba is imported when `kernels` is first called. Compiled code lets go of the interpreter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mubinn.golden.inference.loops import (
    PARTS,
    TILE,
    accumulate,
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

    numba keeps the machine code beside `mubinn.golden.inference.loops`, or in a folder of the user
    where that is read-only.
    """
    numba: Any = import_module("numba")
    extending: Any = import_module("numba.extending")

    def count_bits(typing: Any, word: Any) -> Any:
        return word(word), lambda context, builder, signature, words: builder.ctpop(words[0])

    native, tile, wide = extending.intrinsic(count_bits), *_tile(numba, extending)
    extending.overload(popcount)(lambda word: lambda word: native(word))

    def tiles(z: Any, weights: Any, row: Any, column: Any, m: Any) -> Any:
        for first in range(0, z.shape[0], TILE):
            for window in range(0, z.shape[1], wide):
                tile(z, weights, m, first, window, row + first, column)

    def chosen(z: Any, weights: Any, row: Any, column: Any, m: Any) -> Any:
        return tiles

    extending.overload(accumulate)(chosen)
    for part in PARTS:
        # Inlined before types are known, or each call would count references to its arrays.
        extending.register_jitable(inline="never" if part is weighted else "always")(part)
    return Kernels(*(_declared(numba, whole) for whole in (encode_words, run_layer)))


def _tile(numba: Any, extending: Any) -> tuple[Any, int]:
    """Return what adds products of pairs to `TILE` rows of z, and for how many windows.

    The sums stay in registers. Every step multiplies pairs of 16-bit numbers and adds the two
    products, which is one instruction of most processors; a plain loop does not become it.
    """
    ir: Any = import_module("llvmlite.ir")
    binding: Any = import_module("llvmlite.binding")
    features = binding.get_host_cpu_features()
    vectors = range(0, WINDOWS if features.get("avx512f") else LANES, LANES)
    word, lanes = ir.IntType(32), ir.VectorType(ir.IntType(32), LANES)
    pairs, products = ir.VectorType(ir.IntType(16), 2 * LANES), ir.VectorType(word, 2 * LANES)
    even, odd = (ir.Constant(lanes, list(range(k, 2 * LANES, 2))) for k in (0, 1))
    zeros = ir.Constant(lanes, [0] * LANES)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:3], values[:3], strict=True)
        ]
        data = [builder.bitcast(array.data, word.as_pointer()) for array in arrays]
        widths = [
            builder.extract_value(array.shape, kind.ndim - 1)
            for array, kind in zip(arrays, signature.args[:3], strict=True)
        ]
        count = builder.extract_value(arrays[2].shape, 1)
        first, window, row, column = values[3:]

        def at(array: int, line: Any, place: Any, kind: Any) -> Any:
            """Return where a vector begins."""
            offset = builder.add(builder.mul(line, widths[array]), place)
            return builder.bitcast(builder.gep(data[array], [offset]), kind.as_pointer())

        def plus(value: Any, number: int) -> Any:
            return builder.add(value, value.type(number))

        def loaded(pointer: Any) -> Any:
            return builder.load(pointer, align=4)

        spots = [
            at(0, plus(first, k), plus(window, v), lanes) for k in range(TILE) for v in vectors
        ]
        before, loop = builder.block, builder.append_basic_block("pairs")
        old = [loaded(spot) for spot in spots]
        after = builder.append_basic_block("stored")
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(count.type)
        sums = [builder.phi(lanes) for _ in spots]
        wide = [
            builder.sext(loaded(at(2, step, plus(window, v), pairs)), products) for v in vectors
        ]
        new: list[Any] = []
        for k in range(TILE):
            pair = loaded(at(1, plus(row, k), builder.add(column, step), word))
            alone = builder.insert_element(ir.Constant(lanes, ir.Undefined), pair, word(0))
            spread = builder.bitcast(builder.shuffle_vector(alone, alone, zeros), pairs)
            factor = builder.sext(spread, products)
            for m in wide:
                both = builder.mul(factor, m)
                halves = (builder.shuffle_vector(both, both, half) for half in (even, odd))
                new.append(builder.add(sums[len(new)], builder.add(*halves)))
        following = plus(step, 1)
        for value, start, then in zip(
            [step, *sums], [count.type(0), *old], [following, *new], strict=True
        ):
            value.add_incoming(start, before)
            value.add_incoming(then, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
        builder.position_at_end(after)
        for spot, value in zip(spots, new, strict=True):
            builder.store(value, spot, align=4)
        return context.get_dummy_value()

    def typed(
        typing: Any, z: Any, weights: Any, m: Any, first: Any, window: Any, row: Any, column: Any
    ) -> Any:
        places = [numba.types.intp] * 4
        return numba.types.void(z, weights, m, *places), generate

    return extending.intrinsic(typed), len(vectors) * LANES


def _declared(numba: Any, function: Any) -> Any:
    try:
        declared = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to keep the machine code in
        declared = numba.njit(nogil=True)(function)
    return declared
