"""The bit-true GRU cell: one time step, every intermediate named as in hardware."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.cell_params import CellParams, encoder_params
from mubinn.golden.cells.gru_layer import GruLayer, QuantizedGru
from mubinn.golden.cells.lstm_cell import Trace, gate_sums
from mubinn.golden.ground.fixed import Ints, signed_width, unsigned_width
from mubinn.golden.units.activation import activation
from mubinn.golden.units.code_table import code_table
from mubinn.golden.units.mac import MacParams, mac
from mubinn.golden.units.mlb_encoder import MlbEncoderParams
from mubinn.golden.units.pointwise import PointwiseParams, pointwise
from mubinn.golden.units.requantize import RequantizeParams, requantize
from mubinn.golden.units.threshold_search import threshold_search


@dataclass(frozen=True, eq=False)
class GruCellParams(CellParams):
    """Parameters of the units that make a GRU's new state of the sums of its rows.

    Attributes
    ----------
    layer : QuantizedGru
    """

    layer: QuantizedGru

    @property
    def n_width(self) -> int:
        """Bits of nx + r nh."""
        return signed_width(self.layer.n_raw_bound)

    @property
    def n_requantize(self) -> RequantizeParams:
        """From nx + r nh to the input of tanh."""
        formats, layer = self.layer.formats, self.layer
        return RequantizeParams(
            self.n_width, layer.n_raw_fraction, formats.z_width, formats.z_fraction
        )

    @property
    def mac(self) -> MacParams:
        """Parameters of r nh, the MAC of Eq. (6) with a sum in the place of tanh(c)."""
        r = self.layer.gates["r"]
        width = unsigned_width(int(max(r.scales.max(), np.abs(r.offset).max())))
        bound = r.peak * self.layer.z_bound
        return MacParams(r.levels, width, self.z_width, signed_width(bound))

    @property
    def pointwise(self) -> PointwiseParams:
        """Parameters of (1 - z) h + z n, in the form of Eq. (5)."""
        layer = self.layer
        z, n, rest = layer.gates["z"], layer.gates["n"], layer.inverted_z
        gammas = max(int(np.abs(layer.gamma_zh).max()), int(np.abs(layer.gamma_zn).max()))
        bound = int(np.abs(layer.gamma_zh).sum() + np.abs(layer.gamma_zn).sum())
        return PointwiseParams(
            f_levels=z.levels,
            c_levels=layer.h.levels,
            i_levels=z.levels,
            g_levels=n.levels,
            f_offset=rest.has_offset,
            c_offset=layer.h.has_offset,
            i_offset=z.has_offset,
            g_offset=n.has_offset,
            gamma_width=signed_width(gammas),
            sum_width=signed_width(bound),
        )

    def encoder(self, name: str) -> MlbEncoderParams:
        """Return the parameters of the encoder ``gate`` (shared by z, r, n) or ``h``."""
        layer = self.layer
        if name == "gate":
            return self.gate_encoder
        return encoder_params((layer.h,), layer.h_raw_fraction, self.pointwise.sum_width)


def inverted(layer: GruLayer, code: Ints) -> Ints:
    """Return the codes of 1 - z, whose level bits are those of z inverted."""
    return code ^ ((1 << layer.gates["z"].levels) - 1)


def gru_cell(layer: QuantizedGru, x: npt.ArrayLike, h: npt.ArrayLike) -> Trace:
    """Return every intermediate of one time step (effective-quantization, Eq. 10-13) in integers.

    Parameters
    ----------
    layer : QuantizedGru
    x : int64 [..., I]
        Codes of the input.
    h : int64 [..., H]
        Codes of the state before the step.

    Returns
    -------
    dict of int64 arrays
        ``dot_x, prod_x [..., 4H, A W]``, ``dot_h, prod_h [..., 4H, W_h W]``, ``z [..., 4H]``, the
        sums of the rows, and what `gru_state` adds.
    """
    t = gate_sums(layer, x, h)
    return t | gru_state(layer, t["z"], np.asarray(h, np.int64))


def gru_state(layer: QuantizedGru, z: Ints, h: Ints) -> Trace:
    """Return what the layer's datapath makes of the sums; parameters as in `gru_figure3_state`."""
    stage = gru_threshold_state if layer.datapath == "threshold" else gru_figure3_state
    return stage(layer, z, h)


def gru_threshold_state(layer: QuantizedGru, z: Ints, h: Ints) -> Trace:
    """Return what thresholds and tables make of the sums; parameters as in `gru_figure3_state`.

    Returns
    -------
    dict of int64 arrays
        ``gate [..., 3H]``, ``rnh, n_raw, h_raw, h [..., H]``. h_raw is in units of
        `GruThresholds.zh`.
    """
    tables, bits = layer.thresholds, layer.levels.count("gate")
    sums, (nh, nx) = z[..., : 2 * layer.hidden], np.split(z, 4, axis=-1)[2:]
    gates = threshold_search(tables.gate, sums, np.repeat(np.arange(2), layer.hidden))
    update, r = np.split(gates, 2, axis=-1)
    t = _reset(layer, r, nh, nx)
    n = threshold_search(tables.n, t["n_raw"])
    t["gate"] = np.concatenate([gates, n], axis=-1)
    zh, zn = code_table(tables.zh, update | h << bits), code_table(tables.zn, update | n << bits)
    t["h_raw"] = zh + zn
    t["h"] = threshold_search(tables.h, t["h_raw"])
    return t


def _reset(layer: QuantizedGru, r: Ints, nh: Ints, nx: Ints) -> Trace:
    """Return ``rnh`` and ``n_raw``."""
    gate = layer.gates["r"]
    rnh = mac(GruCellParams(layer).mac, r, nh, gate.offset, gate.scales)
    return {"rnh": rnh, "n_raw": rnh + (nx << gate.fraction)}


def gru_figure3_state(layer: QuantizedGru, z: Ints, h: Ints) -> Trace:
    """Return what the units of Figure 3 make of the sums of a GRU's rows.

    Parameters
    ----------
    layer : QuantizedGru
    z : int64 [..., 4H]
    h : int64 [..., H]
        Codes of the state before the step.

    Returns
    -------
    dict of int64 arrays
        ``z_q, y, gate [..., 3H]`` of z, r and n; ``rnh, n_raw, h_raw, h [..., H]``; gate and h are
        codes.
    """
    params, formats, quantizers = GruCellParams(layer), layer.formats, layer.gates
    update, r, nh, nx = np.split(z, 4, axis=-1)
    z_q = [requantize(params.z_requantize, value) for value in (update, r)]
    ys = [activation(formats.activation("f"), value) for value in z_q]
    gates = [quantizers[n].encode(y, formats.y_fraction) for n, y in zip("zr", ys, strict=True)]
    t = _reset(layer, gates[1], nh, nx)
    z_q.append(requantize(params.n_requantize, t["n_raw"]))
    ys.append(activation(formats.activation("g"), z_q[2]))
    gates.append(quantizers["n"].encode(ys[2], formats.y_fraction))
    t["z_q"] = np.concatenate(z_q, axis=-1)
    t["y"] = np.concatenate(ys, axis=-1)
    t["gate"] = np.concatenate(gates, axis=-1)
    rest, gammas = inverted(layer, gates[0]), (layer.gamma_zh, layer.gamma_zn)
    t["h_raw"] = pointwise(params.pointwise, rest, h, gates[0], gates[2], *gammas)
    t["h"] = layer.h.encode(t["h_raw"], layer.h_raw_fraction)
    return t
