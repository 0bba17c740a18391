"""Binary32 payloads as fields, and operand pairs where rounding and normalisation can go wrong."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mubinn.golden.baseline.binary32 import Words
from mubinn.sim.testbench.payload import Fields

#: Both zeros, the ends and neighbours of the subnormal and normal ranges, powers of two and their
#: neighbours, infinities, quiet and signalling NaN.
CORNERS: Words = np.array(
    [
        0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x00000002, 0x00000003, 0x003FFFFF,
        0x00400000, 0x007FFFFE, 0x007FFFFF, 0x807FFFFF, 0x00800000, 0x80800000, 0x00800001,
        0x00FFFFFF, 0x01000000, 0x01000001, 0x1FFFFFFF, 0x20000000, 0x33800000, 0x33800001,
        0x34000000, 0x3F000000, 0x3F7FFFFF, 0xBF7FFFFF, 0x3F800000, 0xBF800000, 0x3F800001,
        0xBF800001, 0x3FFFFFFF, 0x40000000, 0xC0000000, 0x40000001, 0x4B7FFFFF, 0x4B800000,
        0x4C000000, 0x5F800000, 0x7E800000, 0x7F000000, 0x7F7FFFFE, 0x7F7FFFFF, 0xFF7FFFFF,
        0x7F800000, 0xFF800000, 0x7F800001, 0x7FC00000, 0xFFC00001,
    ],
    np.uint32,
)  # fmt: skip


def split(bits: ArrayLike, name: str = "") -> Fields:
    """Return bit patterns as the fields of the payload member `name`, or of a bare payload."""
    words = np.asarray(bits, np.uint32).astype(np.int64)
    prefix = f"{name}." if name else ""
    return {
        f"{prefix}fraction": words & 0x7FFFFF,
        f"{prefix}exponent": words >> 23 & 0xFF,
        f"{prefix}sign": words >> 31,
    }


def join(fields: Mapping[str, ArrayLike], name: str = "") -> Words:
    """Return the bit patterns of the fields that `split` gives."""
    prefix = f"{name}." if name else ""
    fraction, exponent, sign = (
        np.asarray(fields[prefix + part], np.int64) for part in ("fraction", "exponent", "sign")
    )
    return (sign << 31 | exponent << 23 | fraction).astype(np.uint32)


def operands(params: Any, random: np.random.Generator, count: int) -> Fields:
    """Return the stimulus of a unit of two operands, `a` and `b`: `pairs` as fields."""
    a, b = pairs(random, count)
    return split(a, "a") | split(b, "b")


def words(random: np.random.Generator, count: int) -> Words:
    """Return uniform bit patterns, so that every exponent occurs."""
    return random.integers(0, 1 << 32, count, dtype=np.uint32)


def _with_exponent(bits: Words, exponent: NDArray[np.int64]) -> Words:
    clipped = np.clip(exponent, 0, 255).astype(np.uint32)
    return (bits & np.uint32(0x807FFFFF)) | clipped << np.uint32(23)


def _runs(random: np.random.Generator, bits: Words) -> Words:
    """Return `bits` with fractions that are one run of ones: ties and long carries."""
    ones = (1 << random.integers(0, 24, len(bits))) - 1
    fraction = ones << random.integers(0, 23, len(bits)) & 0x7FFFFF
    return (bits & np.uint32(0xFF800000)) | fraction.astype(np.uint32)


def pairs(random: np.random.Generator, count: int) -> tuple[Words, Words]:
    """Return every pair of corners, then nine kinds of random pairs, at least `count` in all.

    Uniform; exponents apart by at most 3; nearly opposite numbers; few fraction bits at most 27
    places apart (ties of a sum); both near the subnormal range; exponents whose sum puts a product
    at the ends of the range, with full and with short fractions (ties of a product); fractions of
    one run of ones, far apart and close.
    """
    a, b = [np.repeat(CORNERS, len(CORNERS))], [np.tile(CORNERS, len(CORNERS))]
    n = max(1, -(-(count - len(a[0])) // 9))

    def exponents(bits: Words) -> NDArray[np.int64]:
        return (bits >> np.uint32(23) & np.uint32(255)).astype(np.int64)

    def add(first: Words, second: Words) -> None:
        a.append(first)
        b.append(second)

    add(words(random, n), words(random, n))
    first = words(random, n)
    add(first, _with_exponent(words(random, n), exponents(first) + random.integers(-3, 4, n)))
    first = words(random, n)
    step = random.integers(-5, 6, n).astype(np.uint32)
    add(first, (first ^ np.uint32(1 << 31)) + step)
    first = words(random, n) & np.uint32(0xFFF00000)
    second = words(random, n) & np.uint32(0x80700003)
    add(first, _with_exponent(second, exponents(first) + random.integers(-27, 28, n)))
    small = np.uint32(0x83FFFFFF)
    add(words(random, n) & small, words(random, n) & small)
    ends = np.array([102, 103, 104, 115, 126, 127, 128, 380, 381, 382, 383])
    for mask in (0xFFFFFFFF, 0xFFE00000):
        first = words(random, n) & np.uint32(mask | 0xFFFFF000)
        second = words(random, n) & np.uint32(mask)
        add(first, _with_exponent(second, random.choice(ends, n) - exponents(first)))
    first, second = _runs(random, words(random, n)), _runs(random, words(random, n))
    add(first, second)
    add(first, _with_exponent(second, exponents(first) + random.integers(-2, 3, n)))
    return np.concatenate(a), np.concatenate(b)
