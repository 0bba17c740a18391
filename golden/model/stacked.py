"""What float and quantized models have in common: layers in a stack."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from mubinn.golden.cells import graph
from mubinn.golden.cells.library import family_of, lstm
from mubinn.golden.cells.place import Placed, stages
from mubinn.golden.ground.errors import MubinnError


class _Made(Protocol):
    @property
    def cell(self) -> "graph.Cell": ...


class _Layer(_Made, Placed, Protocol):
    pass


LayerT = TypeVar("LayerT", bound=_Layer)


def kinds_of(layers: Iterable[_Made]) -> str:
    """Return what layers consist of, each kind once: ``dense_lstm``."""
    return "_".join(dict.fromkeys(family_of(layer.cell) for layer in layers))


def least_steps(layers: Sequence[_Layer]) -> int:
    """Return the steps of the shortest window of which the last of `layers` has a step."""
    steps = 1
    for layer, *_ in reversed(stages(layers)):
        steps = layer.frames.least(steps)
    return steps


@dataclass(frozen=True, eq=False)
class Stacked(Generic[LayerT]):
    """Layers, each above the one before it or beside it.

    Attributes
    ----------
    layers : tuple of layers
    """

    layers: tuple[LayerT, ...]

    @property
    def cell(self) -> str:
        """What the layers consist of, `kinds_of`."""
        return kinds_of(self.layers)

    @property
    def lstm_layers(self) -> tuple[LayerT, ...]:
        """The layers, for what works on LSTMs alone.

        Raises
        ------
        MubinnError
            Unless all are LSTMs that read step after step.
        """
        plain = (layer.frames.plain and layer.place.plain for layer in self.layers)
        if all(plain) and all(layer.cell is lstm for layer in self.layers):
            return self.layers
        raise MubinnError(
            f"the model is a {self.cell.upper()} where an LSTM is needed: give an LSTM."
        )

    @property
    def top(self) -> tuple[LayerT, ...]:
        """The layers that the dense layer reads."""
        return stages(self.layers)[-1]

    @property
    def features(self) -> int:
        """Inputs I of a step of the first layer."""
        return self.layers[0].inputs

    @property
    def least_steps(self) -> int:
        """Steps of the shortest window."""
        return least_steps(self.layers)

    def steps(self, steps: int) -> int:
        """Return the steps of the last layer for a window of so many; raise where it is short."""
        for layer, *_ in stages(self.layers):
            steps = layer.frames.count(steps)
        return steps
