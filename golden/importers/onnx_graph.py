"""An ONNX graph as its importer sees it: nodes in order, constants, and a way to run it."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers.parts import checked


class Graph:
    """A parsed graph.

    Attributes
    ----------
    nodes : list of NodeProto
        In the order of computation.
    constants : dict of str to TensorProto
    """

    def __init__(self, data: bytes) -> None:
        try:
            import onnx
        except ImportError:
            raise MubinnError(
                "it is no model of this program, PyTorch or Keras, and reading ONNX models needs "
                "onnx: pip install 'mubinn[onnx]'."
            ) from None
        self._onnx: Any = onnx
        try:
            self.model: Any = onnx.load_model_from_string(data)
        except Exception:  # protobuf's own types, which differ between its versions
            raise MubinnError(
                "it is neither a model file of this program, nor of PyTorch, Keras or ONNX, or it "
                "is damaged: give another file"
            ) from None
        self.nodes: list[Any] = list(self.model.graph.node)
        self.constants: dict[str, Any] = {t.name: t for t in self.model.graph.initializer}
        for node in self.nodes:
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.name == "value":
                    self.constants[node.output[0]] = attribute.t
        for tensor in self.constants.values():
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                raise MubinnError(
                    f"its tensor {tensor.name} lies in another file: export the model as one file, "
                    "from PyTorch with external_data=False."
                )

    def constant(self, name: str) -> npt.NDArray[Any] | None:
        """Return a tensor that the file holds, None where it is computed."""
        if name not in self.constants:
            return None
        try:
            return np.asarray(self._onnx.numpy_helper.to_array(self.constants[name]))
        except (ValueError, TypeError, KeyError):
            raise MubinnError(f"its tensor {name} is damaged: export the model again.") from None

    def weights(self, node: Any, index: int, default: Floats | None = None) -> Floats:
        """Return input `index` of `node`, which the file must hold, without its direction axis."""
        name = str(node.input[index]) if len(node.input) > index else ""
        if not name and default is not None:
            return default
        array = self.constant(name)
        if array is None or array.ndim < 2 or len(array) != 1:
            raise MubinnError(
                f"input {index} of its node {named(node)} is no tensor of one direction in the "
                "file: export the model with its weights."
            )
        return np.asarray(checked(name, array)[0])

    def attributes(self, node: Any) -> dict[str, Any]:
        """Return the attributes of `node` by name, texts as str."""
        found: dict[str, Any] = {}
        for attribute in node.attribute:
            value: Any = self._onnx.helper.get_attribute_value(attribute)
            text = isinstance(value, bytes)
            found[attribute.name] = value.decode("utf-8", "replace") if text else value
        return found

    def run(self, output: str, name: str, x: npt.NDArray[np.float32]) -> Floats | None:
        """Return tensor `output` for the input `name`, None where the graph cannot take it."""
        from onnx.reference import ReferenceEvaluator

        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                values: Any = ReferenceEvaluator(self.model).run([output], {name: x})
            return np.asarray(values[0], np.float64)
        except Exception:  # whatever NumPy raises, and types of the evaluator's own
            return None


def named(node: Any) -> str:
    """Return the name of a node for messages."""
    return f"{node.op_type} {node.name or node.output[0]}"
