"""From trained parameters to the model that hardware runs: integers and level bits, exactly.

The graph computes with the very numbers that are stored here, so the bit-true model takes the
decisions of the training graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from mubinn.golden.binarize.mlb import mlb
from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.constants import GATES, GRU_GATES
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.library import gru, lstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints
from mubinn.golden.model.float_model import Cell, Preprocessing, Readout
from mubinn.golden.model.quantized_model import QuantizedDense, QuantizedModel
from mubinn.train.graphs.activations import FORMATS
from mubinn.train.graphs.binarize import fraction_of
from mubinn.train.graphs.float_lstm import Params
from mubinn.train.graphs.quantized_lstm import Quantizers, quantizers
from mubinn.train.recipes.method import Method
from mubinn.train.subject.row_bias import row_bias


def to_quantized(
    params: Params,
    method: Method,
    readout: Readout,
    preprocessing: Preprocessing,
    meta: Mapping[str, str],
    cell: Cell = "lstm",
) -> QuantizedModel:
    """Return the model of trained parameters, as the graph of `cell` takes them.

    Raises
    ------
    MubinnError
        If the method leaves a tensor in full precision, or scales are out of range.
    """
    if not method.exports:
        raise MubinnError(
            f"Method {method.name} leaves tensors in full precision, which the hardware does not "
            "run: train with mubinn2 for a model to generate."
        )
    names = GRU_GATES if cell == "gru" else GATES
    q = jax.tree.map(
        lambda leaf: np.asarray(leaf, np.float64),
        jax.jit(quantizers, static_argnums=(1, 2))(params, method, names),
    )
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    (layer,) = wide["layers"]
    x = _quantizer(q, "x", q.get("x_offset", 0.0))
    h = _quantizer(q, "h", q.get("h_offset", 0.0))
    gates = {g: _quantizer(q, g, 0.0 if g in "gn" else method.gate_offset) for g in names}
    b = _bias(q, "b", layer["b"], method)
    wx, wh = (_tensor(q, name, layer[name]) for name in ("wx", "wh"))
    if cell == "gru":
        wx, wh = _without(wx, "nh"), _without(wh, "nx")
        made = QuantizedLayer(gru, x, {**gates, "h": h}, wx, wh, b, FORMATS)
    else:
        own = {**gates, "c": _quantizer(q, "c", 0.0), "h": h}
        made = QuantizedLayer(lstm, x, own, wx, wh, b, FORMATS)
    dense = QuantizedDense(_tensor(q, "wd", wide["wd"]), _bias(q, "bd", wide["bd"], method))
    return QuantizedModel((made,), dense, readout, preprocessing, dict(meta))


def _integers(values: Any, unit: Any) -> Ints:
    """Return exact multiples of `unit`, a power of two, as integers."""
    integers: Ints = np.rint(np.asarray(values, np.float64) / unit).astype(np.int64)
    return integers


def _quantizer(q: Quantizers, name: str, offset: Any) -> Quantizer:
    scales = q[name]
    return Quantizer(
        _integers(scales.value[:, 0], scales.unit),
        fraction_of(scales.unit),
        _integers(offset, scales.unit),
    )


def _tensor(q: Quantizers, name: str, values: Floats) -> LevelTensor:
    scales, unit = q[name].value, q[name].unit
    spread = np.repeat(scales, len(values) // scales.shape[1], axis=1)
    bits = mlb(values, spread.reshape(*spread.shape, *[1] * (values.ndim - 1)))
    return LevelTensor(bits, _integers(scales.T, unit), fraction_of(unit))


def _without(tensor: LevelTensor, row: str) -> LevelTensor:
    """Return weights of a GRU's rows with scales of 0 in one row of each cell."""
    names = [node.name for node in gru.rows]
    size = len(tensor.scales) // len(names)
    scales = tensor.scales.copy()
    scales[names.index(row) * size :][:size] = 0
    return replace(tensor, scales=scales)


def _bias(q: Quantizers, name: str, values: Floats, method: Method) -> LevelTensor:
    if name in q:
        return _tensor(q, name, values)
    unit = q[f"{name}_unit"]
    exact = np.floor(values.astype(np.float32) / np.float32(unit) + np.float32(0.5))
    assert method.levels is not None
    return row_bias(exact.astype(np.int64), method.levels.count("b"), fraction_of(unit))
