"""What every recurrent layer in level bits shares: the sums z of Eq. (1)-(4), their formats."""

from functools import cached_property

from mubinn.golden.fixed import Ints
from mubinn.golden.formats import Formats
from mubinn.golden.scales import LevelTensor, Quantizer


class RecurrentLayer:
    """Sums z = W_x x + W_h h + b of one layer; what follows them is the subclass's own.

    A subclass is a frozen dataclass with at least these fields.

    Attributes
    ----------
    x, h : Quantizer
    wx : LevelTensor, bits uint8 [W, R, I]
        R rows, row-major by gate: gate * H + cell.
    wh : LevelTensor, bits uint8 [W, R, H]
    b : LevelTensor, bits uint8 [B, R]
    formats : Formats
    """

    x: Quantizer
    h: Quantizer
    wx: LevelTensor
    wh: LevelTensor
    b: LevelTensor
    formats: Formats

    @property
    def features(self) -> int:
        """Inputs I of a step."""
        return int(self.wx.bits.shape[2])

    @property
    def hidden(self) -> int:
        """Cells H."""
        return int(self.wh.bits.shape[2])

    @property
    def z_fraction(self) -> int:
        """Fraction bits of g_ij, of the bias and of z."""
        return max(self.x.fraction + self.wx.fraction, self.h.fraction + self.wh.fraction)

    @cached_property
    def gamma_x(self) -> Ints:
        """g_ij of x W_x (Eq. 9) as int64 [R, A, W], fraction `z_fraction`."""
        return self._gamma(self.x, self.wx)

    @cached_property
    def gamma_h(self) -> Ints:
        """g_ij of h W_h (Eq. 9) as int64 [R, W_h, W], fraction `z_fraction`."""
        return self._gamma(self.h, self.wh)

    def _gamma(self, left: Quantizer, weights: LevelTensor) -> Ints:
        shift = self.z_fraction - left.fraction - weights.fraction
        return (left.scales[None, :, None] * weights.row_scales[:, None, :]) << shift

    @cached_property
    def z_bound(self) -> int:
        """Largest magnitude of z that the scales allow, whatever the level bits are."""
        per_row = (
            self.features * self.gamma_x.sum(axis=(1, 2))
            + self.hidden * self.gamma_h.sum(axis=(1, 2))
            + self.b.row_scales.sum(axis=1)
        )
        return int(per_row.max())
