"""The bit-true cell: one time step, every intermediate named as in hardware.

What forms z is common to both datapaths; what follows are the units of the layer's datapath.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.scales import Quantizer, signs
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.ground.fixed import Bits, Ints

Trace = dict[str, Ints]

STACKED = {"z_q": "z_q", "y": "y", "": "gate"}
"""What gates have of their own, and its name in a trace, where all gates stand side by side."""


def dots(codes: Ints, quantizer: Quantizer, weights: Bits) -> Ints:
    """Return the XNOR dot products of all level pairs, int64 [..., R, A * W]; plane is i * W + j.

    The weights are level bits [W, R, n].

    Equals `mubinn.golden.units.xnor_multiplier` of every pair of planes; written as one product of
    matrices of signs, exact in float64.
    """
    left = np.moveaxis(signs(codes, quantizer.levels), -1, -2).astype(np.float64)
    levels, rows, columns = weights.shape
    right = (2.0 * weights - 1).reshape(levels * rows, columns)
    product = (left @ right.T).astype(np.int64)
    planes = product.reshape(*codes.shape[:-1], quantizer.levels, levels, rows)
    return np.moveaxis(planes, -1, -3).reshape(*codes.shape[:-1], rows, quantizer.levels * levels)


def gate_sums(layer: QuantizedLayer, phase: int, x: npt.ArrayLike, h: npt.ArrayLike) -> Trace:
    """Return the sums of the R rows of a phase, and what they are made of.

    Codes `x` [..., I] and `h` [..., n] are those of the input and of what meets W_h.

    Returns
    -------
    dict of int64 arrays
        ``dot_x, prod_x [..., R, A W]``, ``dot_h, prod_h [..., R, W_h W]``, ``z [..., R]``; W_h are
        the levels that rows read.
    """
    t: Trace = {}
    rows, columns = layer.phase_rows(phase), layer.sizes.phase_columns(phase)
    t["dot_x"] = dots(np.asarray(x, np.int64), layer.x, layer.wx.bits[:, rows])
    read = np.asarray(h, np.int64)[..., :columns]
    t["dot_h"] = dots(read, layer.states[phase], layer.wh.bits[:, rows, :columns])
    t["prod_x"] = t["dot_x"] * layer.gamma_x[rows].reshape(len(rows), -1)
    t["prod_h"] = t["dot_h"] * layer.gamma_h[rows].reshape(len(rows), -1)
    t["z"] = t["prod_x"].sum(axis=-1) + t["prod_h"].sum(axis=-1) + layer.b.values[rows]
    return t


def cell_step(
    layer: QuantizedLayer,
    x: npt.ArrayLike,
    *states: npt.ArrayLike,
    around: npt.ArrayLike | None = None,
) -> Trace:
    """Return every intermediate of one time step in integers.

    Parameters
    ----------
    layer : QuantizedLayer
    x : int64 [..., I]
        Codes of the input.
    states : int64 [..., H]
        Codes of the states before the step, in the cell's order: h, and c of an LSTM. The h of a
        projection has P numbers, here and in what is returned.
    around : int64 [..., taps H], or None
        What W_h meets where that is not the first state: of a sweep h of the pixels around.

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
    found: list[Trace] = []
    for phase, node in enumerate(cell.recurrent):
        met = codes[0] if around is None else around
        read = met if node.operation == "state" else values[node.name]
        found.append(gate_sums(layer, phase, x, read))
        rows = np.split(found[-1]["z"], len(layer.phases[phase]), axis=-1)
        own = zip(cell.phase_nodes[phase], rows, strict=True)
        values |= {f"{row.name}.z": z for row, z in own}
        layer.lowered.run(values, phase)
    return by_row(layer, found) | traced(layer, values)


def by_row(layer: QuantizedLayer, found: Sequence[Trace]) -> Trace:
    """Return what `gate_sums` of all phases gives, the rows in their order."""
    order = np.argsort(np.concatenate([layer.phase_rows(k) for k in range(len(found))]))
    axes = {name: -1 if name == "z" else -2 for name in found[0]}
    return {
        name: np.take(np.concatenate([own[name] for own in found], axis), order, axis)
        for name, axis in axes.items()
    }


def stored_values(layer: QuantizedLayer) -> dict[str, Ints]:
    """Return the codes [H] of the numbers of each cell, by the names of values."""
    return {f"stored.{name}": layer.stored_codes(name) for name in layer.stored}


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
