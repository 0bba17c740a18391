"""Holding the bare LSTM cell, without memories, to the bit-true model under back pressure."""

import json
from typing import Any

import numpy as np
from amaranth.hdl import Shape

from mubinn.golden.lstm_cell import LstmCellParams, Trace, lstm_cell
from mubinn.golden.lstm_model import QuantizedLstm
from mubinn.golden.scales import code_of
from mubinn.hw.cell_layout import CellLayouts
from mubinn.hw.lstm_cell import LstmCell
from mubinn.hw.tail import tail_class
from mubinn.sim.payload import fields_of, fields_to_json, pack_bits
from mubinn.sim.runner import SimResult, simulate

BENCH = "mubinn.sim.tb_lstm_cell"
Fields = dict[str, Any]


def pass_fields(layer: QuantizedLstm, x: Any, h: Any, c: Any) -> Fields:
    """Return the words of every pass of one step, cells outermost, then gates, then passes.

    Parameters
    ----------
    layer : QuantizedLstm
    x : int64 [I]
    h, c : int64 [H]
        Codes.
    """
    levels, hidden, count = layer.levels, layer.hidden, layer.levels.passes
    w = levels.count("w")
    cell, gate, index = (
        axis.ravel()
        for axis in np.meshgrid(np.arange(hidden), np.arange(4), np.arange(count), indexing="ij")
    )
    row, plane, level = gate * hidden + cell, index // w, index % w

    def state_plane(codes: Any, own: int) -> Any:
        # A plane that the tensor does not have is multiplied with g = 0: any bits will do.
        return (codes[None, :] >> np.minimum(plane, own - 1)[:, None]) & 1

    def gammas(values: Any) -> Any:
        flat = values.reshape(len(values), -1)
        inside = index < flat.shape[1]
        return np.where(inside, flat[row, np.minimum(index, flat.shape[1] - 1)], 0)

    shift = layer.h_raw_fraction - layer.h.fraction
    return {
        "x": state_plane(x, levels.count("x")),
        "h": state_plane(h, levels.count("h")),
        "wx": layer.wx.bits[level, row],
        "wh": layer.wh.bits[level, row],
        "gamma_x": gammas(layer.gamma_x),
        "gamma_h": gammas(layer.gamma_h),
        "first": index == 0,
        "last": index == count - 1,
        "gate": gate,
        "bias": code_of(layer.b.bits)[row],
        "bias_scales": layer.b.row_scales[row],
        "c": c[cell],
        "h_offset": (np.broadcast_to(layer.h.offset, hidden) << shift)[cell],
    }


def probe_fields(layer: QuantizedLstm, t: Trace, given: Fields) -> Fields:
    """Return the golden trace of one step in the form of the probe port, one row a cell."""
    hidden, count = layer.hidden, layer.levels.passes

    def by_cell(values: Any) -> Any:
        return np.swapaxes(values.reshape(4, hidden, *values.shape[1:]), 0, 1)

    fields = {}
    for name in ("x", "h"):
        # All passes have a dot product, also those whose g is 0.
        signs = 2 * np.asarray(given[name], np.int64) - 1
        weights = 2 * np.asarray(given[f"w{name}"], np.int64) - 1
        fields[f"sums.passes.dot_{name}"] = (signs * weights).sum(-1).reshape(hidden, 4, count)
        product = t[f"prod_{name}"]
        padded = np.pad(product, ((0, 0), (0, count - product.shape[1])))
        fields[f"sums.passes.prod_{name}"] = by_cell(padded)
    fields["sums.z"] = by_cell(t["z"])
    for field in fields_of(tail_class(LstmCellParams(layer)).trace_layout(LstmCellParams(layer))):
        name = field.name.removeprefix("gates.")
        fields[f"tail.{field.name}"] = t[name] if name == field.name else by_cell(t[name])
    return fields


def check_cell(
    layer: QuantizedLstm,
    x: Any,
    *,
    pause: float = 0.3,
    seed: int = 1,
    design: Any = None,
    **options: Any,
) -> SimResult:
    """Simulate all cells of the steps `x`, at full speed and with pauses on both sides.

    Parameters
    ----------
    layer : QuantizedLstm
    x : int64 [T, I]
        Input codes.
    pause : float
        Probability with which a side pauses in a cycle.
    design : LstmCell, optional
        Another design with the same ports, such as a broken one.
    options
        For :func:`mubinn.sim.runner.simulate`.

    Raises
    ------
    SimulationMismatch
        On the first difference, or a wrong latency or throughput.
    """
    params = LstmCellParams(layer)
    layouts, trace = CellLayouts(params), LstmCell.trace_layout(params)
    h, c = layer.h.zero_code(layer.hidden), layer.c.zero_code(layer.hidden)
    inputs, outputs, probes = [], [], []
    for now in np.asarray(x, np.int64):
        golden = lstm_cell(layer, now, h, c)
        words = pass_fields(layer, now, h, c)
        h, c = golden["h"], golden["c"]
        inputs.append(_packed(layouts.a_pass, words))
        outputs.append(_packed(layouts.output, {"c": c, "h": h}))
        probes.append(_packed(trace, probe_fields(layer, golden, words)))
    job = {
        "latency": LstmCell.latency(params),
        "passes_per_cell": 4 * layer.levels.passes,
        "pause": pause,
        "seed": seed,
        "probe_fields": fields_to_json(fields_of(trace)),
        "probe_width": Shape.cast(trace).width,
    }
    stimulus = {
        "job": np.array(json.dumps(job)),
        "inputs": np.concatenate(inputs),
        "outputs": np.concatenate(outputs),
        "probes": np.concatenate(probes),
    }
    design = design or LstmCell(params, trace=True)
    return simulate(design, top="lstm_cell", bench=BENCH, stimulus=stimulus, **options)


def _packed(layout: Any, fields: Fields) -> Any:
    return pack_bits(fields_of(layout), Shape.cast(layout).width, fields)
