"""Holding the bare LSTM cell, without memories, to the bit-true model under back pressure."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from amaranth.hdl import Shape

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.library import lstm
from mubinn.golden.cells.step import Trace, cell_step
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.fixed import Ints
from mubinn.hw.cells.cell_layout import CellLayouts
from mubinn.hw.cells.issue_layout import issue_layout, sum_trace
from mubinn.hw.cells.lstm_cell import LstmCell
from mubinn.hw.cells.state_stages import state_stage_class
from mubinn.sim.runner.simulate import SimResult, simulate
from mubinn.sim.testbench.payload import fields_of, fields_to_json, pack_bits

BENCH = "mubinn.sim.cells.tb_lstm_cell"
Fields = dict[str, Any]


def issue_fields(plan: LayerPlan, x: Ints, h: Ints, c: Ints) -> Fields:
    """Return the words of every issue of one step, cells outermost, then gates, then issues.

    Written issue by issue from the model, as a check of how the memories are laid out.

    Parameters
    ----------
    plan : LayerPlan
        Of whole rows and one engine.
    x : int64 [I]
    h, c : int64 [H]
        Codes.
    """
    rows = [dict(_row(plan, x, h, cell, gate)) for cell, gate in _order(plan)]
    fields = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    cells, gates = np.repeat(np.array(list(_order(plan))).T, plan.schedule.cycles, axis=1)
    cycle = np.tile(np.arange(plan.schedule.cycles), len(lstm.rows) * plan.layer.hidden)
    row = gates * plan.layer.hidden + cells
    codes, scales = plan.bias(plan.layer.b)
    layer = plan.layer
    shift = layer.fraction_of("h") - layer.h.fraction
    return fields | {
        "first": cycle == 0,
        "last": cycle == plan.schedule.cycles - 1,
        "gate": gates,
        "dense": np.zeros_like(gates),
        "bias": codes[row],
        "bias_scales": scales[row],
        "c": c[cells],
        "h_offset": (np.broadcast_to(layer.h.offset, layer.hidden) << shift)[cells],
    }


def _order(plan: LayerPlan) -> Iterator[tuple[int, int]]:
    return ((cell, gate) for cell in range(plan.layer.hidden) for gate in range(len(lstm.rows)))


def _row(plan: LayerPlan, x: Ints, h: Ints, cell: int, gate: int) -> Iterator[tuple[str, Any]]:
    """Yield the words of x and of h, the weights and their g_ij, of one row by issue and unit."""
    layer, row = plan.layer, gate * plan.layer.hidden + cell
    for name, codes, quantizer, weights in (
        ("x", x, layer.x, layer.wx),
        ("h", h, layer.h, layer.wh),
    ):
        shape = (plan.schedule.cycles, plan.side)
        a, w = (np.zeros((*shape, len(codes)), np.uint8) for _ in range(2))
        gamma = np.zeros(shape, np.int64)
        for cycle, pairs in enumerate(plan.schedule.pairs):
            for unit, pair in enumerate(pairs):
                # A plane that the tensor does not have is multiplied with g = 0: any bits will do.
                if pair is None or pair[0] >= quantizer.levels:
                    continue
                a[cycle, unit] = codes >> pair[0] & 1
                w[cycle, unit] = weights.bits[pair[1], row]
                gamma[cycle, unit] = getattr(layer, f"gamma_{name}")[row, pair[0], pair[1]]
        yield from ((f"{name}.a", a), (f"{name}.w", w), (f"{name}.gamma", gamma))


def sum_fields(plan: LayerPlan, t: Trace, given: Fields) -> Fields:
    """Return the golden sums of one step in the form of the port `sums`, one row a gate."""
    rows = len(lstm.rows) * plan.layer.hidden
    fields: Fields = {}
    for name in ("x", "h"):
        # All pairs have a dot product, also those whose g is 0.
        signs, weights = (2 * np.asarray(given[f"{name}.{k}"], np.int64) - 1 for k in "aw")
        dot = (signs * weights).sum(-1).reshape(rows, plan.schedule.cycles, plan.side)
        fields[f"issues.dot_{name}"] = dot
        gamma = given[f"{name}.gamma"].reshape(dot.shape)
        fields[f"issues.prod_{name}"] = dot * gamma
    return fields | {"z": _by_cell(plan, t["z"]).ravel()}


def cell_fields(plan: LayerPlan, t: Trace) -> Fields:
    """Return the golden trace of one step in the form of the probe port, one row a cell."""
    fields = {}
    for field in fields_of(state_stage_class(plan.cell).trace_layout(plan.cell)):
        name = field.name.removeprefix("gates.")
        fields[field.name] = t[name] if name == field.name else _by_cell(plan, t[name])
    return fields


def _by_cell(plan: LayerPlan, values: Any) -> Any:
    return np.swapaxes(values.reshape(len(lstm.rows), plan.layer.hidden), 0, 1)


def check_cell(
    layer: QuantizedLayer,
    x: Any,
    *,
    units: int = 1,
    folded_bias: bool = False,
    pause: float = 0.3,
    seed: int = 1,
    design: Any = None,
    **options: Any,
) -> SimResult:
    """Simulate all cells of the steps `x` [T, I], at full speed and with pauses on both sides.

    Parameters
    ----------
    layer : QuantizedLayer
    x : int64 [T, I]
        Input codes.
    units, folded_bias
        See `LayerPlan`; `units` up to one engine's.
    pause : float
        Probability with which a side pauses in a cycle.
    design : LstmCell, optional
        Another design with the same ports, such as a broken one.
    options
        For `mubinn.sim.runner.simulate.simulate`.

    Raises
    ------
    SimulationMismatch
        On the first difference, or a wrong latency or throughput.
    """
    plan = LayerPlan(layer, units=units, folded_bias=folded_bias, packed=False)
    probe = state_stage_class(plan.cell).trace_layout(plan.cell)
    h, c = (layer.quantizers[name].zero_code(layer.hidden) for name in "hc")
    packed: dict[str, list[Any]] = {name: [] for name in ("inputs", "outputs", "sums", "probes")}
    for now in np.asarray(x, np.int64):
        golden = cell_step(layer, now, h, c)
        words = issue_fields(plan, now, h, c)
        h, c = golden["h"], golden["c"]
        packed["inputs"].append(_packed(issue_layout(plan), words))
        packed["outputs"].append(_packed(CellLayouts(plan.layer).output, {"c": c, "h": h}))
        packed["sums"].append(_packed(sum_trace(plan), sum_fields(plan, golden, words)))
        packed["probes"].append(_packed(probe, cell_fields(plan, golden)))
    job = {
        "latency": LstmCell.latency(plan),
        "issues_per_cell": len(lstm.rows) * plan.issues,
        "pause": pause,
        "seed": seed,
        "layouts": {
            name: {"fields": fields_to_json(fields_of(layout)), "width": Shape.cast(layout).width}
            for name, layout in (("sums", sum_trace(plan)), ("probe", probe))
        },
    }
    stimulus = {name: np.concatenate(rows) for name, rows in packed.items()}
    stimulus["job"] = np.array(json.dumps(job))
    design = design or LstmCell(plan, trace=True)
    return simulate(design, top="lstm_cell", bench=BENCH, stimulus=stimulus, **options)


def _packed(layout: Any, fields: Fields) -> Any:
    return pack_bits(fields_of(layout), Shape.cast(layout).width, fields)
