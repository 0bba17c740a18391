"""ONNX's recurrent nodes as layers."""

from typing import Any

import numpy as np

from mubinn.golden.cells.constants import Reset
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.onnx_graph import Graph, named
from mubinn.golden.importers.onnx_recurrent import Settings
from mubinn.golden.model.float_layer import FloatLayer

ORDERS = {"LSTM": "iofg", "GRU": "zrn", "RNN": "h"}
"""Gate order of each node type."""


def recurrent_layer(graph: Graph, node: Any) -> FloatLayer:
    """Return the layer of a recurrent node; raise `MubinnError` where there is none."""
    kind, name = node.op_type, named(node)
    gates = len(ORDERS[kind])
    settings = graph.settings(node)
    wx, wh = weights_of(graph, node, 1), weights_of(graph, node, 2)
    both = weights_of(graph, node, 3, np.zeros(2 * len(wx)))
    bx, bh = np.split(both, 2) if both.size % 2 == 0 else (both, both)
    parts.check_shapes(name, gates, wx, wh, bx, bh)
    if kind == "RNN":
        return parts.rnn_layer(wx, wh, bx + bh, settings.kinds[0])
    if kind == "LSTM":
        return _lstm(graph, node, (wx, wh, bx + bh), settings)
    form: Reset = "after" if settings.after else "before"
    return parts.gru_layer(wx, wh, bx, bh, ORDERS[kind], form, settings.kinds)


def _lstm(
    graph: Graph, node: Any, rows: tuple[Floats, Floats, Floats], settings: Settings
) -> FloatLayer:
    """Return the layer of an LSTM node, whose gates may be coupled or see the state."""
    order, hidden = ORDERS["LSTM"], rows[1].shape[1]
    p = weights_of(graph, node, 7, np.zeros(3 * hidden))
    if p.shape != (3 * hidden,):
        raise MubinnError(
            f"the peepholes of its node {named(node)} have the shape {p.shape}: export it again."
        )
    if not settings.coupled:
        layer = parts.lstm_layer(*rows, order, settings.kinds)
        return parts.with_peepholes(layer, dict(zip("iof", np.split(p, 3), strict=True)))
    if p.any():
        raise MubinnError(
            f"its node {named(node)} couples input and forget gates that read peepholes: train it "
            "with either alone."
        )
    return parts.coupled_layer(*rows, order, settings.kinds)


def weights_of(graph: Graph, node: Any, index: int, default: Floats | None = None) -> Floats:
    """Return input `index` of `node`, which the file must hold, without its direction axis."""
    name = str(node.input[index]) if len(node.input) > index else ""
    if not name and default is not None:
        return default
    array = graph.constants.get(name)
    if array is None or array.ndim < 2 or len(array) != 1:
        raise MubinnError(
            f"input {index} of its node {named(node)} is no tensor of one direction in the "
            "file: export the model with its weights."
        )
    return np.asarray(parts.checked(name, array)[0])


def check_node(graph: Graph, node: Any) -> None:
    """Raise `MubinnError` for what a recurrent node can do and our layers cannot."""
    name, attributes = named(node), graph.attributes(node)
    if attributes.get("direction", "forward") != "forward":
        raise MubinnError(
            f"its node {name} runs {attributes['direction']}: train it in the forward direction."
        )
    inputs = [*node.input, *[""] * 8]
    known = {*graph.constants, *(name for node in graph.nodes for name in node.output)}
    if inputs[4] and (inputs[4] in graph.data or inputs[4] not in known):
        raise MubinnError(f"its node {name} reads lengths of sequences: export it without.")
