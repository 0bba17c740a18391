"""ONNX graphs of LSTM or GRU nodes with a dense layer above them.

Weights come out of the nodes. What the nodes between them do, transposing, picking a step or
averaging, is not read off the graph: the model is run beside the graph in ONNX's own reference
evaluator, and must give the same logits.
"""

import math
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.onnx_graph import Graph, named
from mubinn.golden.model import reference
from mubinn.golden.model.float_model import FloatLayer, FloatModel, Readout

ORDERS = {"LSTM": "iofg", "GRU": "zrn"}
"""Gate order of each node type."""

ACTIVATIONS = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"]}

OUTPUTS = {"Softmax", "LogSoftmax", "Sigmoid", "Identity"}
"""Nodes after the classifier, none of which changes the order of the classes."""

PLUMBING = {
    "Add",
    "Cast",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "MatMul",
    "ReduceMean",
    "Reshape",
    "Shape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
"""Nodes that may stand around the recurrent ones."""

SYMBOLIC = (3, 5, 7)
"""Lengths of axes that the graph leaves open, each of its own so that mixing them up shows."""

MAX_VALUES = 1 << 22
"""Largest input that the graph is run on."""

TOLERANCE = 1e-3
"""Most relative difference of logits: far more than float32 rounds, far less than a wrong gate."""


def of_onnx(data: bytes, options: parts.ImportOptions) -> FloatModel:
    """Return the model of an ONNX file.

    Raises
    ------
    MubinnError
        Where onnx is absent, or the file is none; for weights in other files; without a recurrent
        node or a classifier; for two directions, clipping, peepholes, other activations, lengths;
        for other nodes, or a graph that computes something else.
    """
    graph = Graph(data)
    layers = [_recurrent(graph, node) for node in graph.nodes if node.op_type in ORDERS]
    if not layers:
        raise MubinnError("it has no LSTM or GRU node: give a model with one.")
    for node in graph.nodes:
        if node.op_type not in {*ORDERS, *OUTPUTS, *PLUMBING}:
            raise MubinnError(
                f"it has a node {node.op_type}, which is no part of a stack of LSTM or GRU layers "
                "and a classifier: export such a model alone."
            )
    parts.check_stack(layers)
    output, head = _head(graph, layers[-1].hidden)
    found = _readouts(graph, layers, head, output)
    readout = options.readout if options.readout in found else found[0]
    return parts.assemble(layers, head, readout, options, "an ONNX graph")


def _recurrent(graph: Graph, node: Any) -> FloatLayer:
    kind, name, attributes = node.op_type, named(node), graph.attributes(node)
    gates = len(ORDERS[kind])
    _check_node(kind, name, node, attributes)
    wx, wh = graph.weights(node, 1), graph.weights(node, 2)
    both = graph.weights(node, 3, np.zeros(2 * len(wx)))
    bx, bh = np.split(both, 2) if both.size % 2 == 0 else (both, both)
    parts.check_shapes(name, gates, wx, wh, bx, bh)
    if kind == "LSTM":
        return parts.lstm_layer(wx, wh, bx + bh, ORDERS[kind])
    after = bool(attributes.get("linear_before_reset", 0))
    return parts.gru_layer(wx, wh, bx, bh, ORDERS[kind], "after" if after else "before")


def _check_node(kind: str, name: str, node: Any, attributes: dict[str, Any]) -> None:
    """Raise `MubinnError` for what a node can do and our layers cannot."""
    if attributes.get("direction", "forward") != "forward":
        raise MubinnError(
            f"its node {name} runs {attributes['direction']}: train it in the forward direction."
        )
    texts = [text.decode("utf-8", "replace").lower() for text in attributes.get("activations", [])]
    if texts and texts != ACTIVATIONS[kind]:
        raise MubinnError(
            f"its node {name} has the activations {', '.join(texts)}: train it with sigmoid and "
            "tanh."
        )
    if attributes.get("clip"):
        raise MubinnError(
            f"its node {name} clips the sums before its activations, which our layers do not: "
            "export it without clip."
        )
    if attributes.get("input_forget"):
        raise MubinnError(f"its node {name} couples input and forget gates: train it without.")
    inputs = [*node.input, *[""] * 8]
    if inputs[4] or (kind == "LSTM" and inputs[7]):
        what = "lengths of sequences" if inputs[4] else "peepholes"
        raise MubinnError(f"its node {name} reads {what}: export it without.")


def _head(graph: Graph, hidden: int) -> tuple[str, tuple[Floats, Floats]]:
    """Return the tensor of logits and (wd, bd) of the dense layer after the last recurrent node."""
    start = max(k for k, node in enumerate(graph.nodes) if node.op_type in ORDERS)
    dense = [node for node in graph.nodes[start:] if _dense_weight(graph, node, hidden) is not None]
    if not dense:
        raise parts.no_head(hidden)
    node, bias = dense[0], None
    weight = _dense_weight(graph, node, hidden)
    assert weight is not None
    output = node.output[0]
    if node.op_type == "Gemm" and len(node.input) > 2:
        bias = graph.constant(node.input[2])
        beta = graph.attributes(node).get("beta", 1.0)
        bias = None if bias is None else parts.checked(node.input[2], bias) * beta
    for after in graph.nodes[start:]:
        if after.op_type == "Add" and output in after.input:
            other = [graph.constant(name) for name in after.input if name != output]
            if bias is None and len(other) == 1 and other[0] is not None:
                bias, output = parts.checked(named(after), other[0]), after.output[0]
    _check_end(graph, output)
    wide = None if bias is None else np.broadcast_to(bias.ravel(), len(weight))
    return output, parts.classifier(named(node), weight, wide)


def _dense_weight(graph: Graph, node: Any, hidden: int) -> Floats | None:
    """Return the weights [C, H] of a Gemm or MatMul node, None for other nodes."""
    if node.op_type not in ("Gemm", "MatMul") or len(node.input) < 2:
        return None
    weight = graph.constant(node.input[1])
    if weight is None or weight.ndim != 2:
        return None
    attributes = graph.attributes(node)
    wide = parts.checked(node.input[1], weight) * attributes.get("alpha", 1.0)
    rows = wide if attributes.get("transB") else wide.T
    return rows if rows.shape[1] == hidden else None


def _check_end(graph: Graph, output: str) -> None:
    """Raise `MubinnError` unless the logits `output` are the end of the graph."""
    ends = {value.name for value in graph.model.graph.output}
    while output not in ends:
        readers = [node for node in graph.nodes if output in node.input]
        if len(readers) != 1 or readers[0].op_type not in OUTPUTS:
            what = named(readers[0]) if readers else "nothing"
            raise MubinnError(
                f"its first dense layer is read by {what}: only softmax or sigmoid may follow the "
                "classifier."
            )
        output = readers[0].output[0]


def _readouts(
    graph: Graph, layers: list[FloatLayer], head: tuple[Floats, Floats], output: str
) -> list[Readout]:
    """Return the readouts with which the model gives what the graph does; `MubinnError` if none."""
    feeds = [v for v in graph.model.graph.input if v.name not in graph.constants]
    if len(feeds) != 1:
        names = ", ".join(v.name for v in feeds)
        raise MubinnError(f"it reads {names}: export it with the signal as its one input.")
    sizes = [d.dim_value if d.dim_value > 0 else None for d in feeds[0].type.tensor_type.shape.dim]
    if len(sizes) != 3 or sizes[2] not in (None, layers[0].features):
        raise MubinnError(
            f"its input has the shape {sizes}, not three axes with {layers[0].features} features "
            "in the last: export it with windows as the input."
        )
    shape = [size or free for size, free in zip(sizes, SYMBOLIC, strict=True)]
    shape[2] = layers[0].features
    if math.prod(shape) > MAX_VALUES:
        raise MubinnError(f"its input of shape {shape} is too large to try: export it with fewer.")
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    wanted = graph.run(output, feeds[0].name, x)
    models = list(_candidates(layers, head))
    for windows in (x, np.swapaxes(x, 0, 1)):
        found = [m.readout for m in models if _same(wanted, m, windows.astype(np.float64))]
        if found:
            return found
    raise MubinnError(
        "its graph computes something else than its LSTM or GRU nodes, a readout of the last step "
        "or the mean over the steps, and its dense layer: export such a model."
    )


def _candidates(layers: list[FloatLayer], head: tuple[Floats, Floats]) -> Iterator[FloatModel]:
    for readout in get_args(Readout):
        yield parts.assemble(layers, head, readout, parts.ImportOptions(), "")


def _same(wanted: Floats | None, model: FloatModel, x: Floats) -> bool:
    """Return whether the graph's values `wanted` are the model's logits of windows `x`."""
    scores = reference.logits(model, x)
    if wanted is not None and wanted.size == len(scores) and scores.shape[1] == 2:
        # One output is the logit of class 1 against class 0.
        scores = scores[:, 1:] - scores[:, :1]
    if wanted is None or wanted.size != scores.size:
        return False
    error = np.abs(wanted.reshape(scores.shape) - scores)
    return bool((error <= TOLERANCE * (1 + np.abs(scores))).all())
