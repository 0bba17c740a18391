"""The bit-true LSTM cell: one time step, every intermediate named as in hardware.

What forms z is common to both datapaths; what follows are the units of Figure 3, or thresholds and
tables over codes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.scales import LevelTensor, Quantizer, signs
from mubinn.golden.cells.cell_params import CellParams, encoder_params, mac_params, pointwise_params
from mubinn.golden.cells.constants import GATES
from mubinn.golden.cells.lstm_layer import QuantizedLstm
from mubinn.golden.cells.recurrent_layer import RecurrentLayer
from mubinn.golden.ground.fixed import Ints, signed_width, unsigned_width
from mubinn.golden.units.activation import activation
from mubinn.golden.units.code_table import code_table
from mubinn.golden.units.mac import MacParams, mac
from mubinn.golden.units.mlb_decoder import MlbDecoderParams
from mubinn.golden.units.mlb_encoder import MlbEncoderParams
from mubinn.golden.units.pointwise import PointwiseParams, pointwise
from mubinn.golden.units.requantize import RequantizeParams, requantize
from mubinn.golden.units.threshold_search import threshold_search

Trace = dict[str, Ints]


@dataclass(frozen=True, eq=False)
class LstmCellParams(CellParams):
    """Parameters of all units of one layer's cell, derived from the layer's scales.

    Attributes
    ----------
    interval : int
        Least cycles from the sum of one gate to that of the next.
    network : str
        What the hardware is made of: ``"asic"`` cells, or an FPGA's ``"lut4"`` or ``"xc7"``.
    """

    layer: QuantizedLstm
    interval: int = 1
    network: str = "asic"

    @property
    def c_requantize(self) -> RequantizeParams:
        """From the value of a c code to the input of tanh in Eq. (6)."""
        formats, c = self.layer.formats, self.layer.c
        return RequantizeParams(
            self.c_decoder.value_width, c.fraction, formats.z_width, formats.z_fraction
        )

    @property
    def pointwise(self) -> PointwiseParams:
        """Parameters of Eq. (5)."""
        f, i, g = (self.layer.gates[name] for name in "fig")
        return pointwise_params((f, self.layer.c, i, g), (self.layer.gamma_fc, self.layer.gamma_ig))

    @property
    def mac(self) -> MacParams:
        """Parameters of Eq. (6)."""
        formats = self.layer.formats
        y_width = formats.activation("c").out_width
        return mac_params(self.layer.gates["o"], y_width, 1 << formats.y_fraction)

    def state_encoder(self, name: str) -> MlbEncoderParams:
        """Return the parameters of the encoder ``c`` or ``h``."""
        layer = self.layer
        if name == "c":
            return encoder_params((layer.c,), layer.c_raw_fraction, self.pointwise.sum_width)
        return encoder_params((layer.h,), layer.h_raw_fraction, self.mac.sum_width)

    @property
    def c_decoder(self) -> MlbDecoderParams:
        """Parameters of the decoder of c before tanh in Eq. (6)."""
        c = self.layer.c
        return MlbDecoderParams(
            levels=c.levels,
            offset_width=signed_width(int(np.abs(c.offset).max())) if c.has_offset else 0,
            scale_width=unsigned_width(int(c.scales.max())),
            value_width=signed_width(c.peak),
        )


def dots(codes: Ints, quantizer: Quantizer, weights: LevelTensor) -> Ints:
    """Return the XNOR dot products of all level pairs, int64 [..., R, A * W]; plane is i * W + j.

    Equals `mubinn.golden.units.xnor_multiplier` of every pair of planes; written as one product of
    matrices of signs, exact in float64.
    """
    left = np.moveaxis(signs(codes, quantizer.levels), -1, -2).astype(np.float64)
    right = (2.0 * weights.bits - 1).reshape(weights.levels * weights.rows, -1)
    product = (left @ right.T).astype(np.int64)
    planes = product.reshape(*codes.shape[:-1], quantizer.levels, weights.levels, weights.rows)
    return np.moveaxis(planes, -1, -3).reshape(*codes.shape[:-1], weights.rows, -1)


def gate_sums(layer: RecurrentLayer, x: npt.ArrayLike, h: npt.ArrayLike) -> Trace:
    """Return the sums of a layer's R rows, and what they are made of.

    Codes `x` [..., I] and `h` [..., H] are those of the input and of the state before the step.

    Returns
    -------
    dict of int64 arrays
        ``dot_x, prod_x [..., R, A W]``, ``dot_h, prod_h [..., R, W_h W]``, ``z [..., R]``.
    """
    t: Trace = {}
    t["dot_x"] = dots(np.asarray(x, np.int64), layer.x, layer.wx)
    t["dot_h"] = dots(np.asarray(h, np.int64), layer.h, layer.wh)
    t["prod_x"] = t["dot_x"] * layer.gamma_x.reshape(layer.wx.rows, -1)
    t["prod_h"] = t["dot_h"] * layer.gamma_h.reshape(layer.wx.rows, -1)
    t["z"] = t["prod_x"].sum(axis=-1) + t["prod_h"].sum(axis=-1) + layer.b.values
    return t


def encoded_gates(layer: RecurrentLayer, names: Sequence[str], z_q: Ints) -> Trace:
    """Return what activations and the encoder make of the inputs `z_q` of gates `names`.

    Returns
    -------
    dict of int64 arrays
        ``z_q, y, gate [..., len(names) H]``; gate is a code.
    """
    ys, codes = [], []
    for name, own in zip(names, np.split(z_q, len(names), axis=-1), strict=True):
        ys.append(activation(layer.formats.activation(name), own))
        codes.append(layer.gates[name].encode(ys[-1], layer.formats.y_fraction))
    return {"z_q": z_q, "y": np.concatenate(ys, axis=-1), "gate": np.concatenate(codes, axis=-1)}


def lstm_cell(layer: QuantizedLstm, x: npt.ArrayLike, h: npt.ArrayLike, c: npt.ArrayLike) -> Trace:
    """Return every intermediate of one time step, Eq. (1)-(6), in integers.

    Parameters
    ----------
    layer : QuantizedLstm
    x : int64 [..., I]
        Codes of the input.
    h, c : int64 [..., H]
        Codes of the state before the step.

    Returns
    -------
    dict of int64 arrays
        ``dot_x, prod_x [..., 4H, A W]``, ``dot_h, prod_h [..., 4H, W_h W]``, ``z [..., 4H]``, and
        what the layer's datapath adds, `figure3_state` or `threshold_state`.
    """
    t = gate_sums(layer, x, h)
    stage = threshold_state if layer.datapath == "threshold" else figure3_state
    return t | stage(layer, t["z"], np.asarray(c, np.int64))


def figure3_state(layer: QuantizedLstm, z: Ints, c: Ints) -> Trace:
    """Return what the units of Figure 3 make of z: Eq. (1)-(4) from the activation on, (5), (6).

    Parameters
    ----------
    layer : QuantizedLstm
    z : int64 [..., 4H]
    c : int64 [..., H]
        Codes of the state before the step.

    Returns
    -------
    dict of int64 arrays
        ``z_q, y, gate [..., 4H]``, ``c_raw, c, c_q, tanh_c, h_raw, h [..., H]``; gate, c and h are
        codes.
    """
    params = LstmCellParams(layer)
    t = encoded_gates(layer, GATES, requantize(params.z_requantize, z))
    f, i, g, o = np.split(t["gate"], 4, axis=-1)
    t["c_raw"] = pointwise(params.pointwise, f, c, i, g, layer.gamma_fc, layer.gamma_ig)
    t["c"] = layer.c.encode(t["c_raw"], layer.c_raw_fraction)
    t["c_q"] = requantize(params.c_requantize, layer.c.decode(t["c"]))
    t["tanh_c"] = activation(layer.formats.activation("c"), t["c_q"])
    o_gate = layer.gates["o"]
    t["h_raw"] = mac(params.mac, o, t["tanh_c"], o_gate.offset, o_gate.scales)
    t["h"] = layer.h.encode(t["h_raw"], layer.h_raw_fraction)
    return t


def threshold_state(layer: QuantizedLstm, z: Ints, c: Ints) -> Trace:
    """Return what thresholds and tables make of z; parameters as in `figure3_state`.

    Returns
    -------
    dict of int64 arrays
        ``gate [..., 4H]``, ``c_raw, c, h [..., H]``, and ``h_raw [..., H]`` where the offset of h
        differs between cells. c_raw is in units of `ThresholdTables.fc`, h_raw in the fraction of
        h.
    """
    tables = layer.thresholds
    gate = threshold_search(tables.gate, z, np.repeat(np.arange(4), layer.hidden))
    f, i, g, o = np.split(gate, 4, axis=-1)
    bits = layer.levels.count("gate")
    c_raw = code_table(tables.fc, f | c << bits) + code_table(tables.ig, i | g << bits)
    t: Trace = {"gate": gate, "c_raw": c_raw, "c": threshold_search(tables.c, c_raw)}
    h = code_table(tables.h, o | t["c"] << bits)
    if tables.h_raw is None:
        return t | {"h": h}
    return t | {"h_raw": h, "h": threshold_search(tables.h_raw, h - layer.h.offset)}


def logits(dense_planes: Ints, gamma: Ints, bias: Ints) -> Ints:
    """Return ``sum_ij g_ij dot_ij + bias``: int64 [..., C] of planes [..., C, W_h W]."""
    return np.asarray((dense_planes * gamma.reshape(len(gamma), -1)).sum(axis=-1) + bias)
