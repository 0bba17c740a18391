"""A parsed ONNX graph: its constants folded, and every node run in ONNX's reference evaluator.

What follows from the file alone (a weight behind Cast, Transpose, Concat and the like) is computed
once and is a constant. The rest depends on the signal, or on its shape alone. Where a condition is
a constant, an If node is the nodes of the branch that it chooses.
"""

import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.onnx_recurrent import Settings, run, settings_of
from mubinn.golden.units.shapes import Kind, exact

Array = npt.NDArray[Any]

RECURRENT = ("LSTM", "GRU", "RNN")

STATES = (5, 6)
"""Inputs of a recurrent node from which h and c begin."""

STANDARD = ("", "ai.onnx")
"""Domains of ONNX's own nodes."""

FUSED = "com.microsoft"
"""Domain of ONNX Runtime's own nodes."""

ONE_INPUT = ("Sigmoid", "Tanh", "Relu")
"""Activations without settings that a fused node may end with."""

ACTIVATIONS = ("Sigmoid", "Tanh", "Relu", "HardSigmoid", "Clip")
"""Nodes that are an activation of a layer."""

BROADCAST = {"Add", "Sub", "Mul", "Div", "Mod", "Pow", "Min", "Max", "And", "Or", "Equal"} | {
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Where",
}
KEEPING = {"Abs", "Cast", "Ceil", "Clip", "Concat", "Constant", "DequantizeLinear", "Dropout"} | {
    *("Flatten", "Floor", "GatherElements", "GatherND", "GlobalAveragePool", "Identity", "Neg"),
    *("LogSoftmax", "Not", "QuantizeLinear", "ReduceMax", "ReduceMean", "ReduceMin"),
    *("ReduceProd", "ReduceSum", "Reshape", "Shape", "Sigmoid", "Size", "Slice", "Softmax"),
    *("Split", "Squeeze", "Transpose", "Unsqueeze", "Gemm", "MatMul", *RECURRENT),
}
SIZED = {"ConstantFill", "ConstantOfShape", "Expand", "Gather", "Range", "Tile"}

COMPUTED = BROADCAST | KEEPING | SIZED
"""Nodes that are ever run on the file alone; none of them runs a graph of its own or reads one."""

LAYERS = {"BatchNormalization", "Conv", "HardSigmoid", "Pad", "Relu", "Tanh"}
"""Nodes that are run on the signal as well, once what they do is known to be a layer's."""

RENEWED = {"BatchNormalization": 15, "DequantizeLinear": 19}
"""Opsets from which the evaluator has a node right; what older graphs say means the same there."""

MAX_VALUES = 1 << 26
"""Most numbers that a graph may compute, all its tensors together."""


class Graph:
    """A parsed graph.

    Attributes
    ----------
    nodes : list of NodeProto
        In the order of computation, without those that are folded.
    constants : dict of str to array
        Tensors of the file, and what is computed from them alone.
    inputs : list of ValueInfoProto
        What the graph is fed.
    ends : list of str
        Names of its outputs.
    zeroed : list of str
        States that were cut off, and begin at 0.
    """

    def __init__(
        self, data: bytes, folder: Path, options: parts.ImportOptions | None = None
    ) -> None:
        self._options = options or parts.ImportOptions()
        try:
            import onnx
        except ImportError:
            raise MubinnError(
                "it is no model of this program, PyTorch or Keras, and reading ONNX models needs "
                "onnx: pip install 'mubinn[onnx]'."
            ) from None
        self._onnx: Any = onnx
        model = self._model = self._parsed(data)
        graph = model.graph
        self._opsets = list(model.opset_import)
        self._left = MAX_VALUES
        self.constants: dict[str, Array] = {
            tensor.name: self._stored(tensor, folder) for tensor in graph.initializer
        }
        self.inputs = [value for value in graph.input if value.name not in self.constants]
        self.ends: list[str] = [value.name for value in graph.output]
        self.zeroed: list[str] = []
        self.nodes: list[Any] = []
        self._sources: dict[str, set[str]] = {name: {name} for name in self.constants}
        fed = {value.name for value in self.inputs}
        self.data: set[str] = set(fed)
        parted = [part for whole in graph.node for part in self._apart(whole)]
        for node in _ordered(parted):
            self._take(node, folder)

    def _parsed(self, data: bytes) -> Any:
        try:
            model: Any = self._onnx.load_model_from_string(data)
            if not model.graph.node:
                raise ValueError
        except Exception:  # protobuf's own types, which differ between its versions
            raise MubinnError(
                "it is neither a model file of this program, nor of PyTorch, Keras or ONNX, or it "
                "is damaged: give another file"
            ) from None
        if model.functions:
            from onnx.inliner import inline_local_functions

            return inline_local_functions(model)
        return model

    def _stored(self, tensor: Any, folder: Path) -> Array:
        """Return a tensor of the file, or of a file beside it."""
        from onnx import external_data_helper, numpy_helper

        if tensor.data_location == self._onnx.TensorProto.EXTERNAL:
            about = external_data_helper.ExternalDataInfo(tensor)
            place, root = folder / str(about.location), folder.resolve()
            if not about.location or root not in place.resolve().parents:
                raise MubinnError(
                    f"its tensor {tensor.name} lies in {about.location!r}, outside the folder of "
                    "the model: put both files in one folder, or export the model as one file."
                )
            if not place.is_file():
                raise MubinnError(
                    f"its weights lie in {about.location!r}, which is not beside it: copy that "
                    "file too, or export with external_data=False."
                )
            size, start = place.stat().st_size, about.offset or 0
            count = size - start if about.length is None else about.length
            if size > parts.MAX_SIZE or min(start, count) < 0 or start + count > size:
                raise MubinnError(
                    f"its weights in {about.location!r} are cut or larger than any model's: copy "
                    "both files again."
                )
            with place.open("rb") as file:
                file.seek(start)
                raw = file.read(count)
            tensor.ClearField("external_data")
            tensor.data_location = self._onnx.TensorProto.DEFAULT
            tensor.raw_data = raw
        try:
            return _plain(np.asarray(numpy_helper.to_array(tensor)))
        except (ValueError, TypeError, KeyError):
            raise MubinnError(
                f"its tensor {tensor.name} is damaged: export the model again."
            ) from None

    def _apart(self, node: Any) -> list[Any]:
        """Return the nodes of the standard that one of ONNX Runtime's optimiser stands for."""
        make, attributes = self._onnx.helper.make_node, self.attributes(node)
        if node.domain != FUSED or node.op_type not in ("FusedGemm", "FusedMatMul"):
            return [node]
        output, inner = node.output[0], f"{node.output[0]}/sum"
        if node.op_type == "FusedGemm" and attributes.get("activation") in ONE_INPUT:
            kept = {k: v for k, v in attributes.items() if not k.startswith("activation")}
            gemm = make("Gemm", list(node.input), [inner], node.name, **kept)
            return [gemm, make(attributes["activation"], [inner], [output])]
        weight = self.constants.get(node.input[1]) if len(node.input) > 1 else None
        turned = any(attributes.get(flag) for flag in ("transA", "transBatchA", "transBatchB"))
        if node.op_type == "FusedMatMul" and not turned and weight is not None and weight.ndim == 2:
            moved = weight.T if attributes.get("transB") else weight
            self.constants[inner] = moved * np.asarray(attributes.get("alpha", 1.0), weight.dtype)
            self._sources[inner] = {str(node.input[1])}
            return [make("MatMul", [node.input[0], inner], [output], node.name)]
        return [node]

    def _take(self, node: Any, folder: Path) -> None:
        """Fold `node` where it depends on the file alone, else keep it."""
        branch = self._branch(node) if node.op_type == "If" and node.domain in STANDARD else None
        if branch is not None:
            for part in self._in_place(node, branch, folder):
                self._take(part, folder)
            return
        node = _with_all_inputs(node)
        given = [str(name) for name in node.input if name]
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                self.constants[node.output[0]] = self._stored(attribute.t, folder)
                return
        folds = node.domain in STANDARD and node.op_type in COMPUTED
        if folds and all(name in self.constants for name in given):
            values = self.compute(node, self.constants)
            if values is not None:
                self.constants |= values
                sources = set[str]().union(*(self._sources.get(name, set()) for name in given))
                self._sources |= dict.fromkeys(values, sources)
                return
        self.nodes.append(node)
        if node.op_type not in ("Shape", "Size") and self.data & set(given):
            self.data |= set(node.output) - {""}

    def _branch(self, node: Any) -> Any:
        """Return the branch that an If node always takes, None where that is not known."""
        condition = self._known(str(node.input[0])) if node.input else None
        if condition is None or condition.size != 1:
            return None
        return self.attributes(node).get("then_branch" if condition.all() else "else_branch")

    def _known(self, name: str) -> Array | None:
        """Return a tensor that follows from the file and from the sizes that it fixes, or None.

        Of a shape of which some sizes are open the others are known.
        """
        values: dict[str, Array] = dict(self.constants)
        shapes: dict[str, list[int | None]] = {}
        for node in self.before(name):
            sizes = self._sizes.get(node.input[0] if node.input else "", [])
            if node.op_type == "Shape" and sizes and not node.attribute:
                shapes[node.output[0]] = sizes
                if None not in sizes:
                    values[node.output[0]] = np.array(sizes, np.int64)
            elif node.op_type in ("Gather", "Slice") and node.input[0] in shapes:
                values |= self._selected(node, shapes[node.input[0]], values)
            elif all(read in values for read in node.input if read):
                values |= self.compute(node, values) or {}
        return values.get(name)

    def _selected(
        self, node: Any, sizes: list[int | None], values: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return what a node selects of a shape; nothing where any of it is open."""
        if any(read not in values for read in node.input[1:] if read):
            return {}
        found = []
        for other in (-1, -2):
            shape = np.array([other if size is None else size for size in sizes], np.int64)
            found.append(self.compute(node, {**values, node.input[0]: shape}))
        one, two = found
        if one is None or two is None:
            return {}
        return one if all((one[key] == two[key]).all() for key in one) else {}

    def _in_place(self, node: Any, branch: Any, folder: Path) -> list[Any]:
        """Return the nodes of a branch as nodes of this graph, their own names led by that of it.

        What they make of the file alone are constants of the graph.
        """
        names = {str(end): f"{node.output[0]}/{end}" for part in branch.node for end in part.output}
        for tensor in branch.initializer:
            own = names[tensor.name] = f"{node.output[0]}/{tensor.name}"
            self.constants[own] = self._stored(tensor, folder)
            self._sources[own] = {str(tensor.name)}
        made = {str(end) for part in branch.node for end in part.output if end}
        more = []
        for value, end in zip(branch.output, node.output, strict=False):
            if value.name in made:
                made.remove(value.name)
                names[value.name] = str(end)
            elif end:
                read = names.get(value.name, value.name)
                more.append(self._onnx.helper.make_node("Identity", [read], [end]))
        names[""] = ""
        apart = [one for part in branch.node for one in self._apart(_renamed(part, names))]
        return _ordered([*apart, *more])

    def _can(self, node: Any) -> bool:
        return node.domain in STANDARD and node.op_type in COMPUTED | LAYERS

    def sources(self, name: str) -> list[str]:
        """Return the names of the file's tensors that the constant `name` is made of."""
        return sorted(self._sources.get(name, ()))

    def attributes(self, node: Any) -> dict[str, Any]:
        """Return the attributes of `node` by name, texts as str."""
        found: dict[str, Any] = {}
        for attribute in node.attribute:
            value: Any = self._onnx.helper.get_attribute_value(attribute)
            text = isinstance(value, bytes)
            found[attribute.name] = value.decode("utf-8", "replace") if text else value
        return found

    def node(self, name: str) -> Any:
        """Return the node that is called `name`, or makes a tensor of that name."""
        for node in self.nodes:
            if name and name in (node.name, *node.output):
                return node
        there = parts.shown(node.name or node.output[0] for node in self.nodes)
        raise MubinnError(f"it has no node {name!r} that depends on its input: there is {there}.")

    def cut(self, first: str | None, last: str | None) -> "Graph":
        """Return the part from the node `first`, which is fed the signal, to the node `last`.

        States that come into it from outside begin at 0.

        Raises
        ------
        MubinnError
            Where there is no such node, or none that depends on the input of the graph.
        """
        part = copy(self)
        if last is not None:
            part.ends = [str(self.node(last).output[0])]
        if first is not None:
            node = self.node(first)
            signal = next((str(name) for name in node.input if name in self.data), None)
            if signal is None:
                raise MubinnError(
                    f"its node {first!r} does not read the signal: name another with --from."
                )
            part._feed(signal, self)
        return part

    def _feed(self, signal: str, whole: "Graph") -> None:
        """Leave the nodes that depend on the tensor `signal`, the only input from now on."""
        made, self.data, kept = {signal}, {signal}, []
        for node in whole.nodes:
            if made & set(node.input) and signal not in node.output:
                made |= set(node.output) - {""}
                if node.op_type not in ("Shape", "Size") and self.data & set(node.input):
                    self.data |= set(node.output) - {""}
                kept.append(node)
        self.nodes = [self._from_zero(node, made, whole) for node in kept]
        sizes = whole._sizes.get(signal) or [None] * 3
        self.inputs = [self._onnx.helper.make_tensor_value_info(signal, 1, sizes)]

    @cached_property
    def _sizes(self) -> dict[str, list[int | None]]:
        """Sizes of the tensors as far as the file tells them."""
        from onnx import shape_inference

        try:
            graph = shape_inference.infer_shapes(self._model, data_prop=True).graph
        except Exception:  # types of its own
            graph = self._model.graph
        return {
            value.name: [d.dim_value or None for d in value.type.tensor_type.shape.dim]
            for value in (*graph.value_info, *graph.input)
        }

    def _from_zero(self, node: Any, made: set[str], whole: "Graph") -> Any:
        """Return a recurrent node without the states that come from outside of the cut."""
        states = [k for k in STATES if node.op_type in RECURRENT and len(node.input) > k]
        outside = [k for k in states if node.input[k] not in {*made, *self.constants, ""}]
        if not outside:
            return node
        changed = self._onnx.NodeProto()
        changed.CopyFrom(node)
        for k in outside:
            if node.input[k] not in whole.data and not whole.is_zero(node.input[k]):
                raise MubinnError(
                    f"its node {named(node)} begins with the state {node.input[k]}, which is not "
                    "0: train it from 0."
                )
            if node.input[k] in whole.data and node.input[k] not in self.zeroed:
                self.zeroed = [*self.zeroed, str(node.input[k])]
            changed.input[k] = ""
        return changed

    def is_zero(self, name: str) -> bool:
        """Return whether the tensor `name`, which depends on shapes alone, holds zeros."""
        values: dict[str, Array] = {"": np.zeros(0)} | self.constants
        nodes = [node for node in self.before(name) if not self.data & set(node.output)]
        for read in {str(n) for node in nodes for n in node.input if n in self.data}:
            sizes = [size or 2 for size in self._sizes.get(read, [])]
            self._spend(prod(sizes))
            values[read] = np.zeros(sizes)
        found = self._run(nodes, name, values)
        return found is not None and not found.any()

    def before(self, end: str) -> list[Any]:
        """Return the nodes that the tensor `end` depends on, in order."""
        wanted, found = {end}, []
        for node in reversed(self.nodes):
            if wanted & set(node.output):
                found.append(node)
                wanted |= set(node.input)
        return found[::-1]

    def run(
        self, nodes: Sequence[Any], end: str, name: str, x: Floats, kinds: Mapping[str, Kind]
    ) -> Floats | None:
        """Return the tensor `end` for the input `name`, None where the graph cannot take it.

        All floating-point numbers are float64 on the way, whatever the graph casts them to, and the
        tensors of `kinds` are values of these activations.
        """
        values: dict[str, Array] = {name: x, "": np.zeros(0)}
        values |= {k: _wide(a) for k, a in self.constants.items()}
        return self._run(nodes, end, values, kinds)

    def _run(
        self,
        nodes: Sequence[Any],
        end: str,
        values: dict[str, Array],
        kinds: Mapping[str, Kind] | None = None,
    ) -> Floats | None:
        kinds = kinds or {}
        for node in nodes:
            kind = kinds.get(str(node.output[0]))
            if kind is not None and node.op_type in ACTIVATIONS:
                values[node.output[0]] = exact(kind, values[node.input[0]])
                continue
            if node.op_type == "Cast" and self._widens(node, values):
                values[node.output[0]] = values[node.input[0]]
                continue
            if node.op_type in RECURRENT and not self._whole(node, values):
                return None
            found = self.compute(node, values)
            if found is None:
                return None
            values |= {k: _wide(array) for k, array in found.items()}
            if kind is not None:
                values[node.output[0]] = exact(kind, values[node.output[0]])
        return _wide(values[end]) if end in values else None

    def _widens(self, node: Any, values: Mapping[str, Array]) -> bool:
        """Return whether `node` casts floating-point numbers to another such type."""
        to = self.attributes(node).get("to")
        kinds = self._onnx.TensorProto
        return to in (kinds.FLOAT, kinds.FLOAT16, kinds.BFLOAT16, kinds.DOUBLE) and (
            np.issubdtype(values[node.input[0]].dtype, np.floating)
        )

    def _whole(self, node: Any, values: Mapping[str, Array]) -> bool:
        """Return whether the lengths that a recurrent node reads, if any, are all of its steps."""
        name = node.input[4] if len(node.input) > 4 else ""
        axis = 1 if self.attributes(node).get("layout") else 0
        return not name or bool((values[name] == values[node.input[0]].shape[axis]).all())

    def settings(self, node: Any) -> Settings:
        """Return what a recurrent node is set to; raise `MubinnError` where ours cannot be."""
        return settings_of(node.op_type, named(node), self.attributes(node), self._options)

    def _recur(self, node: Any, values: Mapping[str, Array]) -> dict[str, Array]:
        """Return what a recurrent node makes that the evaluator does not know."""
        given = [_wide(values[name]) if name else None for name in node.input]
        made = run(node.op_type, self.settings(node), self.attributes(node), given)
        return {name: array for name, array in zip(node.output, made, strict=False) if name}

    def compute(self, node: Any, values: Mapping[str, Array]) -> dict[str, Array] | None:
        """Return the outputs of one node, None where it cannot be run."""
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        if not self._can(node):
            return None
        names = [str(name) for name in node.input]
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                self._spend(_size(node.op_type, [values[name] for name in names if name]))
                if node.op_type in RECURRENT and not self.settings(node).is_plain(node.op_type):
                    return self._recur(node, values)
                if node.op_type == "ConstantFill":
                    return {node.output[0]: self._filled(node, values[names[0]])}
                given = dict.fromkeys(name for name in names if name)
                graph = helper.make_graph(
                    [node],
                    "one",
                    [helper.make_value_info(name, self._onnx.TypeProto()) for name in given],
                    [
                        helper.make_value_info(name, self._onnx.TypeProto())
                        for name in node.output
                        if name
                    ],
                )
                opsets = self._opsets
                if node.op_type in RENEWED:
                    stated = (o.version for o in opsets if o.domain in STANDARD)
                    version = max(RENEWED[node.op_type], *stated)
                    opsets = [helper.make_opsetid("", version)]
                model = helper.make_model(graph, opset_imports=opsets)
                feeds = {name: values[name] for name in given}
                found: Any = ReferenceEvaluator(model).run(None, feeds)
        except MubinnError:
            raise
        except Exception:  # whatever NumPy raises, and types of the evaluator's own
            return None
        arrays = [_plain(np.asarray(array)) for array in found]
        self._spend(sum(array.size for array in arrays))
        return dict(zip((name for name in node.output if name), arrays, strict=True))

    def _filled(self, node: Any, shape: Array) -> Array:
        """Return what the node of opsets before 9 makes, which the evaluator does not know."""
        attributes = self.attributes(node)
        if not attributes.get("input_as_shape"):
            raise ValueError
        return np.full([int(n) for n in shape], attributes.get("value", 0.0), np.float32)

    def _spend(self, count: int) -> None:
        if count > self._left:
            raise MubinnError("its graph computes more numbers than any model: give another file.")
        self._left -= count


def named(node: Any) -> str:
    """Return the name of a node for messages."""
    return f"{node.op_type} {node.name or next(filter(None, node.output), '')}"


def _ordered(nodes: Sequence[Any]) -> list[Any]:
    """Return `nodes` so that each stands after those that it reads; converters do not sort them."""
    makers = {name: k for k, node in enumerate(nodes) for name in node.output if name}
    readers: dict[int, set[int]] = {k: set() for k in range(len(nodes))}
    waits = dict.fromkeys(readers, 0)
    for k, node in enumerate(nodes):
        for below in {makers[name] for name in _reads(node) if name in makers}:
            readers[below].add(k)
            waits[k] += 1
    ready, found = deque(k for k, count in waits.items() if not count), []
    while ready:
        found.append(ready.popleft())
        for k in sorted(readers[found[-1]]):
            waits[k] -= 1
            if not waits[k]:
                ready.append(k)
    if len(found) < len(nodes):
        raise MubinnError("its nodes read each other in a circle: export the model again.")
    return [nodes[k] for k in found]


def _graphs(node: Any) -> list[Any]:
    """Return the graphs that a node has of its own, such as the branches of If."""
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def _reads(node: Any) -> list[str]:
    """Return the names that a node reads, also those that its own graphs read around them."""
    found = [str(name) for name in node.input]
    for graph in _graphs(node):
        own = {str(tensor.name) for tensor in (*graph.initializer, *graph.input)}
        own |= {str(end) for part in graph.node for end in part.output}
        read = [name for part in graph.node for name in _reads(part)]
        found += [name for name in (*read, *(v.name for v in graph.output)) if name not in own]
    return found


def _with_all_inputs(node: Any) -> Any:
    """Return a node that names all that it reads as its inputs."""
    if not _graphs(node):
        return node
    whole = type(node)()
    whole.CopyFrom(node)
    whole.input.extend(name for name in dict.fromkeys(_reads(node)) if name not in node.input)
    return whole


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    """Return a node with other names of tensors, in its own graphs too."""
    changed = type(node)()
    changed.CopyFrom(node)
    changed.input[:] = [names.get(name, name) for name in node.input]
    changed.output[:] = [names.get(name, name) for name in node.output]
    for graph in _graphs(changed):
        for k, part in enumerate(graph.node):
            graph.node[k].CopyFrom(_renamed(part, names))
        for value in graph.output:
            value.name = names.get(value.name, value.name)
    return changed


def _plain(array: Array) -> Array:
    """Return `array` with a type of NumPy's own: bfloat16 becomes float32."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if np.issubdtype(array.dtype, np.floating) else array


def _size(kind: str, given: Sequence[Array]) -> int:
    """Return how many numbers a node makes that can make more than it reads, 0 for others."""
    if kind in BROADCAST:
        return prod(np.broadcast_shapes(*(array.shape for array in given)))
    if kind in ("ConstantFill", "ConstantOfShape"):
        return prod(int(n) for n in given[0])
    if kind == "Expand":
        return prod(np.broadcast_shapes(given[0].shape, tuple(int(n) for n in given[1])))
    if kind == "Tile":
        return int(given[0].size) * prod(int(n) for n in given[1])
    if kind == "Gather":
        return given[0].size // max(1, min(given[0].shape, default=1)) * given[1].size
    if kind == "Pad" and len(given) > 1:
        before, after = np.split(given[1].ravel(), 2)
        return prod(int(n) for n in given[0].shape + before + after)
    if kind == "Range":
        start, limit, delta = (float(array) for array in given)
        return max(0, int((limit - start) / delta) + 1)
    return 0
