"""PyTorch state dictionaries whose layers a description names."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.place import stages, width
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.chain import Activation, Chain, Linear
from mubinn.golden.importers.description import ACTIVATIONS, Described, read_description
from mubinn.golden.importers.torch_state import Tensors
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.head import HEADS, HeadKind
from mubinn.golden.units.shapes import Kind

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
"""Count of gates of each kind of layer with a state."""


def of_described(tensors: Tensors, options: parts.ImportOptions) -> FloatModel:
    """Return the model of a state dictionary and the description that `options` name.

    Raises
    ------
    MubinnError
        As `read_description` does; where a tensor is missing, has another shape than its layer,
        or belongs to none; for layers that do not follow each other so.
    """
    assert options.describe is not None
    options.demand_absent(
        "a description", "recurrent", "head", "first", "last", "nonlinearity", "outputs"
    )
    description = read_description(options.describe)
    stack = Stack(tensors, options)
    for layer in description.layers:
        stack.take(layer)
    tensors.demand_used(description.unused)
    return stack.model()


class Stack:
    """The layers of a description as they come, from the bottom up.

    Attributes
    ----------
    chain : Chain
    head : str or None
        What the numbers of the layer on top are, once it has come.
    """

    def __init__(self, tensors: Tensors, options: parts.ImportOptions) -> None:
        self.chain = Chain()
        self.head: HeadKind | None = None
        self._tensors = tensors
        self._options = options
        # How many numbers stand on top; None as long as they are the input.
        self._width: int | None = None

    def take(self, layer: Described) -> None:
        """Add a layer."""
        if self.head is not None and layer.kind != "batchnorm1d":
            raise MubinnError(
                f"its layer {layer.name} follows the one with the head: leave the head to the one "
                "on top."
            )
        STEPS[layer.kind](self, layer)

    def model(self) -> FloatModel:
        """Return the model; raise `MubinnError` where it is not whole."""
        top, chain = self.chain.top(), self.chain
        if top is None or self.head is None:
            raise MubinnError(
                "the last layer of its description has no head: end it with a linear layer that "
                f"says head = {parts.in_words(HEADS)}."
            )
        if not chain.layers:
            raise MubinnError("its description has one layer alone: give those below it too.")
        options = replace(self._options, outputs=self.head)
        source = "a PyTorch state dictionary with a description of its layers"
        return parts.assemble(chain.layers, replace(top, end=None), chain.readout, options, source)

    def recurrent(self, layer: Described) -> None:
        """Add the layers of a module with a state."""
        if self.chain.readout is not None:
            raise _late(layer)
        options = replace(self._options, nonlinearity=layer.settings.get("nonlinearity"))
        made = self._tensors.recurrent(layer.prefix, options, GATES[layer.kind])
        if not made:
            self._tensors.take(f"{layer.prefix}weight_ih_l0", f"its layer {layer.name}")
        for stage in stages(made):
            self._reads(layer, stage[0].inputs, width(stage))
            self.chain.recurrent(layer.name, *stage)

    def convolution(self, layer: Described) -> None:
        """Have a convolution over time wait, each filter a row: taps from the oldest step on."""
        if self.chain.readout is not None:
            raise _late(layer)
        weight, b = self._weights(layer, 3)
        taps = weight.shape[2]
        before = taps - 1 if layer.settings["padding"] == "causal" else 0
        self._reads(layer, weight.shape[1], len(weight))
        rows = weight.transpose(0, 2, 1).reshape(len(weight), -1)
        frames = Frames(taps, layer.settings["stride"], before)
        self.chain.linear(Linear(layer.name, rows, b, frames), self._activation(layer))

    def linear(self, layer: Described) -> None:
        """Have a dense layer wait, which may be the one on top."""
        weight, b = self._weights(layer, 2)
        self._reads(layer, weight.shape[1], len(weight))
        if "readout" in layer.settings:
            if self.chain.readout is not None:
                raise MubinnError(f"its layer {layer.name} says a second readout: leave one out.")
            self.chain.read(layer.name, layer.settings["readout"])
        self.head = layer.settings.get("head")
        self.chain.linear(Linear(layer.name, weight, b), self._activation(layer))

    def normalisation(self, layer: Described) -> None:
        """Scale and shift by the running statistics."""
        mean, variance = (
            self._tensors.take(layer.prefix + name, f"its layer {layer.name}")
            for name in ("running_mean", "running_var")
        )
        own = [self._tensors.find(layer.prefix + name) for name in ("weight", "bias")]
        given = [mean, variance, *(array for array in own if array is not None)]
        if mean.ndim != 1 or len({array.shape for array in given}) != 1 or (variance < 0).any():
            shapes = ", ".join(str(array.shape) for array in given)
            raise MubinnError(
                f"its layer {layer.name} has tensors of shapes {shapes}, or variances below 0, "
                "which are no batch normalisation: check its prefix."
            )
        self._reads(layer, len(mean), len(mean))
        scale = 1 / np.sqrt(variance + layer.settings["eps"])
        scale = scale if own[0] is None else scale * own[0]
        offset = -scale * mean if own[1] is None else own[1] - scale * mean
        self.chain.normalise(layer.name, scale, offset)
        if layer.settings["activation"] == "none":
            return
        if self.head is not None or not self.chain.is_open:
            raise MubinnError(
                f"its layer {layer.name} has an activation, and follows no linear or conv1d layer "
                'below the top, whose own it could be: give activation = "none".'
            )
        self.chain.activate(self._activation(layer))

    def _weights(self, layer: Described, axes: int) -> tuple[Floats, Floats]:
        """Return weights of so many axes, and biases, 0 where there are none."""
        weight = self._tensors.take(f"{layer.prefix}weight", f"its layer {layer.name}")
        bias = self._tensors.find(f"{layer.prefix}bias")
        b = np.zeros(len(weight)) if bias is None else bias
        if weight.ndim != axes or not weight.size or b.shape != weight.shape[:1]:
            raise MubinnError(
                f"its layer {layer.name} has weights of shape {weight.shape} and biases of shape "
                f"{b.shape}, expected {axes} axes of weights and a bias a row: check its kind and "
                "its prefix."
            )
        return weight, b

    def _reads(self, layer: Described, inputs: int, outputs: int) -> None:
        """Raise `MubinnError` unless a layer reads as many numbers as stand below it."""
        if self._width not in (None, inputs):
            raise MubinnError(
                f"its layer {layer.name} reads {inputs} numbers, and what stands below it gives "
                f"{self._width}: give the layers from the bottom up."
            )
        self._width = outputs

    def _activation(self, layer: Described) -> Activation:
        word = layer.settings.get("activation", "none")
        word = "linear" if word == "none" else word
        return Activation(word, partial(self._kind, f"its layer {layer.name}", word))

    def _kind(self, name: str, word: str) -> Kind:
        kind = ACTIVATIONS.get(word)
        return parts.unlimited(word, name, self._options) if kind is None else kind


STEPS: Mapping[str, Callable[[Stack, Described], None]] = {
    **dict.fromkeys(GATES, Stack.recurrent),
    "conv1d": Stack.convolution,
    "linear": Stack.linear,
    "batchnorm1d": Stack.normalisation,
}
"""What a layer of a kind does."""


def _late(layer: Described) -> MubinnError:
    return MubinnError(
        f"its layer {layer.name} stands above the readout, where one step is left: give the "
        "readout of a linear layer above it."
    )
