"""The quantized GRU layer in Cho's form: the reset gate meets h before the recurrent product.

``n = tanh(W_n x + b_n + U_n s)`` with ``s = r h`` (effective-quantization, Eq. 12). s is encoded to
level bits like h, so that it meets its weights in the same XNOR multipliers; but every row of n
needs the s of all cells. A step therefore goes over the cells twice: rows z and r with h, then rows
n with s. ``s = r h`` and ``h' = (1 - z) h + z n`` (Eq. 13) are pointwise XNOR multipliers of one
form, that of Eq. (5), in one format.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.constants import check_bounds
from mubinn.golden.cells.gru_layer import GruLayer
from mubinn.golden.cells.recurrent_layer import pair_products
from mubinn.golden.cells.thresholds import GruBeforeThresholds
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True, eq=False)
class QuantizedGruBefore(GruLayer):
    """A GRU layer that resets before the product, in level bits and integer scales.

    Rows are gate * H + cell, gates as `mubinn.golden.cells.constants.GRU_GATES`.

    Attributes
    ----------
    s : Quantizer
        Of s = r h, which meets W_h in the rows of n; with the levels of h, and one offset.
    """

    s: Quantizer = field(kw_only=True)

    phases: ClassVar[tuple[tuple[int, ...], ...]] = ((0, 1), (2,))

    def __post_init__(self) -> None:
        """Validate that the parts fit; raise `MubinnError`."""
        if self.s.levels != self.h.levels:
            raise MubinnError(
                f"r h has {self.s.levels} levels and h {self.h.levels}: give both the same, as "
                "they share the weights' multipliers."
            )
        self.check_gru()
        if self.s.fraction > self.h_raw_fraction:
            raise MubinnError("the scales of r h are finer than the numbers they encode.")
        s_raw = self.gates["r"].largest * self.h.largest + self.s.largest
        check_bounds(
            z=self.z_limit,
            s_raw=2.0**self.h_raw_fraction * s_raw,
            h_raw=self.h_limit,
            y=self.y_limit,
        )

    @property
    def states(self) -> tuple[Quantizer, ...]:
        """What the rows of each phase multiply with W_h: h, then s."""
        return self.h, self.s

    @property
    def kept_bits(self) -> int:
        """Bits of a cell in M_g: the code of h, above it that of z between the two phases."""
        return self.h.levels + self.gates["z"].levels

    @property
    def n_raw_fraction(self) -> int:
        """Fraction bits of the input of tanh: the sum of a row of n."""
        return self.z_fraction

    @property
    def h_raw_fraction(self) -> int:
        """Fraction bits of s_raw = r h and of h_raw = (1 - z) h + z n."""
        z, r, n = self.gates.values()
        return max(z.fraction + max(self.h.fraction, n.fraction), r.fraction + self.h.fraction)

    @property
    def has_left_offset(self) -> bool:
        """Whether r or 1 - z has an offset; the pointwise multiplier then has a row for it."""
        return self.gates["r"].has_offset or super().has_left_offset

    @cached_property
    def thresholds(self) -> GruBeforeThresholds:
        """All numbers of the threshold datapath."""
        return GruBeforeThresholds.of(
            self.z_format, self.gates, self.h, self.s, self.h_raw_fraction
        )

    @cached_property
    def gamma_rh(self) -> Ints:
        """g_km of r h, int64; an offset's row or column stands first where there is one."""
        return pair_products(self.gates["r"], self.h, self.h_raw_fraction, self.has_left_offset)
