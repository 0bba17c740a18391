"""ONNX's recurrent nodes as layers."""

from dataclasses import replace
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


def recurrent_layers(graph: Graph, node: Any) -> list[FloatLayer]:
    """Return the layer of a recurrent node, or its two directions.

    Raises
    ------
    MubinnError
        Where there is none.
    """
    count, settings = directions(graph, node), graph.settings(node)
    each = len(settings.kinds) // count
    made = [
        _layer(graph, node, d, replace(settings, kinds=settings.kinds[d * each :][:each]))
        for d in range(count)
    ]
    backward = graph.attributes(node).get("direction") == "reverse"
    return parts.directed(made, backward=backward)


def directions(graph: Graph, node: Any) -> int:
    """Return in how many directions a node runs."""
    return 2 if graph.attributes(node).get("direction") == "bidirectional" else 1


def _layer(graph: Graph, node: Any, d: int, settings: Settings) -> FloatLayer:
    """Return direction `d` of a node."""
    kind, name = node.op_type, named(node)
    gates = len(ORDERS[kind])
    wx, wh = weights_of(graph, node, 1, d), weights_of(graph, node, 2, d)
    both = weights_of(graph, node, 3, d, np.zeros(2 * len(wx)))
    bx, bh = np.split(both, 2) if both.size % 2 == 0 else (both, both)
    parts.check_shapes(name, gates, wx, wh, bx, bh)
    if kind == "RNN":
        return parts.rnn_layer(wx, wh, bx + bh, settings.kinds[0])
    if kind == "LSTM":
        p = weights_of(graph, node, 7, d, np.zeros(3 * wh.shape[1]))
        return _lstm(name, (wx, wh, bx + bh), p, settings)
    form: Reset = "after" if settings.after else "before"
    return parts.gru_layer(wx, wh, bx, bh, ORDERS[kind], form, settings.kinds)


def _lstm(
    name: str, rows: tuple[Floats, Floats, Floats], p: Floats, settings: Settings
) -> FloatLayer:
    """Return the layer of an LSTM node, whose gates may be coupled or see the state."""
    order, hidden = ORDERS["LSTM"], rows[1].shape[1]
    if p.shape != (3 * hidden,):
        raise MubinnError(
            f"the peepholes of its node {name} have the shape {p.shape}: export it again."
        )
    if not settings.coupled:
        layer = parts.lstm_layer(*rows, order, settings.kinds)
        return parts.with_peepholes(layer, dict(zip("iof", np.split(p, 3), strict=True)))
    if p.any():
        raise MubinnError(
            f"its node {name} couples input and forget gates that read peepholes: train it with "
            "either alone."
        )
    return parts.coupled_layer(*rows, order, settings.kinds)


def weights_of(
    graph: Graph, node: Any, index: int, d: int, default: Floats | None = None
) -> Floats:
    """Return input `index` of `node`, which the file must hold, of its direction `d`."""
    name = str(node.input[index]) if len(node.input) > index else ""
    if not name and default is not None:
        return default
    array = graph.constants.get(name)
    if array is None or array.ndim < 2 or len(array) != directions(graph, node):
        raise MubinnError(
            f"input {index} of its node {named(node)} is no tensor of its directions in the file: "
            "export the model with its weights."
        )
    return np.asarray(parts.checked(name, array)[d])


def check_node(graph: Graph, node: Any) -> None:
    """Raise `MubinnError` for what a recurrent node can do and our layers cannot."""
    name = named(node)
    inputs = [*node.input, *[""] * 8]
    known = {*graph.constants, *(name for node in graph.nodes for name in node.output)}
    if inputs[4] and (inputs[4] in graph.data or inputs[4] not in known):
        raise MubinnError(f"its node {name} reads lengths of sequences: export it without.")
