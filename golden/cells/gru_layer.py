"""The quantized GRU layer: what the memories hold, and every format that follows from it.

Two forms (effective-quantization, Eq. 10-13), which differ in what the reset gate meets:

- after the product, ``n = tanh(W_n x + b_n + r (U_n h + b_hn))``, here. h meets its weights as
  level bits just as in an LSTM. Update gate, reset gate and the two sums of the candidate are four
  rows of a cell, as f, i, g and o are, and pass through the same XNOR multipliers: a row that
  leaves x or h out has scales 0 for it. ``r (U_n h + b_hn)`` is the MAC of Eq. (6).
- before the product, `mubinn.golden.cells.gru_before_layer`.

In both ``h' = (1 - z) h + z n`` (Eq. 13) is the pointwise XNOR multiplier of Eq. (5): the level
bits of 1 - z are those of z inverted.
"""

from dataclasses import dataclass
from functools import cached_property

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.constants import GRU_GATES, INPUT_FRACTION, check_bounds
from mubinn.golden.cells.recurrent_layer import RecurrentLayer, pair_products
from mubinn.golden.cells.thresholds import GruThresholds, SumFormat
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints

GRU_ROWS = ("z", "r", "nh", "nx")
"""Rows of a cell in order: update, reset, the candidate's sums over h and over x."""


@dataclass(frozen=True, eq=False)
class GruLayer(RecurrentLayer):
    """What both forms share: the state, its levels, and the quantizer of 1 - z.

    Gates are z, r and n. The offset of h is one number, as h is also a factor of Eq. 13.
    """

    @property
    def n_raw_fraction(self) -> int:
        """Fraction bits of the input of tanh."""
        raise NotImplementedError

    def check_gru(self) -> None:
        """Raise `MubinnError` where parts do not fit, or an intermediate may be too large."""
        self.check_parts(GRU_GATES)
        if self.x.offset.shape not in ((), (self.features,)) or any(
            state.offset.ndim for state in self.states
        ):
            raise MubinnError("the offset of x or h has more numbers than a GRU can take.")
        self.check_gates()
        if self.x.fraction > INPUT_FRACTION:
            raise MubinnError("the scales of x are finer than the numbers they encode.")

    @property
    def c(self) -> Quantizer:
        """The state that a cell keeps in M_g for Eq. 13: its own h."""
        return self.h

    @property
    def h_raw_fraction(self) -> int:
        """Fraction bits of (1 - z) h + z n."""
        raise NotImplementedError

    @property
    def h_limit(self) -> float:
        """Bound of (1 - z) h + z n and the steps of its encoder; checks the level counts."""
        _ = self.levels
        h, z, n = self.h.largest, self.gates["z"].largest, self.gates["n"].largest
        return 2.0**self.h_raw_fraction * ((1 + 2 * z) * (h + n) + h)

    @cached_property
    def inverted_z(self) -> Quantizer:
        """The quantizer of 1 - z, whose level bits are those of z inverted."""
        z = self.gates["z"]
        return Quantizer(z.scales, z.fraction, (1 << z.fraction) - z.offset)

    @property
    def has_left_offset(self) -> bool:
        """Whether the pointwise multiplier has a row for the offset of its first factor."""
        return self.inverted_z.has_offset

    @cached_property
    def gamma_zh(self) -> Ints:
        """g_km of (1 - z) h, int64; an offset's row or column stands first where there is one."""
        return pair_products(self.inverted_z, self.h, self.h_raw_fraction, self.has_left_offset)

    @cached_property
    def gamma_zn(self) -> Ints:
        """g_km of z n, int64; an offset's row or column stands first where there is one."""
        return pair_products(self.gates["z"], self.gates["n"], self.h_raw_fraction)


@dataclass(frozen=True, eq=False)
class QuantizedGru(GruLayer):
    """A GRU layer that resets after the product, in level bits and integer scales.

    Rows are row * H + cell, rows as `GRU_ROWS`. Scales of W_x are 0 in the rows nh, those of
    W_h in the rows nx.
    """

    def __post_init__(self) -> None:
        """Validate that the parts fit; raise `MubinnError`."""
        self.check_gru()
        unused = (self.wx.row_scales[self._rows("nh")], self.wh.row_scales[self._rows("nx")])
        if any(scales.any() for scales in unused):
            raise MubinnError("a sum of the candidate mixes x and h: check the model file.")
        r = self.gates["r"]
        n_raw = self.z_limit * 2.0**r.fraction * (1 + r.largest)
        check_bounds(n_raw=n_raw, h_raw=self.h_limit, y=self.y_limit)

    def _rows(self, name: str) -> slice:
        start = GRU_ROWS.index(name) * self.hidden
        return slice(start, start + self.hidden)

    @property
    def n_raw_fraction(self) -> int:
        """Fraction bits of nx + r nh."""
        return self.z_fraction + self.gates["r"].fraction

    @cached_property
    def n_raw_bound(self) -> int:
        """Largest magnitude of nx + r nh that the scales allow."""
        r = self.gates["r"]
        return self.z_bound * (r.peak + (1 << r.fraction))

    @property
    def h_raw_fraction(self) -> int:
        """Fraction bits of (1 - z) h + z n."""
        return self.gates["z"].fraction + max(self.h.fraction, self.gates["n"].fraction)

    @cached_property
    def thresholds(self) -> GruThresholds:
        """All numbers of the threshold datapath."""
        n_raw = SumFormat(self.n_raw_fraction, self.n_raw_bound)
        return GruThresholds.of(self.z_format, n_raw, self.gates, self.h, self.h_raw_fraction)
