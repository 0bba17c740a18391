"""The quantized LSTM layer: what the memories hold, and every format that follows from it."""

from dataclasses import dataclass, field
from functools import cached_property

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.constants import GATES, INPUT_FRACTION, check_bounds
from mubinn.golden.cells.recurrent_layer import RecurrentLayer, pair_products
from mubinn.golden.cells.thresholds import ThresholdTables
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True, eq=False)
class QuantizedLstm(RecurrentLayer):
    """One LSTM layer in level bits and integer scales. Rows are gate * H + cell, gates as `GATES`.

    Attributes
    ----------
    c : Quantizer
        Its offset is one number, as those of the gates; x and h have one, or one per element.
    """

    c: Quantizer = field(kw_only=True)

    def __post_init__(self) -> None:
        """Validate that the parts fit; raise `MubinnError`."""
        self.check_parts(GATES)
        for name, size in (("x", self.features), ("h", self.hidden), ("c", 1)):
            if getattr(self, name).offset.shape not in ((), (size,)):
                raise MubinnError(f"the offset of {name} is neither one number nor {size}.")
        self.check_gates()
        if self.h.fraction > self.h_raw_fraction or self.x.fraction > INPUT_FRACTION:
            raise MubinnError("the scales of x or h are finer than the numbers they encode.")
        _ = self.levels
        c_raw = (
            self.gates["f"].largest * self.c.largest
            + self.gates["i"].largest * self.gates["g"].largest
            + self.c.largest
        )
        check_bounds(
            z=self.z_limit,
            c_raw=2.0**self.c_raw_fraction * c_raw,
            h_raw=2.0**self.h_raw_fraction * (self.gates["o"].largest + self.h.largest),
            y=self.y_limit,
        )

    @property
    def c_raw_fraction(self) -> int:
        """Fraction bits of f c + i g."""
        f, i, g = (self.gates[name] for name in "fig")
        return max(f.fraction + self.c.fraction, i.fraction + g.fraction)

    @property
    def h_raw_fraction(self) -> int:
        """Fraction bits of o tanh(c)."""
        return self.gates["o"].fraction + self.formats.y_fraction

    @cached_property
    def thresholds(self) -> ThresholdTables:
        """All numbers of the threshold datapath."""
        return ThresholdTables.of(self.z_format, self.gates, self.c, self.h, self.c_raw_fraction)

    @cached_property
    def gamma_fc(self) -> Ints:
        """g_km of f c (Eq. 5), int64; an offset's row or column stands first where there is one."""
        return pair_products(self.gates["f"], self.c, self.c_raw_fraction)

    @cached_property
    def gamma_ig(self) -> Ints:
        """g_km of i g (Eq. 5), int64; an offset's row or column stands first where there is one."""
        return pair_products(self.gates["i"], self.gates["g"], self.c_raw_fraction)
