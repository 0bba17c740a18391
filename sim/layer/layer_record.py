"""A layer's trace memories as the golden model's arrays, and their comparison."""

from collections.abc import Mapping, Sequence

import numpy as np

from mubinn.golden.cells.step import Trace
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.fixed import Ints
from mubinn.sim.testbench.compare import SimulationMismatch, compare_signal
from mubinn.sim.testbench.payload import Bits, Field, unpack_bits

AXES = ("step", "cell", "gate", "pass")
PARTS = ("dot", "prod")


def bits_of(words: Sequence[str], where: str) -> Bits:
    """Return binary numbers, highest bit first, as one row of bits each, lowest first."""
    text = np.frombuffer("".join(words).encode(), np.uint8)
    bits: Bits = text.reshape(len(words), -1)[:, ::-1] - ord("0")
    if (bits > 1).any():
        raise SimulationMismatch(f"{where}: the trace has undefined bits.")
    return bits


def sums_by_cell(plan: LayerPlan, fields: Sequence[Field], bits: Bits) -> dict[str, Ints]:
    """Return ``dot_x, prod_x, dot_h, prod_h [T, H, G, pairs]`` and ``z [T, H, G]`` of G rows.

    `bits` are words of ``trace_sums``, uint8 [T * G * rounds, width], and `fields` their layout.
    """
    found = {}
    # Where the rows of all cells lie, [H, G]: phase after phase, in each the cells in order.
    order = np.argsort(plan.rows.ravel())[-plan.layer.wx.rows :]
    order = order.reshape(plan.layer.cell_rows, -1).T
    for name, values in unpack_bits(fields, bits).items():
        leaf = name.rpartition(".")[2]
        rows = values.reshape(-1, plan.rows.size, *values.shape[2:])
        found[leaf] = rows[:, order]
    if plan.merged:
        return found
    if not plan.whole:
        for kind in PARTS:
            part = found.pop(f"{kind}_part")
            words = part.reshape(*part.shape[:3], len(plan.words), -1, plan.side)
            found[f"{kind}_x"] = words[:, :, :, : plan.x_words].sum(axis=3)
            found[f"{kind}_h"] = words[:, :, :, plan.x_words :].sum(axis=3)
    places = _places(plan)[order // plan.engines]
    cell, gate = (np.arange(n) for n in places.shape[:2])
    where = (slice(None), cell[:, None, None], gate[:, None], places[..., 0], places[..., 1])
    return {name: v if name == "z" else v[where] for name, v in found.items()}


def _places(plan: LayerPlan) -> Ints:
    """Return cycle and multiplier of each pair, int64 [rows of an engine, pairs, 2]."""
    met = [plan.schedule.places(row) for rows in plan.phase_rows for row in range(len(rows))]
    return np.array(met)


def compare_sums(plan: LayerPlan, got: Mapping[str, Ints], golden: Trace, where: str) -> None:
    """Demand z and, where rows do not merge them, dot product and product of every level pair."""
    layer = plan.layer
    for name in () if plan.merged else ("dot_x", "prod_x", "dot_h", "prod_h"):
        levels = (layer.x if name.endswith("x") else layer.h).levels
        want = by_cell(golden[name], layer.hidden)
        planes = np.zeros_like(want)
        for number in range(plan.planes):
            i, j = number % plan.left, number // plan.left
            value = got[name][..., number]
            if i < levels and j < layer.wx.levels:
                planes[..., i * layer.wx.levels + j] = value
            elif name.startswith("prod"):
                # A pair that the product has not must add nothing.
                compare_signal(name, value, np.zeros_like(value), AXES, where)
        compare_signal(name, planes, want, AXES, where)
    compare_signal("z", got["z"], by_cell(golden["z"], layer.hidden), AXES, where)


def compare_cells(
    plan: LayerPlan, fields: Sequence[Field], bits: Bits, golden: Trace, where: str
) -> None:
    """Demand everything that the state stages show: `bits` are words of ``trace_cells``."""
    hidden, phases = plan.layer.hidden, plan.layer.phases
    for name, values in unpack_bits(fields, bits).items():
        leaf = name.rpartition(".")[2]
        shape = (-1, len(phases), plan.rounds * plan.engines, *values.shape[2:])
        made, want = values.reshape(shape)[:, :, :hidden], golden[leaf]
        if name.startswith("gates."):
            want = by_cell(want, hidden)
            got = made[:, 0]
            if len(phases) > 1:
                cell = plan.layer.cell
                own = [made[:, cell.phase(g)][..., k] for k, g in enumerate(cell.gates)]
                got = np.stack(own, axis=-1)
        else:
            got = made[:, plan.layer.lowered[leaf].phase]
        compare_signal(leaf, got, want, AXES, where)


def by_cell(values: Ints, hidden: int) -> Ints:
    """Return golden rows [T, G H, ...] as [T, H, G, ...]."""
    return np.swapaxes(values.reshape(len(values), -1, hidden, *values.shape[2:]), 1, 2)
