"""Quantizers in fixed point: short integer scales that share a count of fraction bits.

Short scales make every product g_ij = ax_i aw_j of Eq. (9) the product of two short integers, so
that all level planes collapse into one exact integer product in software, and may be merged in
hardware.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.mlb import encode
from mubinn.golden.binarize.ordered import Ordered, full_codes, ordered_codes
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Bits, Floats, Ints, frozen, to_fixed, to_float

SCALE_BITS = 8
"""The scales of a tensor of few levels sum to less than 2**SCALE_BITS, see `scale_bits`."""


def scale_bits(levels: int) -> int:
    """Return the bits that the sum of so many scales has.

    Scales that halve leave the last of N levels 2**-N of the sum; two bits more keep it apart from
    0 and from the one before.
    """
    return max(SCALE_BITS, levels + 2)


def room(levels: int) -> int:
    """Return the largest sum of scales, not yet rounded, that stays below its bits when they are.

    It has a unit in hand for each rounding that raises the sum.
    """
    return (1 << scale_bits(levels)) - 1 - MAX_ROUNDINGS


MAX_ROUNDINGS = 4
"""Half-up rounding of up to 8 scales raises their sum by at most this many units."""


def choose_fraction(total: float, levels: int, *, most: int = 15) -> int:
    """Return the largest fraction <= `most` at which so many scales of sum `total` have room."""
    for fraction in range(most, -1, -1):
        if np.ldexp(total, fraction) <= room(levels):
            return fraction
    raise MubinnError(
        f"scales that sum to {total:.4g} are too large for {scale_bits(levels)} bits: "
        "rescale the model."
    )


MAX_SCALE = 1 << 24
"""Scales and offsets of activations are smaller, in units of their fraction."""

MAX_STORED_SCALE = 1 << 48
"""Scales of stored tensors are smaller, in units of their fraction."""


@dataclass(frozen=True, eq=False)
class Quantizer:
    """How an activation tensor is encoded, and what codes stand for: offset + sum_k a_k s_k.

    Attributes
    ----------
    scales : int64 [N]
        a_1..a_N, not negative.
    fraction : int
        Fraction bits of scales and offset.
    offset : int64 []  or [n]
        One for the tensor, or one per element.
    encoder : Ordered or None
        What gives values their codes: thresholds, about the offset, or None, Algorithm 1.
    """

    scales: Ints
    fraction: int
    offset: Ints
    encoder: Ordered | None = None

    def __post_init__(self) -> None:
        """Validate; raise `MubinnError`."""
        object.__setattr__(self, "scales", frozen(self.scales, np.int64))
        object.__setattr__(self, "offset", frozen(self.offset, np.int64))
        if self.scales.ndim != 1 or not len(self.scales) or (self.scales < 0).any():
            raise MubinnError(f"scales {self.scales.tolist()} are not a list of integers >= 0.")
        if self.offset.ndim > 1 or not self.offset.size:
            raise MubinnError("an offset is neither one number nor one per element.")
        if max(*self.scales.tolist(), *map(abs, self.offset.ravel().tolist())) >= MAX_SCALE:
            raise MubinnError(
                f"a scale or offset is {MAX_SCALE} units or more: normalise the "
                "input, or rescale the model."
            )
        if not 0 <= self.fraction <= 30:
            raise MubinnError(f"a fraction of {self.fraction} bits is outside 0 to 30.")
        self._check_encoder()

    def _check_encoder(self) -> None:
        if self.encoder is None:
            return
        self.encoder.check_codes(self.levels)
        if np.abs(self.encoder.thresholds).max() >= MAX_SCALE:
            raise MubinnError(
                f"a threshold is {MAX_SCALE} units or more: normalise the input, or rescale the "
                "model."
            )
        if (np.diff(self.decode_signs(self.encoder.codes)) < 0).any():
            raise MubinnError(
                f"codes {self.encoder.codes.tolist()} of scales {self.scales.tolist()} stand for "
                "values that fall as thresholds rise: order the scales, the largest first."
            )

    @classmethod
    def of(
        cls,
        scales: npt.ArrayLike,
        offset: npt.ArrayLike = 0.0,
        *,
        most: int = 15,
        thresholds: npt.ArrayLike | None = None,
        codes: npt.ArrayLike | None = None,
    ) -> "Quantizer":
        """Return the fixed-point form of float `scales` [N] and `offset`; `most` fraction bits.

        With float `thresholds` [K], learned or chosen, these encode; `codes` [K + 1] are all in
        their order where they are not given (`Ordered`).
        """
        scales = np.asarray(scales, np.float64)
        peak = float(scales.sum() + np.abs(offset).max())
        fraction = choose_fraction(peak, len(scales), most=most)
        encoder = None
        if thresholds is not None:
            own = full_codes(len(scales)) if codes is None else np.asarray(codes)
            encoder = Ordered(to_fixed(thresholds, fraction), own)
        return cls(to_fixed(scales, fraction), fraction, to_fixed(offset, fraction), encoder)

    @property
    def levels(self) -> int:
        """N."""
        return len(self.scales)

    @property
    def has_offset(self) -> bool:
        """Whether any offset differs from zero."""
        return bool(self.offset.any())

    @property
    def peak(self) -> int:
        """Largest magnitude of a value, offset included."""
        return int(self.scales.sum() + np.abs(self.offset).max())

    @property
    def reach(self) -> int:
        """Largest magnitude of a value and of all that decides on codes, offset included."""
        own = self.peak if self.encoder is None else int(np.abs(self.encoder.thresholds).max())
        return max(self.peak, own + int(np.abs(self.offset).max()))

    @property
    def nodes(self) -> Ints:
        """What a value without its offset has to reach, for each prefix of a code.

        int64 [2**N - 1], in the order of `mubinn.golden.units.threshold_search`.
        """
        if self.encoder is not None:
            return self.encoder.nodes(self.levels)
        before = [signs(np.arange(1 << k), k) @ self.scales[:k] for k in range(self.levels)]
        return np.concatenate(before)

    @property
    def largest(self) -> float:
        """`peak` as the number that it stands for."""
        return float(np.ldexp(float(self.peak), -self.fraction))

    @property
    def float_reach(self) -> float:
        """`reach` as the number that it stands for."""
        return float(np.ldexp(float(self.reach), -self.fraction))

    def largest_product(self, right: "LevelTensor", fraction: int) -> float:
        """Return the largest product with a value of `right`, in units of `fraction` bits."""
        largest = float(self.peak) * float(right.scales.sum(axis=1).max())
        return float(np.ldexp(largest, fraction - self.fraction - right.fraction))

    def encode(self, value: npt.ArrayLike, fraction: int) -> Ints:
        """Return the codes of integer values of `fraction` >= ``self.fraction`` bits."""
        shift = fraction - self.fraction
        if self.encoder is None:
            return encode(value, self.offset << shift, self.scales << shift)
        centred = np.asarray(value, np.int64) - (self.offset << shift)
        return ordered_codes(centred, self.encoder.thresholds << shift, self.encoder.codes)

    def decode(self, code: npt.ArrayLike) -> Ints:
        """Return the integer values that `code` stands for, offset included."""
        return self.offset + self.decode_signs(code)

    def decode_signs(self, code: npt.ArrayLike) -> Ints:
        """Return ``sum_k a_k s_k`` of `code`, without the offset."""
        return np.asarray(signs(code, self.levels) @ self.scales)

    def zero_code(self, size: int) -> Ints:
        """Return the codes [size] of the value 0, the state before the first step."""
        return np.broadcast_to(self.encode(np.zeros(size, np.int64), self.fraction), (size,))

    @property
    def float_scales(self) -> Floats:
        """The scales as float64 [N]."""
        return to_float(self.scales, self.fraction)

    @property
    def float_offset(self) -> Floats:
        """The offset as float64."""
        return to_float(self.offset, self.fraction)


def signs(code: npt.ArrayLike, levels: int) -> Ints:
    """Return the signs -1 and +1 of `code` as int64 [..., levels]; level k stands in bit k - 1."""
    wide = np.asarray(code, np.int64)
    return 2 * ((wide[..., None] >> np.arange(levels)) & 1) - 1


def grouped(
    values: Floats, rows: Sequence[int], used: npt.NDArray[np.bool_] | None = None
) -> list[Floats]:
    """Return values [R, ...] in groups of so many rows; of each those that are `used`, flat."""
    ends = np.cumsum(rows)[:-1]
    if used is None:
        return [part.ravel() for part in np.split(values, ends)]
    pairs = zip(np.split(values, ends), np.split(used, ends), strict=True)
    return [part[own] for part, own in pairs]


@dataclass(frozen=True, eq=False)
class LevelTensor:
    """A stored tensor: level bits, and integer scales for groups of its rows.

    Attributes
    ----------
    bits : uint8 [N, R] or [N, R, n]
        Level planes; 1 stands for +1. n is 0 for weights of a state that no row reads.
    scales : int64 [G, N]
        Row r uses the scales of group ``r // (R / G)``. One group a gate, or a row.
    fraction : int
        Fraction bits of the scales.
    group_rows : tuple of int, or None
        Rows of each group where these differ; None where G divides R and all have as many.
    """

    bits: Bits
    scales: Ints
    fraction: int
    group_rows: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Validate; raise `MubinnError`."""
        object.__setattr__(self, "bits", frozen(self.bits, np.uint8))
        object.__setattr__(self, "scales", frozen(self.scales, np.int64))
        if self.bits.ndim not in (2, 3) or not prod(self.bits.shape[:2]) or (self.bits > 1).any():
            raise MubinnError("level bits are not planes of zeros and ones.")
        if self.scales.ndim != 2 or self.scales.shape[1] != len(self.bits):
            raise MubinnError(
                f"scales of shape {self.scales.shape} do not fit {len(self.bits)} levels."
            )
        if (self.scales < 0).any() or (self.scales >= MAX_STORED_SCALE).any():
            raise MubinnError("a scale of the stored weights or biases is out of range.")
        rows = self.group_rows
        if rows is not None and len(set(rows)) == 1:
            object.__setattr__(self, "group_rows", None)
        if not len(self.scales) or (
            self.rows % len(self.scales)
            if rows is None
            else (len(rows), sum(rows)) != (len(self.scales), self.rows) or min(rows) < 1
        ):
            raise MubinnError(
                f"{len(self.scales)} groups of scales do not divide {self.rows} rows."
            )
        if not 0 <= self.fraction <= 40:
            raise MubinnError(f"a fraction of {self.fraction} bits is outside 0 to 40.")

    @property
    def levels(self) -> int:
        """N."""
        return len(self.bits)

    @property
    def rows(self) -> int:
        """R."""
        return int(self.bits.shape[1])

    @property
    def row_scales(self) -> Ints:
        """The scales of every row, int64 [R, N]."""
        own = self.rows // len(self.scales) if self.group_rows is None else self.group_rows
        return np.repeat(self.scales, own, axis=0)

    @property
    def values(self) -> Ints:
        """``sum_k a_k s_k`` as int64 [R] or [R, n]."""
        spread = self.row_scales.T.reshape(self.levels, self.rows, *([1] * (self.bits.ndim - 2)))
        return np.asarray((spread * (2 * self.bits.astype(np.int64) - 1)).sum(axis=0))

    @property
    def float_values(self) -> Floats:
        """The values as float64."""
        return to_float(self.values, self.fraction)
