"""Operands of a merged cell's units in the order in which they meet them, from whole windows.

Each window gives its last time step: with everything before it, h and c are those of a running
network. They come from the bit-true model, the rows of a step in the order cell by cell and f, i,
g, o within a cell. Those of binary32 are in `mubinn.synth.energy.energy_float`.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.bit_true import run_layer
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.units.merged_dot import MergedDotParams, row_constant, step_constant
from mubinn.synth.netlist.activity import WORD

GATES = 4

Fields = dict[str, npt.NDArray[np.generic]]


def whole_words(fields: Mapping[str, npt.ArrayLike]) -> Fields:
    """Return the fields cut to a multiple of 64 transfers.

    Raises
    ------
    MubinnError
        If there are fewer.
    """
    arrays = {name: np.asarray(values) for name, values in fields.items()}
    count = min(len(values) for values in arrays.values()) // WORD * WORD
    if not count:
        raise MubinnError("Energy needs 64 operands of every unit: give more windows.")
    return {name: values[:count] for name, values in arrays.items()}


def merged_stimulus(
    model: QuantizedModel, params: MergedDotParams, x: npt.NDArray[np.floating]
) -> dict[str, Fields]:
    """Return the operands of `mubinn.synth.table1.merged_cell.bits_units`, by unit.

    Parameters
    ----------
    model : QuantizedModel
        As `mubinn.synth.table1.merged_cell.merged_model` returns.
    params : MergedDotParams
        Of the first layer's one sum.
    x : float [windows, T, I]
        Prepared.
    """
    layer: QuantizedLayer = model.lstm_layers[0]
    codes = model.encode_input(x)
    trace = run_layer(layer, codes)
    h, c = trace["h"][-2], trace["c"][-2]
    bits, lowered = layer.levels.count("gate"), layer.lowered
    f, i, g, o = np.split(trace["gate"][-1], GATES, axis=-1)
    fc, ig = f | c << bits, i | g << bits
    new_c = trace["c"][-1]
    addends: Fields = {
        "a": lowered["_fc"].operation(f, c).ravel(),
        "b": lowered["_ig"].operation(i, g).ravel(),
    }
    steps = _step_codes(params, codes[:, -1], h)
    made: dict[str, Fields] = {
        "merged": _rows(layer, params, codes[:, -1], h),
        "search_gate": {
            "value": _by_cell(trace["z"][-1]),
            "tree": np.tile(np.arange(GATES), h.size),
        },
        "fc": {"index": fc.ravel()},
        "ig": {"index": ig.ravel()},
        "sum_c": addends,
        "search_c": {"value": trace["c_raw"][-1].ravel()},
        "table_h": {"index": (o | new_c << bits).ravel()},
        "step_table": {"index": steps["index"]},
        "step_sum": {"a": steps["before"], "b": steps["word"]},
    }
    return {name: whole_words(fields) for name, fields in made.items()}


def _by_cell(rows: Ints) -> Ints:
    """Return rows [windows, 4H] as one sequence: cell by cell, the four gates of each."""
    return np.asarray(rows.reshape(len(rows), GATES, -1).swapaxes(1, 2).ravel())


def _rows(layer: QuantizedLayer, params: MergedDotParams, x: Ints, h: Ints) -> Fields:
    """Return the operands of the merged sum: planes of x, h and weights, constants of row, step."""
    windows, rows = len(x), layer.wx.rows
    order = _by_cell(np.arange(rows)[None])
    fields: Fields = {}
    row, step = layer.b.values[order], np.zeros(windows, np.int64)
    operands = {"x": (x, layer.wx.bits), "h": (h, layer.wh.bits)}
    for part in params.parts:
        codes, weights = operands[part.name]
        planes = _planes(codes, len(part.shifts))
        ordered = weights.swapaxes(0, 1)[order]
        row = row + row_constant(part, ordered)
        step = step + step_constant(part, planes)
        fields[part.name] = np.repeat(planes, rows, axis=0)
        fields[f"w{part.name}"] = np.tile(ordered, (windows, 1, 1))
    return fields | {"row": np.tile(row, windows), "step": np.repeat(step, rows)}


def _planes(codes: Ints, levels: int) -> npt.NDArray[np.uint8]:
    """Return codes [..., n] as planes [..., levels, n]."""
    bits = codes[..., None, :] >> np.arange(levels)[:, None] & 1
    return np.asarray(bits, np.uint8)


def _step_codes(params: MergedDotParams, x: Ints, h: Ints) -> dict[str, Ints]:
    """Return the codes of a step one after the other, their words, and the sum before each."""
    widest = max(len(part.shifts) for part in params.parts)
    codes = {"x": x, "h": h}
    index, words = [], []
    for k, part in enumerate(params.parts):
        own = codes[part.name]
        index.append(own | k << widest)
        words.append(step_constant(part, _planes(own[..., None], len(part.shifts))))
    word = np.concatenate(words, axis=-1)
    before = np.cumsum(word, axis=-1) - word
    whole = {"index": np.concatenate(index, axis=-1), "word": word, "before": before}
    return {name: values.ravel() for name, values in whole.items()}
