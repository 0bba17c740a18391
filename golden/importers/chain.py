"""A chain of layers as a file has it: what is linear waits for the activation that follows it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import dense
from mubinn.golden.cells.sweep import Reads, Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.head import Readout, reading_of
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
    frames : Frames or Sweep
    """

    name: str
    w: Floats
    b: Floats
    frames: Reads = field(default_factory=Frames)


@dataclass(frozen=True)
class Activation:
    """What follows a linear layer.

    Attributes
    ----------
    word : str
        ``"linear"`` for none; of what ends a model one of `parts.ENDS`.
    kind : callable
        Returns it as a layer between others has it; raises `MubinnError` where ours cannot be.
    """

    word: str
    kind: Callable[[], Kind]


class Chain:
    """Layers from the bottom up; normalisation is folded into its neighbours.

    ``s x + t`` of a layer's inputs, one each, becomes a part of the weights that read them.

    Attributes
    ----------
    layers : list of FloatLayer
        Those that are whole.
    readout : "last", "mean", "every", "running" or None
        None as long as every step goes on.
    """

    def __init__(self) -> None:
        self.layers: list[FloatLayer] = []
        self.readout: Readout | None = None
        self._affine: tuple[str, Floats, Floats] | None = None
        self._waiting: tuple[Linear, Activation] | None = None

    @property
    def is_open(self) -> bool:
        """Whether a linear layer without an activation stands on top."""
        return self._waiting is not None and self._waiting[1].word == "linear"

    def recurrent(self, name: str, *layers: FloatLayer) -> None:
        """Add a layer with a state, or two directions beside each other."""
        self._end(name)
        affine = self._affine
        for layer in layers:
            self._affine = affine
            wx, b = self._folded(layer.wx, layer.b, layer.frames)
            self.layers.append(replace(layer, wx=wx, b=b))

    def linear(self, linear: Linear, activation: Activation) -> None:
        """Have a dense layer or a convolution wait for what follows it."""
        self._end(linear.name)
        self._waiting = linear, activation

    def activate(self, activation: Activation) -> None:
        """Give the layer that waits, which `is_open`, its activation."""
        assert self._waiting is not None
        self._waiting = self._waiting[0], activation

    def normalise(self, name: str, scale: Floats, offset: Floats) -> None:
        """Make ``scale x + offset`` of what stands on top.

        Parameters
        ----------
        name : str
        scale, offset : float64 [] or [I]
        """
        if self._waiting is not None and self.is_open:
            linear, activation = self._waiting
            scale, offset = _fitting(name, linear.b, scale, offset)
            folded = replace(linear, w=linear.w * scale[:, None], b=linear.b * scale + offset)
            self._waiting = folded, activation
            return
        self._end(name)
        if self._affine is not None:
            _, before, shift = self._affine
            if before.ndim and scale.ndim:
                _fitting(name, before, scale, offset)
            scale, offset = before * scale, shift * scale + offset
        self._affine = name, scale, offset

    def read(self, name: str, readout: Readout) -> None:
        """Have what follows read the last step, the mean over the steps, or what else it is.

        The mean of a dense layer without an activation is what it makes of the mean.
        """
        dense = self._waiting is not None and self._waiting[0].frames.plain
        if not (readout == "mean" and dense and self.is_open):
            self._end(name)
        self.readout = readout

    def top(self) -> parts.Top | None:
        """Return the dense layer on top, None where there is none; nothing may follow."""
        if self._waiting is None:
            return None
        (linear, activation), self._waiting = self._waiting, None
        if activation.word not in parts.ENDS:
            raise MubinnError(
                f"its layer {linear.name} has the activation {activation.word!r}: the classifier "
                f"is to end in {parts.in_words(parts.ENDS)}."
            )
        if not linear.frames.plain:
            raise MubinnError(
                f"its layer {linear.name} is a convolution: end the model with a dense layer, or "
                "one that reads a step alone."
            )
        w, b = self._folded(linear.w, linear.b, linear.frames)
        return parts.classifier(linear.name, w, b, activation.word)

    def _end(self, following: str) -> None:
        """Add the layer that waits, as another one follows it."""
        if self._waiting is None:
            return
        (linear, activation), self._waiting = self._waiting, None
        if self.readout is not None and reading_of(self.readout).what != "last":
            raise MubinnError(
                f"its layer {following} follows {linear.name}, which reads the mean over the "
                "steps: give a model with one dense layer after the mean."
            )
        if self.readout == "last" and parts.ends_apart(self.layers):
            raise MubinnError(
                f"its layer {following} follows {linear.name}, which reads two directions where "
                "each ends: give a model with one dense layer there."
            )
        kind = activation.kind()
        w, b = self._folded(linear.w, linear.b, linear.frames)
        layer = FloatLayer(dense, w, np.zeros((len(w), 0)), b, frames=linear.frames)
        self.layers.append(parts.shaped(layer, {"h": kind}))

    def _folded(self, w: Floats, b: Floats, frames: Reads) -> tuple[Floats, Floats]:
        """Return weights and biases that read what stands below without the normalisation."""
        if self._affine is None:
            return w, b
        (name, scale, offset), self._affine = self._affine, None
        scale, offset = _fitting(name, w[0, :: frames.taps], scale, offset)
        if (isinstance(frames, Sweep) or frames.before) and offset.any():
            where = "around frames" if isinstance(frames, Sweep) else "before the window"
            raise MubinnError(
                f"its layer {name} shifts what a convolution reads, which puts zeros {where}: "
                "normalise after the convolution, or pad nothing (valid)."
            )
        return w * np.tile(scale, frames.taps), b + w @ np.tile(offset, frames.taps)


def _fitting(name: str, read: Floats, scale: Floats, offset: Floats) -> tuple[Floats, Floats]:
    """Return a scale and an offset for each of the numbers that are like `read` [I]."""
    for given in (scale, offset):
        if given.ndim and given.shape != read.shape:
            raise MubinnError(
                f"its layer {name} normalises {len(given)} numbers where there are {len(read)}: "
                "save the model again."
            )
    return np.broadcast_to(scale, read.shape), np.broadcast_to(offset, read.shape)
