"""A chain of layers as a file has it: what is linear waits for the activation that follows it."""

from dataclasses import dataclass, field, replace

import numpy as np

from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import dense
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.units.shapes import Kind


@dataclass(eq=False)
class Linear:
    """A dense layer or a convolution, without its activation.

    Attributes
    ----------
    name : str
        For messages.
    w : float64 [H, taps I]
    b : float64 [H]
    frames : Frames
    """

    name: str
    w: Floats
    b: Floats
    frames: Frames = field(default_factory=Frames)


class Chain:
    """Layers from the bottom up; normalisation is folded into its neighbours.

    ``s x + t`` of a layer's inputs, one each, becomes a part of the weights that read them.
    """

    def __init__(self) -> None:
        self.layers: list[FloatLayer] = []
        self._affine: tuple[str, Floats, Floats] | None = None

    def recurrent(self, layer: FloatLayer) -> None:
        """Add a layer with a state."""
        wx, b = self._folded(layer.wx, layer.b, layer.frames)
        self.layers.append(replace(layer, wx=wx, b=b))

    def dense(self, linear: Linear, kind: Kind) -> None:
        """Add a layer without state, of an activation."""
        w, b = self._folded(linear.w, linear.b, linear.frames)
        wh = np.zeros((len(w), len(w)))
        layer = FloatLayer(dense, w, wh, b, frames=linear.frames)
        self.layers.append(parts.shaped(layer, {"h": kind}))

    def head(self, linear: Linear) -> tuple[Floats, Floats]:
        """Return the classifier's weights and biases."""
        return parts.classifier(linear.name, *self._folded(linear.w, linear.b, linear.frames))

    def normalise(self, name: str, scale: Floats, offset: Floats) -> None:
        """Have the next layer read ``scale x + offset`` [I] of what stands below it."""
        if self._affine is not None:
            _, before, shift = self._affine
            _fitting(name, before, scale)
            scale, offset = before * scale, shift * scale + offset
        self._affine = name, scale, offset

    def _folded(self, w: Floats, b: Floats, frames: Frames) -> tuple[Floats, Floats]:
        """Return weights and biases that read what stands below without the normalisation."""
        if self._affine is None:
            return w, b
        (name, scale, offset), self._affine = self._affine, None
        _fitting(name, w[0, :: frames.taps], scale)
        if frames.before and offset.any():
            raise MubinnError(
                f"its layer {name} shifts what a convolution reads, which puts zeros before the "
                "window: normalise after the convolution, or pad nothing (valid)."
            )
        return w * np.tile(scale, frames.taps), b + w @ np.tile(offset, frames.taps)


def _fitting(name: str, read: Floats, scale: Floats) -> None:
    if read.shape != scale.shape:
        raise MubinnError(
            f"its layer {name} normalises {len(scale)} numbers where there are {len(read)}: save "
            "the model again."
        )


def normalised(linear: Linear, name: str, scale: Floats, offset: Floats) -> Linear:
    """Return a layer whose sums are ``scale x + offset`` [H] of what they were."""
    _fitting(name, linear.b, scale)
    return replace(linear, w=linear.w * scale[:, None], b=linear.b * scale + offset)
