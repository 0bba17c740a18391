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
from typing import Literal, get_args

import numpy as np

from mubinn.golden.binarize.mlb import fit_scales, mlb, mlb_value
from mubinn.golden.binarize.scales import SCALE_BITS, choose_fraction
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints, to_fixed

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
    before it are its double, its quadruple and so on: with seven or eight levels it is one or two
    units. Powers of two without an offset have no more fraction bits than the last of them
    needs. The scales of a group sum to less than ``2**SCALE_BITS`` units; free ones do so with the
    largest `offset`, others beside it.

    Raises
    ------
    MubinnError
        If the scales are too large for any fraction.
    """
    total = float(scales.sum(axis=1).max() + abs(offset))
    if form == "free":
        fraction = choose_fraction(total, most=most)
        return to_fixed(scales, fraction), fraction
    levels = scales.shape[1]
    doubles = 1 << np.arange(levels - 1, -1, -1, dtype=np.int64)
    for fraction in range(most, -1, -1):
        # A scale that vanished would leave its level without meaning.
        last = np.maximum(to_fixed(scales[:, -1], fraction), 1)
        rest = int(to_fixed(abs(offset), fraction))
        if max(int(last.max()) * int(doubles.sum()), rest) < 1 << SCALE_BITS:
            if form == "shift" and not rest:
                # Fraction bits that no scale has would lengthen every sum that they enter.
                spare = min(int(last[0]).bit_length() - 1, fraction)
                last, fraction = last >> spare, fraction - spare
            return np.outer(last, doubles), fraction
    raise MubinnError(
        f"scales that sum to {total:.4g} are too large for {SCALE_BITS} bits: rescale the model."
    )
