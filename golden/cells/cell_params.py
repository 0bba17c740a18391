"""Parameters of the units that every cell has."""

from collections.abc import Sequence

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.recurrent_layer import RecurrentLayer
from mubinn.golden.ground.fixed import Ints, signed_width, unsigned_width
from mubinn.golden.units.bias_add import BiasAddParams
from mubinn.golden.units.mac import MacParams
from mubinn.golden.units.mlb_encoder import MlbEncoderParams
from mubinn.golden.units.pointwise import PointwiseParams
from mubinn.golden.units.requantize import RequantizeParams


class CellParams:
    """Parameters of the units that form the sums z, and of those that every cell has after them.

    A subclass is a frozen dataclass with the field `layer`.
    """

    layer: RecurrentLayer

    @property
    def gamma_width(self) -> int:
        """Bits of an unsigned g_ij of x W_x or h W_h."""
        return unsigned_width(int(max(self.layer.gamma_x.max(), self.layer.gamma_h.max())))

    @property
    def dot_width(self) -> int:
        """Bits of a signed dot product 2p - n over the larger of the two halves."""
        return signed_width(max(self.layer.features, self.layer.hidden))

    @property
    def z_width(self) -> int:
        """Bits of z, wide enough for every content of the memories."""
        return signed_width(self.layer.z_bound)

    @property
    def bias_add(self) -> BiasAddParams:
        """Parameters of the Add unit."""
        return BiasAddParams(
            levels=self.layer.b.levels,
            product_width=self.dot_width + self.gamma_width,
            scale_width=unsigned_width(int(self.layer.b.scales.max())),
            sum_width=self.z_width,
        )

    @property
    def z_requantize(self) -> RequantizeParams:
        """From z to the activations' input."""
        formats = self.layer.formats
        return RequantizeParams(
            self.z_width, self.layer.z_fraction, formats.z_width, formats.z_fraction
        )

    @property
    def gate_encoder(self) -> MlbEncoderParams:
        """Parameters of the one encoder that all gates share."""
        formats = self.layer.formats
        width = formats.activation("f").out_width
        return encoder_params(tuple(self.layer.gates.values()), formats.y_fraction, width)

    def encoder(self, name: str) -> MlbEncoderParams:
        """Return the parameters of an encoder: ``gate``, shared by all gates, or of a state."""
        return self.gate_encoder if name == "gate" else self.state_encoder(name)

    def state_encoder(self, name: str) -> MlbEncoderParams:
        """Return the parameters of the encoder of the state `name`."""
        raise NotImplementedError


def encoder_params(quantizers: Sequence[Quantizer], fraction: int, width: int) -> MlbEncoderParams:
    """Return the parameters of one encoder for all `quantizers`, which have one level count.

    Parameters
    ----------
    quantizers : sequence of Quantizer
    fraction, width : int
        Format of the signed value.
    """
    shifts = [fraction - q.fraction for q in quantizers]
    pairs = list(zip(quantizers, shifts, strict=True))
    offset = max(int(np.abs(q.offset).max()) << shift for q, shift in pairs)
    scale = max(int(q.scales.max()) << shift for q, shift in pairs)
    return MlbEncoderParams(
        levels=quantizers[0].levels,
        value_width=width,
        offset_width=signed_width(offset) if offset else 0,
        scale_width=unsigned_width(scale),
    )


def mac_params(gate: Quantizer, width: int, most: int) -> MacParams:
    """Return the parameters of the MAC of `gate` and numbers of `width` bits, at most `most`."""
    scale = int(max(gate.scales.max(), np.abs(gate.offset).max()))
    return MacParams(gate.levels, unsigned_width(scale), width, signed_width(gate.peak * most))


def pointwise_params(
    factors: tuple[Quantizer, Quantizer, Quantizer, Quantizer], *sums: Sequence[Ints]
) -> PointwiseParams:
    """Return the parameters of the one unit that forms every one of `sums`.

    Parameters
    ----------
    factors : tuple of Quantizer
        f, c, i and g.
    sums : sequences of int64 [levels, levels]
        The g_km of each sum's products; those of the last one are f c and i g.
    """
    f, c, i, g = factors
    sizes = [[np.abs(gamma) for gamma in products] for products in sums]
    return PointwiseParams(
        a_levels=f.levels,
        b_levels=c.levels,
        c_levels=i.levels,
        d_levels=g.levels,
        a_offset=len(sums[-1][0]) > f.levels,
        b_offset=c.has_offset,
        c_offset=i.has_offset,
        d_offset=g.has_offset,
        gamma_width=signed_width(max(int(gamma.max()) for own in sizes for gamma in own)),
        sum_width=signed_width(max(sum(int(gamma.sum()) for gamma in own) for own in sizes)),
    )
