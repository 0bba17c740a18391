"""Numbers of the fast inference: what codes stand for in products, and the encoder of samples.

A code of a tensor with scales a and bits b stands in the products of the fast inference as
``m = sum_k (a_k / u) b_k >= 0``, where u is the greatest common divisor of the scales; its value is
``2 u m - sum_k a_k``. With one level m is the bit itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints, to_fixed
from mubinn.golden.inference.decisions import encoder_segments
from mubinn.golden.model.quantized_model import QuantizedModel

Array = npt.NDArray[Any]

BLOCK = 16
"""Windows whose samples are encoded at once, so that they stay in the cache."""

WORD = 32
"""Bits of a word."""


def check_windows(x: Array) -> None:
    """Raise `MubinnError` unless `x` has the axes of windows, N, T and I, and a step or more."""
    if x.ndim != 3 or not x.shape[1]:
        raise MubinnError(
            f"data of shape {x.shape} are not (windows, steps, channels): "
            "prepare them as the model's input is."
        )


def unit(quantizer: Quantizer) -> int:
    """Return u, the greatest common divisor of the scales, or 1."""
    return max(1, int(np.gcd.reduce(quantizer.scales)))


def peak(quantizer: Quantizer) -> int:
    """Return the largest m."""
    return int(quantizer.scales.sum()) // unit(quantizer)


def positive(quantizer: Quantizer, code: npt.ArrayLike) -> Ints:
    """Return m of `code`."""
    total = quantizer.scales.sum()
    return np.asarray((quantizer.decode_signs(code) + total) // (2 * unit(quantizer)))


def joined(parts: Sequence[Array], sizes: Sequence[int], width: int) -> Array:
    """Return fields uint32 [T, L, n, B] of layers side by side, of each one's `sizes` fields."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *sizes]) * width
    first = parts[0]
    found = np.zeros((*first.shape[:2], -(-int(starts[-1]) // WORD), first.shape[3]), np.uint32)
    for part, start, size in zip(parts, starts.tolist(), sizes, strict=False):
        word, shift = divmod(start, WORD)
        for k in range(part.shape[2]):
            bits = min(WORD, size * width - k * WORD)
            own = part[:, :, k] & np.uint32((1 << bits) - 1)
            found[:, :, word + k] |= own << np.uint32(shift)
            if shift + bits > WORD:
                found[:, :, word + k + 1] |= own >> np.uint32(WORD - shift)
    return found


def pack(codes: Array, planes: int, width: int, least: int = 1) -> Array:
    """Return fields of codes [n, B] in words, uint32 [max(planes, least), n width / 32, B].

    A plane takes `width` bits of a code, plane 0 the low ones; the first code is in the low bits.
    """
    per = WORD // width
    size, batch = codes.shape
    out = np.zeros((max(planes, least), -(-size // per), batch), np.uint32)
    for plane in range(planes):
        for k in range(size):
            field = (codes[k] >> plane * width & (1 << width) - 1).astype(np.uint32)
            out[plane, k // per] |= field << np.uint32(k % per * width)
    return out


@dataclass(frozen=True, eq=False)
class InputTables:
    """The encoder of the input as thresholds on float32 samples.

    Attributes
    ----------
    thresholds : float32 [K, 1] or [K, I]
        A sample's segment is the count of thresholds that it reaches.
    values : unsigned [K + 1]
        m of each segment, in the shortest type.
    codes : uint32 [K + 1]
        Code of each segment.
    """

    thresholds: Array
    values: Array
    codes: Array

    @classmethod
    def of(cls, x: Quantizer) -> "InputTables":
        """Derive the thresholds of ``encode(to_fixed(sample))`` and check each from both sides."""
        nodes, made, offset = encoder_segments(x, INPUT_FRACTION)
        first = nodes[:, None] + offset.reshape(1, -1)
        # Rounding half up reaches `first` half a unit below it; the next float32 up is exact.
        exact = np.ldexp(first - 0.5, -INPUT_FRACTION)
        thresholds = exact.astype(np.float32)
        low = thresholds < exact
        thresholds[low] = np.nextafter(thresholds[low], np.float32(np.inf))
        below = np.nextafter(thresholds, np.float32(-np.inf))
        if (to_fixed(thresholds, INPUT_FRACTION) < first).any() or (
            to_fixed(below, INPUT_FRACTION) >= first
        ).any():
            raise AssertionError("a float32 threshold is not the first sample of its segment")
        m = positive(x, made)
        values = m.astype(np.min_scalar_type(int(m.max())))
        return cls(thresholds, values, made.astype(np.uint32))

    def encode(self, model: QuantizedModel, x: Array) -> Array:
        """Return m of the codes that ``model.encode_input(x)`` has, unsigned [T, I, N].

        Raises `MubinnError` on NaN. `x` is float32 [N, T, I]; other types work, slower.
        """
        if x.dtype != np.float32 or model.embedding is not None:
            m = positive(model.layers[0].x, model.encode_input(x))
            return np.ascontiguousarray(m.transpose(1, 2, 0))
        shape = x.shape[1:]
        out = np.empty((*shape, len(x)), self.values.dtype)
        segment = np.empty((BLOCK, *shape), np.uint8)
        reached = np.empty((BLOCK, *shape), np.bool_)
        for start in range(0, len(x), BLOCK):
            part = x[start : start + BLOCK]
            count, hit = segment[: len(part)], reached[: len(part)]
            if not np.isfinite(part, out=hit).all():
                model.encode_input(part)  # raises with the right words
            count[:] = 0
            for threshold in self.thresholds:
                np.greater_equal(part, threshold, out=hit)
                np.add(count, hit.view(np.uint8), out=count)
            out[..., start : start + BLOCK] = np.take(self.values, count).transpose(1, 2, 0)
        return out
