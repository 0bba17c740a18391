"""The bit-true GRU cell: one time step, every intermediate named as in hardware."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.cell_params import (
    CellParams,
    encoder_params,
    mac_params,
    pointwise_params,
)
from mubinn.golden.cells.gru_before_layer import QuantizedGruBefore
from mubinn.golden.cells.gru_layer import QuantizedGru
from mubinn.golden.cells.lstm_cell import Trace, encoded_gates, gate_sums
from mubinn.golden.ground.fixed import Ints, signed_width
from mubinn.golden.units.code_table import code_table
from mubinn.golden.units.mac import MacParams, mac
from mubinn.golden.units.mlb_encoder import MlbEncoderParams
from mubinn.golden.units.pointwise import PointwiseParams, pointwise
from mubinn.golden.units.requantize import RequantizeParams, requantize
from mubinn.golden.units.threshold_search import threshold_search


@dataclass(frozen=True, eq=False)
class GruStateParams(CellParams):
    """Parameters of the units that both forms of a GRU have."""

    layer: QuantizedGru | QuantizedGruBefore

    @property
    def pointwise(self) -> PointwiseParams:
        """Parameters of (1 - z) h + z n, in the form of Eq. (5); and of r h where h meets r."""
        layer = self.layer
        factors = layer.inverted_z, layer.h, layer.gates["z"], layer.gates["n"]
        first = [(layer.gamma_rh,)] if isinstance(layer, QuantizedGruBefore) else []
        return pointwise_params(factors, *first, (layer.gamma_zh, layer.gamma_zn))

    def state_encoder(self, name: str) -> MlbEncoderParams:
        """Return the parameters of the encoder ``h``, of all states that meet W_h."""
        layer = self.layer
        return encoder_params(layer.states, layer.h_raw_fraction, self.pointwise.sum_width)


@dataclass(frozen=True, eq=False)
class GruCellParams(GruStateParams):
    """Parameters of the units that make a GRU's new state of the sums of its rows."""

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
        return mac_params(self.layer.gates["r"], self.z_width, self.layer.z_bound)


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
    """Return what the layer's datapath makes of the sums of a GRU's rows.

    Parameters
    ----------
    layer : QuantizedGru
    z : int64 [..., 4H]
    h : int64 [..., H]
        Codes of the state before the step.

    Returns
    -------
    dict of int64 arrays
        ``gate [..., 3H]`` of z, r and n, ``rnh, n_raw, h_raw, h [..., H]``; gate and h are codes.
        On the units of Figure 3 also ``z_q, y [..., 3H]``; h_raw of thresholds is in units of
        `GruThresholds.zh`.
    """
    params, quantizer = GruCellParams(layer), layer.gates["r"]
    sums, (nh, nx) = z[..., : 2 * layer.hidden], np.split(z, 4, axis=-1)[2:]
    if layer.datapath == "threshold":
        trees = np.repeat(np.arange(2), layer.hidden)
        gates = {"gate": threshold_search(layer.thresholds.gate, sums, trees)}
    else:
        gates = encoded_gates(layer, "zr", requantize(params.z_requantize, sums))
    update, r = np.split(gates["gate"], 2, axis=-1)
    rnh = mac(params.mac, r, nh, quantizer.offset, quantizer.scales)
    n_raw = rnh + (nx << quantizer.fraction)
    if layer.datapath == "threshold":
        n = {"gate": threshold_search(layer.thresholds.n, n_raw)}
    else:
        n = encoded_gates(layer, "n", requantize(params.n_requantize, n_raw))
    t = {name: np.concatenate([gates[name], n[name]], axis=-1) for name in gates}
    return t | {"rnh": rnh, "n_raw": n_raw} | new_h(params, update, n["gate"], h)


def new_h(params: GruStateParams, update: Ints, n: Ints, h: Ints) -> Trace:
    """Return ``h_raw, h [..., H]``, Eq. 13 and its encoder on codes of z, n and h."""
    layer = params.layer
    if layer.datapath == "threshold":
        tables, bits = layer.thresholds, layer.levels.count("gate")
        over_h, over_n = (update | code << bits for code in (h, n))
        h_raw = code_table(tables.zh, over_h) + code_table(tables.zn, over_n)
        return {"h_raw": h_raw, "h": threshold_search(tables.h, h_raw)}
    # The level bits of 1 - z are those of z inverted.
    rest = update ^ ((1 << layer.gates["z"].levels) - 1)
    h_raw = pointwise(params.pointwise, rest, h, update, n, layer.gamma_zh, layer.gamma_zn)
    return {"h_raw": h_raw, "h": layer.h.encode(h_raw, layer.h_raw_fraction)}
