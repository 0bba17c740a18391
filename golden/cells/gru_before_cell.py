"""The bit-true GRU cell in Cho's form: one time step, every intermediate named as in hardware."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.gru_before_layer import QuantizedGruBefore
from mubinn.golden.cells.gru_cell import GruStateParams, new_h
from mubinn.golden.cells.lstm_cell import Trace, encoded_gates, gate_sums
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.units.code_table import code_table
from mubinn.golden.units.pointwise import pointwise
from mubinn.golden.units.requantize import requantize
from mubinn.golden.units.threshold_search import threshold_search


@dataclass(frozen=True, eq=False)
class GruBeforeCellParams(GruStateParams):
    """Parameters of the units that make s and the new state of the sums of a cell's rows."""

    layer: QuantizedGruBefore


def gru_before_cell(layer: QuantizedGruBefore, x: npt.ArrayLike, h: npt.ArrayLike) -> Trace:
    """Return every intermediate of one time step (effective-quantization, Eq. 10-13) in integers.

    Parameters are those of `gru_cell`.

    Returns
    -------
    dict of int64 arrays
        ``dot_x, prod_x [..., 3H, A W]``, ``dot_h, prod_h [..., 3H, W_h W]``, where the rows of n
        meet s, ``z [..., 3H]``, the sums of the rows, and what `gru_before_reset` and
        `gru_before_state` add; what both have stands side by side.
    """
    state, update = np.asarray(h, np.int64), 2 * layer.hidden
    first = gate_sums(layer, x, state)
    t = gru_before_reset(layer, first["z"][..., :update], state)
    second = gate_sums(layer, x, t["s"])
    z = t["gate"][..., : layer.hidden]
    new = gru_before_state(layer, second["z"][..., update:], z, state)
    for name, values in first.items():
        axis = -1 if name == "z" else -2
        halves = np.split(values, [update], axis)[0], np.split(second[name], [update], axis)[1]
        t[name] = np.concatenate(halves, axis)
    for name, own in new.items():
        t[name] = np.concatenate([t[name], own], axis=-1) if name in t else own
    return t


def gru_before_reset(layer: QuantizedGruBefore, z: Ints, h: Ints) -> Trace:
    """Return what the layer's datapath makes of the sums of z and r: the gates, and s = r h.

    Parameters
    ----------
    layer : QuantizedGruBefore
    z : int64 [..., 2H]
    h : int64 [..., H]
        Codes of the state before the step.

    Returns
    -------
    dict of int64 arrays
        ``gate [..., 2H]`` and ``s [..., H]``, codes; on the units of Figure 3 also ``z_q, y [...,
        2H]`` and ``s_raw [..., H]``, in the fraction `QuantizedGruBefore.h_raw_fraction`.
    """
    t = _gates(layer, z, "zr")
    r = t["gate"][..., layer.hidden :]
    if layer.datapath == "threshold":
        return t | {"s": code_table(layer.thresholds.s, r | h << layer.levels.count("gate"))}
    none = np.zeros_like(layer.gamma_zn)
    t["s_raw"] = pointwise(GruBeforeCellParams(layer).pointwise, r, h, r, r, layer.gamma_rh, none)
    return t | {"s": layer.s.encode(t["s_raw"], layer.h_raw_fraction)}


def gru_before_state(layer: QuantizedGruBefore, z: Ints, update: Ints, h: Ints) -> Trace:
    """Return what the layer's datapath makes of the sums of n: the candidate and the new state.

    Parameters
    ----------
    layer : QuantizedGruBefore
    z : int64 [..., H]
    update, h : int64 [..., H]
        Codes of the update gate, and of the state before the step.

    Returns
    -------
    dict of int64 arrays
        ``gate [..., H]`` of n, ``h_raw, h [..., H]``; gate and h are codes. On the units of Figure
        3 also ``z_q, y [..., H]``; h_raw of thresholds is in units of `GruBeforeThresholds.zh`.
    """
    t = _gates(layer, z, "n")
    return t | new_h(GruBeforeCellParams(layer), update, t["gate"], h)


def _gates(layer: QuantizedGruBefore, z: Ints, names: str) -> Trace:
    """Return the codes of gates `names` of sums [..., len(names) H], and how they came about."""
    if layer.datapath == "threshold":
        trees = ["zrn".index(name) for name in names]
        return {"gate": threshold_search(layer.thresholds.gate, z, np.repeat(trees, layer.hidden))}
    return encoded_gates(layer, names, requantize(GruBeforeCellParams(layer).z_requantize, z))
