"""ONNX graphs of LSTM, GRU or RNN nodes with a dense layer above them.

Layers come out of the nodes (`mubinn.golden.importers.onnx_layers`). What the nodes between them
do, transposing, picking a step or averaging, is not read off the graph: the model is run beside the
graph in ONNX's own reference evaluator, and must give the same outputs. What that evaluator does
not know of a recurrent node is `mubinn.golden.importers.onnx_recurrent`.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.onnx_cells import check_node, directions, weights_of
from mubinn.golden.importers.onnx_graph import COMPUTED, RECURRENT, STANDARD, Graph, named
from mubinn.golden.importers.onnx_layers import STEPS, Stack, is_dense
from mubinn.golden.model import reference
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.head import Readout
from mubinn.golden.model.stacked import least_steps

PLUMBING = {
    "Cast",
    "Concat",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "GlobalAveragePool",
    "Identity",
    "ReduceMean",
    "Reshape",
    "Shape",
    "Size",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
"""Nodes that move the signal, between layers."""

DECIDING = {"Softmax", "LogSoftmax", "Sigmoid"}
"""Nodes that say what the numbers of the dense layer below are."""

QUANTIZED = re.compile("Quantize(LSTM|MatMul)|Integer|^QLinear|^QGemm")
"""Nodes of models that are quantized already."""

SYMBOLIC = ((3, 5, 7), (1, 5, 7), (5, 1, 7))
"""Lengths of axes that the graph leaves open, each of its own so that mixing them up shows.

Graphs that have one window or one step built into them take the others.
"""

AXES = "windows, steps, features"
"""How windows lie here; a graph may want the axes in another order."""

MAX_INPUT = 1 << 22
"""Largest input that the graph is run on."""

MAX_PARTS = 8
"""How many parts of a graph are tried, to say where to cut."""

UNFIT = (AttributeError, LookupError, OverflowError, RuntimeError, TypeError, ValueError)
"""What a damaged graph may raise on the way, besides."""

CANDIDATES: tuple[Readout, ...] = ("last", "mean", "every")
"""Readouts that a graph may have."""

TOLERANCE = 1e-9
"""Most relative difference of outputs; both sides are float64."""


@dataclass(frozen=True, eq=False)
class Head:
    """A classifier of the graph: the dense node `node` and the output `end` that it leads to."""

    node: Any
    end: str
    names: tuple[str, ...]


def of_onnx(data: bytes, options: parts.ImportOptions, folder: Path) -> FloatModel:
    """Return the model of an ONNX file, whose further files lie in `folder`.

    Raises
    ------
    MubinnError
        Where onnx is absent, or the file is none; for weights outside the folder; without a
        recurrent node or a classifier, or with several and none is named; for activations that we
        do not have, or clipped as ours are not, lengths; for other nodes, or a graph that computes
        something else, then with what is in the way and where to cut; for one output, which
        nothing follows, where the options do not say what it is.
    """
    options.demand_absent("an ONNX graph", "recurrent", "nonlinearity", "describe")
    graph = Graph(data, folder, options)
    if not any(node.op_type in RECURRENT for node in graph.nodes):
        _demand_plain(graph)
        raise MubinnError("it has no LSTM, GRU or RNN node: give a model with one.")
    graph = graph.cut(options.first, options.last)
    head = _head(graph, options.head)
    try:
        return _model(graph, head, options)
    except parts.OpenError:
        raise
    except MubinnError as error:
        part = None if options.first or options.last else _part(graph, head, options)
        if part is None:
            raise
        text = f"{str(error).rstrip('.')}; the part from {part[0]} to {part[1]} is such a model"
    raise MubinnError(f"{text}: give --from {part[0]} --to {part[1]} to cut it out.")


def _demand_plain(graph: Graph) -> None:
    """Raise `MubinnError` where nodes compute with quantized numbers, or one chooses others."""
    for node in graph.nodes:
        if node.op_type == "If":
            raise _open_choice(node)
        if QUANTIZED.search(node.op_type):
            raise MubinnError(
                f"its node {named(node)} computes with quantized numbers: give the model before "
                "any quantization."
            )


def _open_choice(node: Any) -> MubinnError:
    return MubinnError(
        f"its node {named(node)} chooses what is computed by {node.input[0]}, which its file does "
        "not decide: export the model without the choice, with fixed sizes where it is by size."
    )


def _part(graph: Graph, head: Head, options: parts.ImportOptions) -> tuple[str, str] | None:
    """Return the names of nodes between which there is a model of ours, None where there is none.

    States that come from elsewhere begin at 0 in it.
    """
    nodes = graph.before(head.end)
    recurrent = [node for node in nodes if node.op_type in RECURRENT]
    dense = [node for node in nodes if is_dense(graph, node)]
    for first, last in list(product(recurrent, reversed(dense)))[:MAX_PARTS]:
        names = first.name or first.output[0], last.name or last.output[0]
        try:
            part = graph.cut(*names)
            _model(part, _head(part, None), options)
        except (MubinnError, *UNFIT):
            continue
        return names
    return None


def _model(graph: Graph, head: Head, options: parts.ImportOptions) -> FloatModel:
    nodes = graph.before(head.end)
    for node in nodes:
        if node.op_type in RECURRENT:
            check_node(graph, node)
    _check_nodes(graph, nodes)
    stack = Stack(graph, options)
    stack.take(nodes)
    layers, top = stack.chain.layers, stack.chain.top()
    parts.check_stack(layers)
    if top is None or top.w.shape[1] != parts.cells_on_top(layers):
        raise parts.no_head(parts.cells_on_top(layers))
    found, order = _readouts(graph, stack, top, head.end)
    # One step alone is its own mean: the graph leaves open what the model reads of several.
    readout = found[0] if len(found) == 1 else None
    notes = [
        "an ONNX graph",
        f" from {options.first}" if options.first else "",
        f" to {options.last}" if options.last else "",
        f", whose input is {order}" if order != AXES else "",
        f", whose states {' and '.join(graph.zeroed)} begin at 0" if graph.zeroed else "",
    ]
    return parts.assemble(layers, top, readout, options, "".join(notes))


def _check_nodes(graph: Graph, nodes: list[Any]) -> None:
    """Raise `MubinnError` for nodes that are no part of such a model.

    What depends on the shape of the signal alone may compute whatever it wants.
    """
    for node in nodes:
        moved = graph.data & set(node.input)
        fits = {*STEPS, *PLUMBING} if moved else COMPUTED
        if node.domain not in STANDARD or node.op_type not in fits:
            if node.op_type == "If":
                raise _open_choice(node)
            kind = f"{node.domain}.{node.op_type}".lstrip(".")
            raise MubinnError(
                f"it has a node {kind}, which is no part of a chain of recurrent, dense and "
                "convolution layers and a classifier: export such a model alone."
            )
    known = {*graph.constants, *(value.name for value in graph.inputs), ""}
    for node in nodes:
        outside = set(node.input) - known
        if outside:
            raise MubinnError(
                f"its node {named(node)} reads {parts.shown(outside)} from outside of the part: "
                "name an earlier node with --from."
            )
        known |= set(node.output)


def _head(graph: Graph, wanted: str | None) -> Head:
    """Return the classifier, by the name `wanted` where the graph has several."""
    heads: dict[str, list[Head]] = {}
    for end in graph.ends:
        nodes = graph.before(end)
        above = max((k for k, node in enumerate(nodes) if node.op_type in RECURRENT), default=None)
        dense = [] if above is None else [n for n in nodes[above:] if is_dense(graph, n)]
        if dense:
            head = Head(dense[-1], end, _names(graph, dense[-1], end))
            heads.setdefault(dense[-1].output[0], []).append(head)
    if not heads:
        _demand_plain(graph)
        node = next(node for node in reversed(graph.nodes) if node.op_type in RECURRENT)
        raise parts.no_head(directions(graph, node) * weights_of(graph, node, 2, 0).shape[1])
    shown = ", ".join(sorted(found[0].names[0] for found in heads.values()))
    fitting = [
        head for found in heads.values() for head in found if wanted is None or wanted in head.names
    ]
    if not fitting:
        raise MubinnError(f"it has no classifier named {wanted!r}: there is {shown}.")
    if len({head.node.output[0] for head in fitting}) > 1:
        raise MubinnError(
            f"several dense layers could be the classifier, {shown}: name it with --head."
        )
    # Where one classifier has several outputs, such as scores beside shares, one says what they
    # are; of those that do, and else of all, it is the nearest.
    return min(fitting, key=lambda head: (not _says(graph, head), len(graph.before(head.end))))


def _says(graph: Graph, head: Head) -> bool:
    """Return whether the output of a classifier says what its numbers are, and says no more."""
    above = {str(head.node.output[0])}
    kinds = set()
    for node in graph.before(head.end):
        if above & set(node.input):
            above |= set(node.output)
            kinds.add(node.op_type)
    return bool(kinds & DECIDING) and kinds <= {*STEPS, *PLUMBING}


def _names(graph: Graph, node: Any, end: str) -> tuple[str, ...]:
    """Return what the classifier `node` may be called, the clearest name first."""
    weights = graph.sources(node.input[1])
    modules = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    path = str(node.name).strip("/").rpartition("/")[0]
    return (*modules, *([path] if path else []), end, *weights, str(node.name), node.output[0])


def _readouts(graph: Graph, stack: Stack, top: parts.Top, end: str) -> tuple[list[Readout], str]:
    """Return the readouts with which the model does as the graph, and the axes of its input.

    Raises `MubinnError` where there are none.
    """
    nodes = graph.before(end)
    read = {name for node in nodes for name in node.input}
    feeds = [value for value in graph.inputs if value.name in read]
    if len(feeds) != 1:
        names = ", ".join(v.name for v in feeds) or "nothing"
        raise MubinnError(f"it reads {names}: export it with the signal as its one input.")
    sizes = [d.dim_value if d.dim_value > 0 else None for d in feeds[0].type.tensor_type.shape.dim]
    layers = stack.chain.layers
    layouts = list(_layouts(sizes, layers))
    if not layouts:
        raise MubinnError(
            f"its input has the shape {sizes}, not three axes with {layers[0].inputs} features "
            "in the last, or before the steps: export it with windows as the input."
        )
    models = [
        FloatModel(tuple(layers), top.w, top.b, readout, head="regression")
        for readout in CANDIDATES
    ]
    several = False
    for shape, axes in layouts:
        steps, stated = shape[axes[1]], sizes[axes[1]]
        if several and steps == 1 != stated:
            # The graph runs over several steps, and then computes something else.
            continue
        if math.prod(shape) > MAX_INPUT:
            raise MubinnError(
                f"its input of shape {list(shape)} is too large to try: export it with fewer."
            )
        x = np.random.default_rng(0).normal(size=shape)
        wanted = graph.run(nodes, end, feeds[0].name, x, stack.kinds)
        several = several or (wanted is not None and steps > 1)
        found = [m.readout for m in models if _same(wanted, m, np.transpose(x, axes))]
        if found:
            return found, ", ".join(AXES.split(", ")[axes.index(k)] for k in range(3))
    last = "where each direction ends (Y_h)" if parts.ends_apart(layers) else "of the last step"
    raise MubinnError(
        "its graph computes something else than its layers one after the other, a readout "
        f"{last}, of every step or of the mean over the steps, and one dense layer after the "
        "mean: export such a model."
    )


def _layouts(
    sizes: list[int | None], layers: Sequence[FloatLayer]
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield shapes to try, each with the axes of its windows, steps and features.

    Features last are the usual; before the steps they are the channels of convolutions.
    """
    if len(sizes) != 3:
        return
    features, more = layers[0].inputs, least_steps(layers) - 1
    for free in SYMBOLIC:
        for axes in sorted(permutations(range(3)), key=lambda axes: -axes[2]):
            shape = [size or other for size, other in zip(sizes, free, strict=True)]
            if axes[2] and sizes[axes[2]] in (None, features):
                shape[axes[2]] = features
                # One step alone is tried as it is.
                longer = sizes[axes[1]] is None and shape[axes[1]] > 1
                shape[axes[1]] += more if longer else 0
                yield tuple(shape), axes


def _same(wanted: Floats | None, model: FloatModel, x: Floats) -> bool:
    """Return whether `wanted` are the model's outputs for windows `x`, its axes in any order."""
    if wanted is None or not len(x):
        return False
    values = reference.logits(model, x)
    if wanted.size != values.size or wanted.squeeze().ndim > values.ndim:
        return False
    shares = np.exp(values - values.max(axis=-1, keepdims=True))
    shares = shares / shares.sum(axis=-1, keepdims=True)
    ends = (values, shares, np.log(shares), 1 / (1 + np.exp(-values)))
    long = wanted.squeeze()
    turned = [long.transpose(axes).reshape(values.shape) for axes in permutations(range(long.ndim))]
    return any(
        bool((np.abs(got - y) <= TOLERANCE * (1 + np.abs(y))).all())
        for got, y in product(turned, ends)
    )
