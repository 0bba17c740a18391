"""From trained parameters to the model that hardware runs: integers and level bits, exactly.

The graph computes with the very numbers that are stored here, so the bit-true model takes the
decisions of the training graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mubinn.golden.binarize.mlb import mlb
from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.graph import Cell, Weights
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.library import lstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.head import Readout
from mubinn.golden.model.quantized_model import QuantizedDense, QuantizedModel
from mubinn.train.graphs.activations import FORMATS
from mubinn.train.graphs.binarize import Scales, fraction_of
from mubinn.train.graphs.network import Params, Quantizers, quantizers, spread, whole
from mubinn.train.recipes.method import Method
from mubinn.train.subject.row_bias import row_bias


def to_quantized(
    params: Params,
    method: Method,
    readout: Readout,
    preprocessing: Preprocessing,
    meta: Mapping[str, str],
    cell: Cell = lstm,
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
    q = jax.tree.map(
        lambda leaf: np.asarray(leaf, np.float64),
        jax.jit(quantizers, static_argnums=(1, 2))(params, method, cell),
    )
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    (layer,) = wide["layers"]
    x = _quantizer(q.tensors["x"], q.offsets.get("x", 0.0))
    own = {name: _quantizer(scales, q.offsets[name]) for name, scales in q.codes.items()}
    b = _bias(q, "b", layer["b"], method)
    hidden = layer["wh"].shape[1]
    wx = _rows(q.tensors["wx"], cell, "wx", layer["wx"], hidden)
    wh = _rows(q.tensors["wh"], cell, "wh", layer["wh"], hidden)
    numbers = {n: _tensor(q.tensors[f"stored.{n}"], layer["stored"][n]) for n in layer["stored"]}
    made = QuantizedLayer(cell, x, own, wx, wh, b, FORMATS, stored=numbers)
    wd = _tensor(q.tensors["wd"], wide["wd"])
    dense = QuantizedDense(wd, _bias(q, "bd", wide["bd"], method))
    return QuantizedModel((made,), dense, readout, preprocessing, dict(meta))


def _integers(values: Any, unit: Any) -> Ints:
    """Return exact multiples of `unit`, a power of two, as integers."""
    integers: Ints = np.rint(np.asarray(values, np.float64) / unit).astype(np.int64)
    return integers


def _quantizer(scales: Scales, offset: Any) -> Quantizer:
    return Quantizer(
        _integers(scales.value[:, 0], scales.unit),
        fraction_of(scales.unit),
        _integers(offset, scales.unit),
    )


def _tensor(scales: Scales, values: Any) -> LevelTensor:
    bits = mlb(values, np.asarray(spread(scales.value, values), np.float64))
    return LevelTensor(bits, _integers(scales.value.T, scales.unit), fraction_of(scales.unit))


def _rows(scales: Scales, cell: Cell, name: Weights, values: Floats, hidden: int) -> LevelTensor:
    """Return the weights of all rows; scales of those that leave x or the state out are 0."""
    own = _tensor(scales, values)
    groups = len(own.scales) * hidden // len(values)
    bits = whole(cell, name, np.moveaxis(own.bits, 0, 1), hidden)
    return LevelTensor(np.moveaxis(bits, 1, 0), whole(cell, name, own.scales, groups), own.fraction)


def _bias(q: Quantizers, name: str, values: Floats, method: Method) -> LevelTensor:
    if name in q.tensors:
        return _tensor(q.tensors[name], values)
    unit = q.units[name]
    exact = np.floor(values.astype(np.float32) / np.float32(unit) + np.float32(0.5))
    assert method.levels is not None
    return row_bias(exact.astype(np.int64), method.levels.count("b"), fraction_of(unit))
