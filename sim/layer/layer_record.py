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


def row_grid(plan: LayerPlan) -> Ints:
    """Return which row each cell has in each place of the cell, int64 [H, G]; -1 for none."""
    sizes = plan.layer.sizes
    grid = np.full((sizes.hidden, plan.layer.cell_rows), -1)
    for place, count in enumerate(sizes.row_counts):
        grid[:count, place] = np.arange(plan.layer.wx.rows)[sizes.row_slice(place)]
    return grid


def sums_by_cell(plan: LayerPlan, fields: Sequence[Field], bits: Bits) -> dict[str, Ints]:
    """Return ``dot_x, prod_x, dot_h, prod_h [T, H, G, pairs]`` and ``z [T, H, G]`` of G rows.

    `bits` are words of ``trace_sums``, uint8 [T * G * rounds, width], and `fields` their layout.
    A projection has fewer rows than cells; what the others would have is 0.
    """
    found = {}
    # Where the rows of all cells lie, [H, G]: phase after phase, in each the cells in order.
    grid, places = row_grid(plan), np.argsort(plan.rows.ravel())[-plan.layer.wx.rows :]
    order = places[grid]
    for name, values in unpack_bits(fields, bits).items():
        leaf = name.rpartition(".")[2]
        rows = values.reshape(-1, plan.rows.size, *values.shape[2:])
        found[leaf] = _where(grid, rows[:, order])
    if plan.merged:
        return found
    if not plan.whole:
        for kind in PARTS:
            found |= _by_source(plan, kind, found.pop(f"{kind}_part"))
    met = _places(plan)[order // plan.engines]
    cell, gate = (np.arange(n) for n in met.shape[:2])
    where = (slice(None), cell[:, None, None], gate[:, None], met[..., 0], met[..., 1])
    return {name: v if name == "z" else v[where] for name, v in found.items()}


def _where(grid: Ints, values: Ints) -> Ints:
    """Return values [T, H, G, ...] of the rows that there are, 0 for others."""
    return values * (grid >= 0).reshape(*grid.shape, *[1] * (values.ndim - 3))


def _by_source(plan: LayerPlan, kind: str, part: Ints) -> dict[str, Ints]:
    """Return what the words of x and those of h make together, of [T, H, G, issues, side]."""
    words = part.reshape(*part.shape[:3], -1, plan.schedule.issues, plan.side)
    found = {source: np.zeros_like(words[:, :, :, 0]) for source in ("x", "h")}
    for own, gates in zip(plan.passes, map(list, plan.layer.phases), strict=False):
        # The last words, where other rows have more.
        met = words[:, :, gates, -own.count :]
        for source, total in found.items():
            chosen = [word.source == source for word in own.words]
            total[:, :, gates] = met[:, :, :, chosen].sum(axis=3)
    return {f"{kind}_{source}": total for source, total in found.items()}


def _places(plan: LayerPlan) -> Ints:
    """Return cycle and multiplier of each pair, int64 [rows of an engine, pairs, 2]."""
    met = [plan.schedule.places(row) for rows in plan.phase_rows for row in range(len(rows))]
    return np.array(met)


def compare_sums(plan: LayerPlan, got: Mapping[str, Ints], golden: Trace, where: str) -> None:
    """Demand z and, where rows do not merge them, dot product and product of every level pair."""
    layer, grid = plan.layer, row_grid(plan)
    for name in () if plan.merged else ("dot_x", "prod_x", "dot_h", "prod_h"):
        levels = (layer.x if name.endswith("x") else layer.states[0]).levels
        want = _where(grid, golden[name][:, grid])
        planes = np.zeros_like(want)
        for number in range(plan.planes):
            i, j = number % plan.left, number // plan.left
            # Where nothing meets h there is no part of it.
            value = got[name][..., number] if name in got else np.zeros_like(got["z"])
            if i < levels and j < layer.wx.levels:
                planes[..., i * layer.wx.levels + j] = value
            elif name.startswith("prod"):
                # A pair that the product has not must add nothing.
                compare_signal(name, value, np.zeros_like(value), AXES, where)
        for own, gates in zip(plan.passes, map(list, layer.phases), strict=False):
            # What no row of a phase reads is left out, or meets something with scales of 0.
            reads = own.reads_x if name.endswith("x") else own.columns > 0
            if name.startswith("dot") and not reads:
                want[:, :, gates] = planes[:, :, gates] = 0
        compare_signal(name, planes, want, AXES, where)
    compare_signal("z", got["z"], _where(grid, golden["z"][:, grid]), AXES, where)


def compare_cells(
    plan: LayerPlan, fields: Sequence[Field], bits: Bits, golden: Trace, where: str
) -> None:
    """Demand everything that the state stages show: `bits` are words of ``trace_cells``."""
    cell, sizes = plan.layer.cell, plan.layer.sizes
    starts = np.cumsum([0, *plan.phase_rounds]) * plan.engines
    for name, values in unpack_bits(fields, bits).items():
        leaf = name.rpartition(".")[2]
        steps = values.reshape(-1, starts[-1], *values.shape[2:])
        made = [
            steps[:, start : start + sizes.phase_count(phase)]
            for phase, start in enumerate(starts[:-1])
        ]
        want = golden[leaf]
        if name.startswith("gates."):
            want = by_cell(want, sizes.hidden)
            own = [made[cell.phase(gate)][..., k] for k, gate in enumerate(cell.gates)]
            got = np.stack(own, axis=-1)
        else:
            got = made[plan.layer.lowered[leaf].phase]
        compare_signal(leaf, got, want, AXES, where)


def by_cell(values: Ints, hidden: int) -> Ints:
    """Return golden gates [T, G H] as [T, H, G]."""
    return np.swapaxes(values.reshape(len(values), -1, hidden), 1, 2)
