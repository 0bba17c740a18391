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
    TAILS,
    encode_words,
    finish_step,
    popcount,
    run_layer,
)

Function = Callable[..., None]


@dataclass(frozen=True)
class Kernels:
    """Compiled forms of the functions of these names."""

    encode_words: Callable[..., bool]
    run_layer: Function
    finish_step: Function


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

    native = extending.intrinsic(count_bits)
    extending.overload(popcount)(lambda word: lambda word: native(word))
    for part in (*PARTS, *TAILS):
        extending.register_jitable(part)
    return Kernels(*(_declared(numba, whole) for whole in (encode_words, run_layer, finish_step)))


def _declared(numba: Any, function: Any) -> Any:
    try:
        declared = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to keep the machine code in
        declared = numba.njit(nogil=True)(function)
    return declared
