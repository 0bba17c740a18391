"""ONNX graphs as chains of layers: what each node that the signal runs through adds to one.

Nodes that only move numbers add nothing; which steps they pick, and in which order axes lie, is not
read off them. `mubinn.golden.importers.onnx` runs the chain beside the graph.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.graph import ramp_kind
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.chain import Activation, Chain, Linear
from mubinn.golden.importers.onnx_cells import recurrent_layers
from mubinn.golden.importers.onnx_graph import RECURRENT, Graph, named
from mubinn.golden.units.shapes import FARTHEST, Kind

AFFINE = ("Add", "Sub", "Mul", "Div")
"""Nodes that scale or shift by a constant."""


class Stack:
    """The layers of a graph as they come, from the input on.

    Attributes
    ----------
    chain : Chain
    kinds : dict of str to str
        Tensors that are to be run with the activations that their layers get.
    """

    def __init__(self, graph: Graph, options: parts.ImportOptions) -> None:
        self.chain = Chain()
        self.kinds: dict[str, Kind] = {}
        self._graph = graph
        self._options = options
        # The last tensor of the layers so far, and which tensors stand after how many steps.
        self._last = ""
        self._after: dict[str, int] = {}
        self._steps = 0
        self._padded = 0, 0

    def take(self, nodes: Sequence[Any]) -> None:
        """Add what `nodes` do; raise `MubinnError` where they are no chain of layers of ours."""
        for node in nodes:
            moved = [name for name in node.input if name in self._graph.data]
            if not moved:
                continue
            step = STEPS.get(node.op_type)
            if step is None or (node.op_type in AFFINE and self._is_plumbing(node, moved)):
                after = max(self._after.get(name, 0) for name in moved)
            else:
                self._check_chain(node, moved)
                step(self, node)
                self._steps += 1
                self._last, after = str(node.output[0]), self._steps
            self._after |= dict.fromkeys((str(name) for name in node.output if name), after)

    def _check_chain(self, node: Any, moved: Sequence[str]) -> None:
        if node.op_type in AFFINE and len(moved) > 1:
            raise MubinnError(
                f"its node {named(node)} adds {moved[-1]}, which is no constant: export such a "
                "model alone."
            )
        if self._after.get(moved[0], 0) != self._steps:
            raise MubinnError(
                f"its graph computes something else than one layer after the other, its node "
                f"{named(node)} not reading what stands before it: export such a model."
            )
        if self._padded != (0, 0) and node.op_type != "Conv":
            raise MubinnError(
                f"its node {named(node)} follows a Pad: pad before a convolution alone, with zeros "
                "before the window."
            )

    def _is_plumbing(self, node: Any, moved: Sequence[str]) -> bool:
        """Return whether a node adds what depends on shapes alone, such as zeros."""
        return len(moved) == 1 and not any(name in self._graph.constants for name in node.input)

    def recurrent(self, node: Any) -> None:
        """Add a layer with a state."""
        self.chain.recurrent(named(node), *recurrent_layers(self._graph, node))

    def dense(self, node: Any) -> None:
        """Have a dense layer wait."""
        graph, attributes = self._graph, self._graph.attributes(node)
        if not is_dense(graph, node):
            raise MubinnError(
                f"its node {named(node)} has no weights in the file: export such a model alone."
            )
        weight = parts.checked(node.input[1], graph.constants[node.input[1]])
        weight = weight * attributes.get("alpha", 1.0)
        weight = weight if attributes.get("transB") and node.op_type == "Gemm" else weight.T
        self._wait(node, Linear(named(node), weight, np.zeros(len(weight))))
        if len(node.input) > 2:
            offset = attributes.get("beta", 1.0) * self._constant(node, node.input[2])
            self.chain.normalise(named(node), np.ones(()), offset)

    def convolution(self, node: Any) -> None:
        """Have a convolution over time wait, each filter a row: taps from the oldest step on."""
        graph, attributes, name = self._graph, self._graph.attributes(node), named(node)
        weight = graph.constants.get(node.input[1])
        if weight is None or weight.ndim < 3:
            raise MubinnError(f"its node {name} has no weights in the file: export it with them.")
        own = parts.checked(node.input[1], weight)
        axis, count = _time_axis(name, own.shape[2:]), own.ndim - 2
        kernel = own.reshape(*own.shape[:2], -1)
        taps = kernel.shape[2]
        pads = attributes.get("pads", [0] * 2 * count)
        strides, dilations = (
            attributes.get(setting, [1] * count)[axis] for setting in ("strides", "dilations")
        )
        (first, last), self._padded = self._padded, (0, 0)
        first, last = first + pads[axis], last + pads[axis + count]
        groups, padding = attributes.get("group", 1), attributes.get("auto_pad", "NOTSET")
        if groups != 1 or dilations != 1:
            raise MubinnError(
                f"its node {name} is a convolution of {groups} groups and dilation {dilations}: "
                "train it with one of either."
            )
        # Outputs that read zeros after the window may be cut off again where it is all of them.
        if padding not in ("NOTSET", "VALID") or last not in (0, taps - 1) or first < 0:
            raise MubinnError(
                f"its node {name} is a convolution that reads zeros after the window: train it "
                "with zeros before the window (causal), or with none."
            )
        rows = kernel.transpose(0, 2, 1).reshape(len(kernel), -1)
        frames = Frames(taps, strides, first)
        self._wait(node, Linear(name, rows, np.zeros(len(rows)), frames))
        if len(node.input) > 2:
            self.chain.normalise(name, np.ones(()), self._constant(node, node.input[2]))

    def pad(self, node: Any) -> None:
        """Remember the zeros that a convolution reads around the window."""
        given = self._graph.attributes(node).get("pads")
        if given is None and len(node.input) > 1 and node.input[1] in self._graph.constants:
            given = self._graph.constants[node.input[1]].ravel().tolist()
        if not given or len(given) % 2:
            raise MubinnError(f"its node {named(node)} pads by no constant: export it again.")
        half = len(given) // 2
        axes = [k for k in range(half) if given[k] or given[k + half]]
        if len(axes) == 1:
            self._padded = int(given[axes[0]]), int(given[axes[0] + half])
        elif axes:
            raise MubinnError(f"its node {named(node)} pads several axes: pad the steps alone.")

    def normalisation(self, node: Any) -> None:
        """Scale and shift as a trained batch normalisation does."""
        scale, b, mean, variance = (self._constant(node, name) for name in node.input[1:5])
        if (variance < 0).any():
            raise MubinnError(f"its node {named(node)} has no variances: export it again.")
        epsilon = self._graph.attributes(node).get("epsilon", 1e-5)
        scale = scale / np.sqrt(variance + epsilon)
        self.chain.normalise(named(node), scale, b - scale * mean)

    def affine(self, node: Any) -> None:
        """Scale or shift by a constant."""
        name, graph = named(node), self._graph
        first = node.input[0] in graph.constants
        other = self._constant(node, node.input[0 if first else 1])
        one, zero = np.ones(()), np.zeros(())
        match node.op_type:
            case "Add":
                self.chain.normalise(name, one, other)
            case "Sub":
                self.chain.normalise(name, -one if first else one, other if first else -other)
            case "Mul":
                self.chain.normalise(name, other, zero)
            case _ if first or not other.all():
                raise MubinnError(f"its node {name} divides by the signal or 0: export it without.")
            case _:
                self.chain.normalise(name, 1 / other, zero)

    def activation(self, node: Any) -> None:
        """Give the layer that waits its activation."""
        if not self.chain.is_open:
            raise MubinnError(
                f"its node {named(node)} follows no dense layer or convolution, whose activation "
                "it could be: export a model where it does."
            )
        word = {"LogSoftmax": "softmax"}.get(node.op_type, node.op_type.lower())
        kind = partial(self._shaped, str(node.output[0]), partial(self._kind, node))
        self.chain.activate(Activation(word, kind))

    def _wait(self, node: Any, linear: Linear) -> None:
        name = f"its node {named(node)}"
        none = partial(parts.unlimited, "linear", name, self._options)
        self.chain.linear(linear, Activation("linear", lambda: self._shaped(self._last, none)))

    def _shaped(self, tensor: str, find: Callable[[], Kind]) -> Kind:
        """Return the activation whose values the tensor holds, as they are to be run."""
        self.kinds[tensor] = find()
        return self.kinds[tensor]

    def _kind(self, node: Any) -> Kind:
        attributes, name = self._graph.attributes(node), f"its node {named(node)}"
        match node.op_type:
            case "Sigmoid" | "Tanh":
                return "sigmoid" if node.op_type == "Sigmoid" else "tanh"
            case "HardSigmoid":
                return ramp_kind(attributes.get("alpha", 0.2), attributes.get("beta", 0.5))
            case "Relu":
                return parts.unlimited("relu", name, self._options)
            case "Clip":
                return self._clip(node, name)
        raise MubinnError(f"{name} stands between layers: end the model with it.")

    def _clip(self, node: Any, name: str) -> Kind:
        """Return what clips between two limits, such as relu6."""
        attributes = self._graph.attributes(node)
        inputs = [*node.input, "", ""][1:3]
        ends = [
            float(self._constant(node, read)) if read else attributes.get(setting)
            for read, setting in zip(inputs, ("min", "max"), strict=True)
        ]
        low, high = (None if end is None or abs(end) > FARTHEST else end for end in ends)
        if low is not None and high is not None:
            return ramp_kind(1, 0, low, high)
        if low == 0:
            return parts.unlimited("relu", name, self._options)
        raise MubinnError(f"{name} has no two limits up to {FARTHEST}: train it with relu6.")

    def _constant(self, node: Any, name: str) -> Floats:
        """Return a constant that a node reads: one number a channel, or one for all."""
        if name not in self._graph.constants:
            raise MubinnError(
                f"its node {named(node)} reads {name}, which is no constant: export such a model "
                "alone."
            )
        flat = parts.checked(name, self._graph.constants[name]).ravel()
        return flat.reshape(()) if flat.size == 1 else flat


def _time_axis(name: str, sizes: Sequence[int]) -> int:
    """Return the only axis of a convolution that is longer than 1, the last where none is."""
    long = [k for k, size in enumerate(sizes) if size > 1]
    if len(long) > 1:
        raise MubinnError(f"its node {name} is a convolution over {len(long)} axes: take time.")
    return long[0] if long else len(sizes) - 1


def is_dense(graph: Graph, node: Any) -> bool:
    """Return whether a node is a dense layer with weights in the file."""
    if node.op_type not in ("Gemm", "MatMul") or len(node.input) < 2:
        return False
    weight = graph.constants.get(node.input[1])
    return weight is not None and weight.ndim == 2


STEPS: dict[str, Callable[[Stack, Any], None]] = {
    **dict.fromkeys(RECURRENT, Stack.recurrent),
    **dict.fromkeys(("Gemm", "MatMul"), Stack.dense),
    **dict.fromkeys(AFFINE, Stack.affine),
    **dict.fromkeys(
        ("Relu", "Sigmoid", "Tanh", "HardSigmoid", "Clip", "Softmax", "LogSoftmax"),
        Stack.activation,
    ),
    "BatchNormalization": Stack.normalisation,
    "Conv": Stack.convolution,
    "Pad": Stack.pad,
}
"""What a node does to the signal."""
