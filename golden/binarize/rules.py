"""The rules of "Effective Quantization Approaches for Recurrent Neural Networks", Eq. (20) to (24).

====  ======================  ==========================  ===========================
rule  values                  thresholds                  factor f of the print
====  ======================  ==========================  ===========================
bc    -a, a                   0                           none (Eq. 20)
tc    -a, 0, a                -t, t with t = mu + f s     1 (Eq. 21), 1/2 (Eq. 22)
qc    -a, -a/2, a/2, a        -t, 0, t                    1/4 (Eq. 23), 1/6 (Eq. 24)
====  ======================  ==========================  ===========================

mu and s are mean and standard deviation of the tensor without its offset. The paper prints no scale
factor; here a is what leaves the least squared error, one for each group that shares scales.

The first factor is the one that the paper calls normal and uses throughout, and the default here.
Of tc the names fit: normal values are split 16, 68 and 16 %, or 31, 38 and 31 %. Of qc neither
factor gives the histogram that the paper shows: 1/4 splits 40, 10, 10 and 40 %, and
quarters would take 0.674.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.ordered import Ordered, ordered_codes
from mubinn.golden.binarize.scales import (
    LevelTensor,
    Quantizer,
    choose_fraction,
    grouped,
    signs,
)
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints, to_fixed

TENSORS = ("x", "w", "h", "c", "gate")
"""What has an encoder of its choice. w is the weights of recurrent layers, as in the paper; biases
and the classifier keep Algorithm 1."""

MAX_FACTOR = 10.0
"""Largest threshold factor: no value of a tensor lies as many deviations from its mean."""


@dataclass(frozen=True)
class _Form:
    """``units``: scales in units of the last one; ``codes`` of the ranges; the printed factor."""

    units: tuple[int, ...]
    codes: tuple[int, ...]
    factor: float | None = None


FORMS = {
    "bc": _Form((1,), (0, 1)),
    "tc": _Form((1, 1), (0, 1, 3), 1.0),
    "qc": _Form((3, 1), (0, 2, 1, 3), 0.25),
}


@dataclass(frozen=True)
class Rule:
    """A rule with its factor, None where it has none, for some tensor; see `parse_encoders`."""

    name: str
    factor: float | None
    tensor_name: str = "a tensor"

    @property
    def levels(self) -> int:
        """N."""
        return len(self.units)

    def __str__(self) -> str:
        """Return how the rule is asked for."""
        return self.name if self.factor is None else f"{self.name}:{self.factor:g}"

    @property
    def units(self) -> tuple[int, ...]:
        """Scales in units of the last one."""
        return FORMS[self.name].units

    @property
    def codes(self) -> Ints:
        """Codes of the ranges between thresholds, from the lowest to the highest."""
        return np.array(FORMS[self.name].codes)

    @property
    def cuts(self) -> Floats:
        """Thresholds in units of `reach`."""
        return np.linspace(-1, 1, len(self.codes) - 1) if self.factor is not None else np.zeros(1)

    def thresholds(self, values: Floats) -> Floats:
        """Return the thresholds for the values of a tensor; raises as `reach` does."""
        return self.cuts if self.factor is None else self.reach(values) * self.cuts

    def reach(self, values: Floats) -> float:
        """Return the highest threshold for the values of a tensor.

        Raises
        ------
        MubinnError
            Where the mean is so far below 0 that thresholds would not rise.
        """
        if self.factor is None:
            return 0.0
        reach = float(values.mean() + self.factor * values.std())
        if reach <= 0:
            raise MubinnError(
                f"{self.tensor_name} has the mean {values.mean():.4g} and the deviation "
                f"{values.std():.4g}: the thresholds of {self} would not rise. Give a larger "
                "factor, or mlb."
            )
        return reach

    def quantizer(self, values: Floats, offset: Floats | float = 0.0, most: int = 15) -> Quantizer:
        """Return the quantizer of a sample of an activation's values, offsets subtracted.

        Its thresholds are rounded to the fraction bits of its scales, `most` of them.
        """
        cuts = self.thresholds(values)
        unit = self.last_scales(values[None], cuts)
        peak = float(np.abs(offset).max())
        scales, fraction = self._scales(unit, peak, most)
        encoder = None
        if self.factor is not None:
            encoder = Ordered(to_fixed(cuts, fraction), self.codes)
        return Quantizer(scales[0], fraction, to_fixed(np.asarray(offset), fraction), encoder)

    def tensor(
        self,
        values: Floats,
        groups: Sequence[int],
        used: npt.NDArray[np.bool_] | None = None,
    ) -> LevelTensor:
        """Return stored rows [R, ...] as level bits, in groups of so many rows that share a.

        The thresholds are those of the whole tensor; groups of zeros are left out of them, and so
        is what is not `used`, whose bits are 0.
        """
        parts = grouped(values, groups, used)
        live = [part for part in parts if part.any()]
        cuts = self.thresholds(np.concatenate(live or parts))
        codes = self._codes(values, cuts)
        units = np.concatenate([self.last_scales(part[None], cuts) for part in parts])
        scales, fraction = self._scales(units, 0.0, 15)
        codes = codes if used is None else np.where(used, codes, 0)
        bits = np.moveaxis((codes[..., None] >> np.arange(self.levels)) & 1, -1, 0)
        return LevelTensor(bits.astype(np.uint8), scales, fraction, tuple(groups))

    def _codes(self, values: Floats, cuts: Floats) -> Ints:
        return ordered_codes(values, cuts, self.codes)

    def last_scales(self, parts: Floats, cuts: Floats) -> Floats:
        """Return the last scale of each group [G, n] with the least squared error, not negative."""
        made = signs(self._codes(parts, cuts), self.levels) @ np.array(self.units)
        squares = np.square(made).sum(axis=1)
        found = (parts * made).sum(axis=1) / np.maximum(squares, 1)
        return np.asarray(np.maximum(found, 0.0))

    def _scales(self, units: Floats, offset: float, most: int) -> tuple[Ints, int]:
        """Return fixed-point scales [G, N] that keep their ratio, and their fraction bits."""
        form = np.array(self.units)
        total = float(units.max()) * int(form.sum()) + offset
        fraction = choose_fraction(total, self.levels, most=most)
        return np.outer(to_fixed(units, fraction), form), fraction


def parse_encoders(texts: Sequence[str]) -> dict[str, Rule]:
    """Return the rules that texts such as ``tc``, ``qc:0.674`` and ``w=tc:0.5`` ask for, by tensor.

    A text without a tensor is for all that no other text names; ``mlb`` is Algorithm 1, which has
    no rule. A factor that is not given is the printed one of Eq. (21) or (23).

    Raises
    ------
    MubinnError
        For an unknown rule or tensor, an impossible factor, or a tensor that is named twice.
    """
    found: dict[str, Rule | None] = {}
    for text in texts:
        name, equals, rule = text.rpartition("=")
        if equals and name not in TENSORS:
            raise MubinnError(
                f"unknown tensor {name!r} in the encoder {text!r}: choose of {', '.join(TENSORS)}."
            )
        if name in found:
            what = name or "all that is not named"
            raise MubinnError(f"two encoders are given for {what}: leave out one.")
        found[name] = _rule(rule)
    rest = found.pop("", None)
    chosen = {name: found.get(name, rest) for name in TENSORS}
    return {n: replace(rule, tensor_name=n) for n, rule in chosen.items() if rule is not None}


def _rule(text: str) -> Rule | None:
    name, colon, number = text.partition(":")
    if name not in ("mlb", *FORMS):
        raise MubinnError(
            f"unknown encoder {text!r}: choose one of mlb, {', '.join(FORMS)}, or tc and qc with a "
            "factor, as in tc:0.5."
        )
    form = FORMS.get(name)
    printed = form.factor if form else None
    if not colon:
        return Rule(name, printed) if form else None
    if printed is None:
        raise MubinnError(f"{name} has no threshold factor: give {name} alone.")
    try:
        factor = float(number)
    except ValueError:
        factor = np.nan
    if not 0 < factor <= MAX_FACTOR:
        raise MubinnError(
            f"the factor of the encoder {text!r} is no number above 0 and up to {MAX_FACTOR:g}."
        )
    return Rule(name, factor)


def check_rules(rules: Mapping[str, Rule], counts: Mapping[str, int | None], form: str) -> None:
    """Raise `MubinnError` where rules do not fit the level counts of tensors, or the scale form."""
    for name, rule in rules.items():
        if name not in TENSORS:
            raise MubinnError(f"{name} takes no encoder: choose of {', '.join(TENSORS)}.")
        if counts[name] != rule.levels:
            raise MubinnError(
                f"the encoder {rule} has {rule.levels} level{'s' * (rule.levels > 1)}, but {name} "
                f"is to have {counts[name]}: give {name} {rule.levels}, or another encoder."
            )
        if form != "free" and name in ("x", "w", "h"):
            raise MubinnError(
                f"the encoder {rule} of {name} has scales of its own, not of the form {form}: "
                "leave out the form of scales, or the encoder."
            )
