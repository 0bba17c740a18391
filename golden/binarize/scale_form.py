"""What the scales of one tensor may be: free, halving from level to level, or powers of two.

With halving scales ``a_k = a 2**-k`` the level pairs of a dot product differ in their weights by
powers of two alone, so that one network of weighted adders takes all of them at once; with powers
of two the product of scales is a shift as well, and nothing is left to multiply.

=============  ===================================================================================
free           a_1..a_N as they fit best (`mubinn.golden.binarize.mlb.fit_scales`)
power-of-two   ``a 2**-k``, one best a for each group
shift          ``2**(e - k)``, one best integer e for all groups of the tensor
=============  ===================================================================================
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mubinn.golden.binarize.mlb import fit_scales, mlb, mlb_value
from mubinn.golden.binarize.scales import choose_fraction, scale_bits
from mubinn.golden.binarize.sorted_sample import SortedSample
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints, to_fixed, to_float

ScaleForm = Literal["free", "power-of-two", "shift"]
FORMS: tuple[str, ...] = get_args(ScaleForm)

FEW = 20_000
"""Values of a group that a base is judged on."""

BASES = np.linspace(0.25, 2.25, 121)
"""First scales that are tried, in root mean squares of the sample."""


def fit_form(groups: Sequence[Floats], levels: int, form: ScaleForm) -> Floats:
    """Return scales of the given form with little squared error.

    Parameters
    ----------
    groups : sequence of float64 [...]
        The values of each group, offsets already subtracted.
    levels : int
        N.
    form : ScaleForm

    Returns
    -------
    float64 [G, N]
        Positive (free scales: not negative), descending.

    Raises
    ------
    MubinnError
        If the form is unknown.
    """
    if form not in FORMS:
        raise MubinnError(f"unknown form of scales {form!r}: choose one of {', '.join(FORMS)}.")
    if form == "free":
        return np.stack([fit_scales(group, levels) for group in groups])
    few = [np.ravel(group)[:: -(-group.size // FEW)] for group in groups]
    halves: Floats = np.ldexp(1.0, -np.arange(levels))
    sizes = [float(np.sqrt(np.square(part).mean())) or 1.0 for part in few]
    if form == "power-of-two":
        tried = (size * BASES for size in sizes)
        bases = [_best(own, [part], halves) for own, part in zip(tried, few, strict=True)]
    else:
        low, high = np.floor(np.log2([min(sizes) / 4, max(sizes) * 4]))
        bases = [_best(2.0 ** np.arange(low, high + 1), few, halves)] * len(few)
    return np.asarray(np.outer(bases, halves), np.float64)


def _best(bases: Floats, parts: Sequence[Floats], halves: Floats) -> float:
    """Return the base of least squared error, summed over `parts`."""

    def error(base: float) -> float:
        scales = base * halves
        return sum(float(np.square(x - mlb_value(mlb(x, scales), scales)).sum()) for x in parts)

    return min(map(float, bases), key=error)


def fixed_form(
    scales: Floats, form: ScaleForm, *, offset: float = 0.0, most: int = 15
) -> tuple[Ints, int]:
    """Return fitted scales [G, N] as integers that keep the form exactly, and their fraction bits.

    Free scales are rounded one by one. Of others the last of each group is rounded, and those
    before it are its double, its quadruple and so on. Powers of two without an offset have no more
    fraction bits than the last of them needs. The scales of a group sum to less than
    ``2**scale_bits(N)`` units; free ones do so with the largest `offset`, others beside it.

    Raises
    ------
    MubinnError
        If the scales are too large for any fraction.
    """
    total = float(scales.sum(axis=1).max() + abs(offset))
    levels = scales.shape[1]
    if form == "free":
        fraction = choose_fraction(total, levels, most=most)
        return to_fixed(scales, fraction), fraction
    bits = scale_bits(levels)
    doubles = 1 << np.arange(levels - 1, -1, -1, dtype=np.int64)
    for fraction in range(most, -1, -1):
        # A scale that vanished would leave its level without meaning.
        last = np.maximum(to_fixed(scales[:, -1], fraction), 1)
        rest = int(to_fixed(abs(offset), fraction))
        if max(int(last.max()) * int(doubles.sum()), rest) < 1 << bits:
            if form == "shift" and not rest:
                # Fraction bits that no scale has would lengthen every sum that they enter.
                spare = min(int(last[0]).bit_length() - 1, fraction)
                last, fraction = last >> spare, fraction - spare
            return np.outer(last, doubles), fraction
    raise MubinnError(
        f"scales that sum to {total:.4g} are too large for {bits} bits: rescale the model."
    )


def fit_fixed(
    values: Floats,
    levels: int,
    form: ScaleForm,
    *,
    offset: float = 0.0,
    most: int = 15,
    clip: float = np.inf,
) -> tuple[Ints, int]:
    """Return fixed-point scales [N] fitted to one sample, and their fraction bits.

    Free scales are fitted on the grid of those that can be stored: the rounded fit in real numbers,
    and the scales of one level less with the one that lowers the error most, are both improved unit
    by unit, and the better one is taken. So no error is larger than that of fewer levels.

    Parameters
    ----------
    values : float64 [...]
        The sample, offset already subtracted.
    levels : int
        N.
    form : ScaleForm
    offset : float
        The largest offset, which shares the bits of the scales.
    most : int
        Most fraction bits.
    clip : float
        Where the values were clipped; the scales sum to no more, but for forms that are not free.

    Raises
    ------
    MubinnError
        If the scales are too large for any fraction.
    """
    if form != "free":
        fitted = fit_form([values], levels, form)
        (stored,), fraction = fixed_form(fitted, form, offset=offset, most=most)
        return stored, fraction
    sample = SortedSample.of(values)
    room = _Room(offset, most, clip)
    best = np.zeros(0, np.int64), 0
    for count in range(1, levels + 1):
        fitted = fit_scales(values, count)
        fitted = fitted * min(1.0, clip / max(float(fitted.sum()), np.finfo(float).tiny))
        (stored,), fraction = fixed_form(fitted[None], form, offset=offset, most=most)
        stored[0] -= max(int(stored.sum()) - room.units(count, fraction), 0)
        fits = [_polished(sample, stored, fraction, room)]
        if count > 1:
            fits.append(_polished(sample, *_longer(sample, *best, room), room))
        best = min(fits, key=lambda fit: sample.error(to_float(*fit)))
    return best


@dataclass(frozen=True)
class _Room:
    """What limits the scales of one tensor; see `fit_fixed`."""

    offset: float
    most: int
    clip: float

    def units(self, levels: int, fraction: int) -> int:
        """Return the largest sum of the scales, in units of `fraction`."""
        left = (1 << scale_bits(levels)) - 1 - int(to_fixed(self.offset, fraction))
        return int(min(left, np.floor(np.ldexp(self.clip, fraction))))


def _longer(sample: SortedSample, stored: Ints, fraction: int, room: _Room) -> tuple[Ints, int]:
    """Return scales with one level more, in as many fraction bits as there is room for."""
    levels, total = len(stored) + 1, int(stored.sum())
    finest = max(
        f
        for f in range(fraction, room.most + 1)
        if f == fraction or total << f - fraction <= room.units(levels, f)
    )
    stored = stored << finest - fraction
    last = int(to_fixed(sample.next_scale(to_float(stored, finest)), finest))
    last = min(last, int(stored[-1]), room.units(levels, finest) - int(stored.sum()))
    return np.append(stored, max(last, 0)), finest


def _polished(sample: SortedSample, stored: Ints, fraction: int, room: _Room) -> tuple[Ints, int]:
    """Return the scales after steps of one unit that lower the error, as long as there are any."""
    limit = room.units(len(stored), fraction)
    one = np.eye(len(stored), dtype=np.int64)
    steps = np.concatenate([one, -one, (one[:, None] - one).reshape(-1, len(stored))])
    error = sample.error(to_float(stored, fraction))
    for _ in range(POLISH):
        tried = stored + steps
        kept = (tried >= 0).all(axis=1) & (tried.sum(axis=1) <= limit)
        tried = tried[kept & (np.diff(tried, axis=1) <= 0).all(axis=1)]
        errors = sample.errors(to_float(tried, fraction))
        if not len(tried) or errors.min() >= error:
            break
        stored, error = tried[np.argmin(errors)], float(errors.min())
    return stored, fraction


POLISH = 20
"""Most steps."""
