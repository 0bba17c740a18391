"""The bit-true cell: one time step, every intermediate named as in hardware.

What forms z is common to both datapaths; what follows are the units of the layer's datapath.
"""

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.scales import LevelTensor, Quantizer, signs
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.ground.fixed import Ints

Trace = dict[str, Ints]

STACKED = {"z_q": "z_q", "y": "y", "": "gate"}
"""What gates have of their own, and its name in a trace, where all gates stand side by side."""


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


def gate_sums(layer: QuantizedLayer, x: npt.ArrayLike, h: npt.ArrayLike) -> Trace:
    """Return the sums of a layer's R rows, and what they are made of.

    Codes `x` [..., I] and `h` [..., H] are those of the input and of what meets W_h.

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


def cell_step(layer: QuantizedLayer, x: npt.ArrayLike, *states: npt.ArrayLike) -> Trace:
    """Return every intermediate of one time step in integers.

    Parameters
    ----------
    layer : QuantizedLayer
    x : int64 [..., I]
        Codes of the input.
    states : int64 [..., H]
        Codes of the states before the step, in the cell's order: h, and c of an LSTM.

    Returns
    -------
    dict of int64 arrays
        ``dot_x, prod_x, dot_h, prod_h, z`` as of `gate_sums`; ``gate [..., G H]``, codes, and on
        Figure 3 ``z_q, y [..., G H]``, of all gates in order; and by name what the other units
        make, [..., H]: of an LSTM ``c_raw, c, c_q, tanh_c, h_raw, h``.
    """
    cell, codes = layer.cell, [np.asarray(state, np.int64) for state in states]
    values = {f"old.{node.name}": code for node, code in zip(cell.states, codes, strict=True)}
    values |= stored_values(layer)
    whole: Trace = {}
    for phase, node in enumerate(cell.recurrent):
        read = codes[0] if node.operation == "state" else values[node.name]
        sums = gate_sums(layer, x, read)
        rows = layer.phase_rows(phase)
        for name, array in sums.items():
            part = array[..., rows] if name == "z" else array[..., rows, :]
            if name not in whole:
                whole[name] = np.zeros_like(array)
            if name == "z":
                whole[name][..., rows] = part
            else:
                whole[name][..., rows, :] = part
        values |= row_values(layer, whole["z"], phase)
        layer.lowered.run(values, phase)
    return whole | traced(layer, values)


def stored_values(layer: QuantizedLayer) -> dict[str, Ints]:
    """Return the codes [H] of the numbers of each cell, by the names of values."""
    return {f"stored.{name}": layer.stored_codes(name) for name in layer.stored}


def row_values(layer: QuantizedLayer, z: Ints, phase: int | None = None) -> dict[str, Ints]:
    """Return the sums [..., R] of the rows of a phase, or of all, by the names of values."""
    return {
        f"{node.name}.z": z[..., layer.row_slice(place)]
        for place, node in enumerate(layer.cell.rows)
        if phase is None or place in layer.phases[phase]
    }


def traced(layer: QuantizedLayer, values: dict[str, Ints]) -> Trace:
    """Return what units have made, gates side by side."""
    lowered, t = layer.lowered, {}
    for suffix, name in STACKED.items():
        own = [f"{gate}.{suffix}" if suffix else gate for gate in layer.cell.gate_names]
        if own and own[0] in values:
            t[name] = np.concatenate([values[gate] for gate in own], axis=-1)
    for unit in lowered.shown:
        if not lowered.is_gate(unit):
            t[unit.name] = values[unit.name]
    return t


def logits(dense_planes: Ints, gamma: Ints, bias: Ints) -> Ints:
    """Return ``sum_ij g_ij dot_ij + bias``: int64 [..., C] of planes [..., C, W_h W]."""
    return np.asarray((dense_planes * gamma.reshape(len(gamma), -1)).sum(axis=-1) + bias)
