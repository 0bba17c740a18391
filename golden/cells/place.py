"""Where a layer stands in its network: above the one before it, or beside it, and which way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.sweep import Reads
from mubinn.golden.ground.errors import MubinnError


@dataclass(frozen=True)
class Place:
    """Whose outputs a layer reads, and in which order.

    Two directions are two layers, the second one backward and beside the first: both read the same
    windows, and what is above reads the outputs of both side by side, as frameworks do.

    Attributes
    ----------
    backward : bool
        A window's last step is taken first. The outputs are put back in order for what reads them.
    beside : bool
        The layer reads what the layer before it in the list reads, in place of its outputs.

    Examples
    --------
    >>> Place(backward=True).ordered(np.arange(3)[:, None]).tolist()
    [[2], [1], [0]]
    """

    backward: bool = False
    beside: bool = False

    @property
    def plain(self) -> bool:
        """Whether the layer reads the outputs of the one before it, first step first."""
        return self == Place()

    @property
    def words(self) -> str:
        """How pages say it, empty where it is plain."""
        texts = {"backward": self.backward, "beside the layer before it": self.beside}
        return ", ".join(text for text, own in texts.items() if own)

    def ordered(self, steps: npt.NDArray[Any], axis: int = -2) -> npt.NDArray[Any]:
        """Return steps along `axis` in the layer's order, or those of the layer as time has them.

        Both are the same: all of them backward, or as they are.
        """
        return np.flip(steps, axis) if self.backward else steps


class Placed(Protocol):
    """What a network's layers have in common."""

    @property
    def place(self) -> Place:
        """Where it stands."""

    @property
    def frames(self) -> Reads:
        """What it reads at once."""

    @property
    def inputs(self) -> int:
        """Inputs of a step."""

    @property
    def outputs(self) -> int:
        """Numbers of h."""


PlacedT = TypeVar("PlacedT", bound=Placed)


def stages(layers: Iterable[PlacedT]) -> list[tuple[PlacedT, ...]]:
    """Return the layers in groups of those that are beside each other, in order."""
    found: list[tuple[PlacedT, ...]] = []
    for layer in layers:
        if layer.place.beside and found:
            found[-1] = (*found[-1], layer)
        else:
            found.append((layer,))
    return found


def width(stage: Sequence[Placed]) -> int:
    """Return the outputs of a stage: those of its layers, side by side."""
    return sum(layer.outputs for layer in stage)


def side_by_side(
    stage: Sequence[Placed], outputs: Iterable[npt.NDArray[Any]], axis: int = -2
) -> npt.NDArray[Any]:
    """Return what the layer above reads: outputs [..., T, n], each in its layer's own order.

    Steps stand along `axis`, outputs along the one that follows it.
    """
    own = [layer.place.ordered(h, axis) for layer, h in zip(stage, outputs, strict=True)]
    return own[0] if len(own) == 1 else np.concatenate(own, axis + 1)


def check_places(layers: Sequence[Placed]) -> None:
    """Raise `MubinnError` where layers do not fit the places that they have."""
    if not layers:
        raise MubinnError("the model has no recurrent layer: give at least one.")
    if layers[0].place.beside:
        raise MubinnError("the first layer is beside a layer, but none is before it.")
    found = stages(layers)
    for stage in found:
        if len(stage) > 1 or stage[0].place.backward:
            if not all(layer.frames.plain for layer in stage):
                raise MubinnError(
                    "a layer that is backward or beside another one reads several steps at once: "
                    "put the layer that does below both."
                )
            if len({layer.inputs for layer in stage}) > 1:
                raise MubinnError("layers beside each other differ in their inputs.")
    for below, above in pairwise(found):
        if above[0].inputs != width(below):
            raise MubinnError(
                f"a layer expects {above[0].inputs} inputs, the one below has {width(below)} "
                "outputs: check the order of the layers."
            )
