"""From trained parameters to the model that hardware runs: integers and level bits, exactly.

The graph computes with the very numbers that are stored here, so the bit-true model takes the
decisions of the training graph. Of a method that leaves numbers, `with_numbers` has these in
`NUMBER_LEVELS` levels, and decisions may differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.ordered import Ordered, ordered_codes
from mubinn.golden.binarize.rules import Rule
from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.sizes import Sizes
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.quantized_model import QuantizedDense, QuantizedModel, sample_codes
from mubinn.golden.model.reference import (
    FirstLevels,
    FloatQuantizer,
    LayerQuantizers,
    run_layer,
)
from mubinn.golden.quantization.layers import dense_layer, fitted_encoders
from mubinn.golden.quantization.tensors import FitOptions, fit_weights
from mubinn.train.graphs import binarize as levels_of
from mubinn.train.graphs.activations import FORMATS
from mubinn.train.graphs.binarize import Scales, fraction_of
from mubinn.train.graphs.graph import Graph
from mubinn.train.graphs.network import Params, to_model, with_stored
from mubinn.train.graphs.quantizers import Network, Quantizers, quantizers, spread
from mubinn.train.recipes.matrices import Matrix, matrices, places_of, recurrent, sizes_of, whole
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.stack import LayerKind, check_integers, stage_places
from mubinn.train.subject.row_bias import row_bias


def to_quantized(
    graph: Graph, params: Params, preprocessing: Preprocessing, meta: Mapping[str, str]
) -> QuantizedModel:
    """Return the model of trained parameters, `Graph.plain`, as the graph takes them.

    Raises
    ------
    MubinnError
        If the method leaves a tensor in full precision, or scales are out of range.
    """
    method, kinds = graph.method, graph.kinds
    if not method.exports:
        raise MubinnError(
            f"Method {method.name} leaves tensors in full precision, which the hardware does not "
            "run: train with mubinn2 for a model to generate."
        )
    q, wide = _in_float64(params, method, kinds)
    first = q.layers[0]
    offset = first.offsets.get("x", 0.0)
    x = _quantizer(first.tensors["x"], offset, method.rule("x"))
    layers: list[QuantizedLayer] = []
    for stage in stage_places(kinds):
        for place in stage:
            h = layers[stage[0]].h if place > stage[0] else None
            own = q.layers[place], wide["layers"][place], method
            layers.append(_layer(kinds[place], x, h, *own))
        x = layers[-1].h
    wd = _tensor(q.dense.tensors["wd"], wide["wd"])
    dense = QuantizedDense(wd, _bias(q.dense, "bd", wide["bd"], method), graph.head)
    about = graph.readout, preprocessing, dict(meta), _codes(layers[0].x, wide)
    return QuantizedModel(tuple(layers), dense, *about).with_datapath(graph.datapath)


NUMBER_LEVELS = 8
"""Levels of what is a number in training: gates, c, h and the classifier."""


def with_numbers(
    graph: Graph,
    params: Params,
    preprocessing: Preprocessing,
    meta: Mapping[str, str],
    x: NDArray[np.float32],
) -> QuantizedModel:
    """Return the model of a network whose rows read codes of h, all else numbers (`Known.late`).

    Codes of x, weights, biases and what rows read of h (`QuantizedLayer.read`) are those of the
    graph. The levels of gates, c and h are fitted to what the network makes of windows `x`
    [windows, T, I], as `mubinn.golden.quantize.quantize` does; those of h are about its thresholds,
    so that the first one is the sign that rows read.

    Raises
    ------
    MubinnError
        Of another method, several layers, cells that multiply W_h with more than h, or scales out
        of range.
    """
    method, kinds = graph.method, graph.kinds
    check_integers(method, kinds)
    network, wide = _in_float64(params, method, kinds)
    (q,), (values,), (kind,) = network.layers, wide["layers"], kinds
    output = kind.cell.states[0].name
    quantizer = _quantizer(q.tensors["x"], q.offsets.get("x", 0.0), None)
    read = _quantizer(q.codes[output], q.offsets[output], None)
    form = graph.readout, preprocessing, meta, graph.head
    floats = to_model(with_stored(params, method, kinds), kinds, *form)
    layer = floats.layers[0]
    columns = layer.outputs * layer.frames.around
    b = layer.b - layer.wx @ layer.frames.spread(quantizer.float_offset, layer.inputs)
    b -= layer.wh[:, :columns] @ layer.frames.spread_state(read.float_offset, columns)
    layer = replace(layer, b=b)
    signs = FirstLevels(FloatQuantizer(np.ones(1), read.float_offset), FloatQuantizer.of(read))
    by = LayerQuantizers(FloatQuantizer.of(quantizer), read=signs)
    made = run_layer(layer, by, floats.embedded(np.asarray(x, np.float64)))
    n = NUMBER_LEVELS
    levels = Levels(x=quantizer.levels, w=n, h=n, c=n, gate=n, b=n)
    options = FitOptions(levels, "gate", "power-of-two", method.gate_offset, FORMATS)
    offset = read.float_offset
    own = fitted_encoders(np.random.default_rng(0), layer, made, offset, options)
    numbers = {name: fit_weights(each, n, (len(each),)) for name, each in layer.stored.items()}
    parts = kind.cell, quantizer, own, *_sums(kind, q, values, method), FORMATS
    whole = QuantizedLayer(*parts, stored=numbers, frames=kind.frames, place=kind.place, read=read)
    dense = dense_layer(floats, whole.h, options)
    about = graph.readout, preprocessing, dict(meta), _codes(quantizer, wide)
    return QuantizedModel((whole,), dense, *about).with_datapath(graph.datapath)


def _codes(x: Quantizer, wide: Params) -> Ints | None:
    """Return the codes of words, where the data are words."""
    words = wide.get("embedding")
    return None if words is None else sample_codes(x, words)


def _in_float64(
    params: Params, method: Method, kinds: Sequence[LayerKind]
) -> tuple[Network, Params]:
    """Return quantizers and parameters in NumPy's float64."""
    found = jax.jit(quantizers, static_argnums=(1, 2))(params, method, tuple(kinds))
    both: tuple[Network, Params] = jax.tree.map(
        lambda leaf: np.asarray(leaf, np.float64), (found, params)
    )
    return both


def _layer(
    kind: LayerKind,
    x: Quantizer,
    h: Quantizer | None,
    q: Quantizers,
    values: Params,
    method: Method,
) -> QuantizedLayer:
    """Return a layer that reads codes of `x`, and makes those of `h` where it is beside one."""
    cell, own = kind.cell, {}
    for node in cell.encoders:
        scales, offset = q.codes[node.name], q.offsets[node.name]
        own[node.name] = _quantizer(scales, offset, method.rule(cell.tensor(node)))
    if h is not None:
        own[cell.states[0].name] = h
    rule = method.rule("wx")
    numbers = {
        n: _tensor(q.tensors[f"stored.{n}"], values["stored"][n], rule) for n in values["stored"]
    }
    about = cell, x, own, *_sums(kind, q, values, method), FORMATS
    return QuantizedLayer(*about, stored=numbers, frames=kind.frames, place=kind.place)


def _sums(
    kind: LayerKind, q: Quantizers, values: Params, method: Method
) -> tuple[LevelTensor, LevelTensor, LevelTensor]:
    """Return W_x, W_h and the bias of a layer."""
    cell, sizes = kind.cell, sizes_of(kind.cell, values)
    parts = {
        name: _rows(q, sizes, name, values[name], method.rule("wx"))
        for name in matrices(cell)
        if name in q.tensors
    }
    wx = _whole(sizes, {"wx": parts.pop("wx")})
    wh = _whole(sizes, parts) if parts else _unread(wx)
    return wx, wh, _bias(q, "b", values["b"], method)


def _unread(wx: LevelTensor) -> LevelTensor:
    """Return weights of a state that no row reads, beside those of x."""
    bits = np.zeros((wx.levels, wx.rows, 0), np.uint8)
    return LevelTensor(bits, np.zeros_like(wx.scales), 0)


def _integers(values: Any, unit: Any) -> Ints:
    """Return exact multiples of `unit`, a power of two, as integers."""
    integers: Ints = np.rint(np.asarray(values, np.float64) / unit).astype(np.int64)
    return integers


def _quantizer(scales: Scales, offset: Any, rule: Rule | None) -> Quantizer:
    encoder = None
    if rule is not None and scales.cuts is not None:
        encoder = Ordered(_integers(scales.cuts, scales.unit), rule.codes)
    return Quantizer(
        _integers(scales.value[:, 0], scales.unit),
        fraction_of(scales.unit),
        _integers(offset, scales.unit),
        encoder,
    )


def _tensor(scales: Scales, values: Any, rule: Rule | None = None) -> LevelTensor:
    if rule is not None and scales.cuts is not None:
        code = ordered_codes(values, scales.cuts, rule.codes)
        bits = np.stack([(code >> level) & 1 for level in range(rule.levels)]).astype(np.uint8)
    else:
        # Training leaves some weights within a rounding of a threshold: the bits are the graph's.
        single = (jnp.asarray(own, jnp.float32) for own in (values, spread(scales.value, values)))
        bits = np.stack(levels_of.encode(*single)).astype(np.uint8)
    return LevelTensor(bits, _integers(scales.value.T, scales.unit), fraction_of(scales.unit))


def _rows(
    q: Quantizers, sizes: Sizes, name: Matrix, values: Floats, rule: Rule | None
) -> LevelTensor:
    """Return the weights of the rows of a matrix, with scales of each row of the cell at least."""
    own, places = _tensor(q.tensors[name], values, rule), len(places_of(sizes.cell, name))
    # One set of a whole matrix is every row's that there is.
    scales = np.repeat(own.scales, places, axis=0) if len(own.scales) == 1 else own.scales
    return LevelTensor(own.bits, scales, own.fraction)


def _whole(sizes: Sizes, parts: Mapping[Matrix, LevelTensor]) -> LevelTensor:
    """Return the weights of all rows; scales of those that leave x or the state out are 0."""
    fraction = max(own.fraction for own in parts.values())
    bits: dict[str, Any] = {name: np.moveaxis(own.bits, 0, 1) for name, own in parts.items()}
    scales = {name: own.scales << fraction - own.fraction for name, own in parts.items()}
    each = all(len(own.scales) == own.rows for own in parts.values())
    groups = sizes if each else Sizes(sizes.cell, 1, 1)
    if "wx" in parts:
        joined, made = whole(sizes, "wx", bits["wx"]), whole(groups, "wx", scales["wx"])
    else:
        joined = recurrent(sizes, bits)
        made = sum(whole(groups, name, own) for name, own in scales.items())
    rows = None if each else sizes.row_counts
    return LevelTensor(np.moveaxis(joined, 1, 0), np.asarray(made), fraction, rows)


def _bias(q: Quantizers, name: str, values: Floats, method: Method) -> LevelTensor:
    if name in q.tensors:
        return _tensor(q.tensors[name], values)
    unit = q.units[name]
    exact = np.floor(values.astype(np.float32) / np.float32(unit) + np.float32(0.5))
    assert method.levels is not None
    return row_bias(exact.astype(np.int64), method.levels.count("b"), fraction_of(unit))
