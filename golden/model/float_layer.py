"""One trained recurrent layer of any cell, in float."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from mubinn.golden.cells.constants import RESETS, Reset
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.graph import Cell
from mubinn.golden.cells.library import gru, gru_before, lstm
from mubinn.golden.cells.place import Place
from mubinn.golden.cells.sizes import Sizes
from mubinn.golden.cells.sweep import Reads, check_cell
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, frozen

STEPS = Frames()
"""Step after step."""


def check_array(name: str, array: Floats, shape: tuple[int, ...]) -> None:
    """Raise `MubinnError` where `array` has another shape than `shape`, or a NaN or infinity."""
    if array.shape != shape:
        raise MubinnError(
            f"{name} has shape {array.shape}, expected {shape}: check the model file."
        )
    if not np.isfinite(array).all():
        raise MubinnError(f"{name} holds NaN or infinite values: train or export the model again.")


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """Weights and biases of the rows of a cell, H rows each, in the order of `Cell.rows`.

    Of a projection there are P rows; then h has P numbers.

    Attributes
    ----------
    cell : Cell
    wx : float64 [R H, I]
        Zeros where a row does not read x.
    wh : float64 [R H, H]
        Zeros where a row reads no state, and beyond column P where it reads an h of P numbers. It
        has no columns, [R H, 0], where all rows read x alone, and [R H, taps H] of a sweep.
    b : float64 [R H]
        One bias; frameworks that keep two give their sum.
    clips : mapping of str to float
        What the encoders of these names read is clipped hard to so much on both sides; c of an LSTM
        is not clipped in the paper's literal form.
    stored : mapping of str to float64 [H]
        Numbers of each cell, by name in the cell: the weights of peepholes.
    frames : Frames or Sweep
        What it reads of its input; then I is `Frames.taps` times the inputs of a step.
    place : Place
        Whose outputs it reads, and in which order.
    """

    cell: Cell
    wx: Floats
    wh: Floats
    b: Floats
    clips: Mapping[str, float] = field(default_factory=dict)
    stored: Mapping[str, Floats] = field(default_factory=dict)
    frames: Reads = field(default_factory=Frames)
    place: Place = field(default_factory=Place)

    def __post_init__(self) -> None:
        """Validate shapes and values; raise `MubinnError`."""
        check_cell(self.frames, self.cell)
        for name in ("wx", "wh", "b"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.float64))
        rows, own = len(self.wx), len(self.cell.rows)
        if self.wx.ndim != 2 or not self.wx.size or (not self.cell.projects and rows % own):
            raise MubinnError(
                f"wx has shape {self.wx.shape}, expected ({own}H, I): check the model file."
            )
        _ = self.inputs  # checks the columns
        check_array("wx", self.wx, (rows, self.features))
        if self.wh.ndim != 2 or not self.cell.projects:
            columns = rows // own * self.frames.around if self.cell.reading("wh") else 0
            check_array("wh", self.wh, (rows, columns))
        check_array("wh", self.wh, (self.sizes.rows, self.sizes.columns))
        check_array("b", self.b, (rows,))
        if self.wh[self.sizes.unused()].any():
            raise MubinnError(
                f"wh has weights beyond the {self.outputs} numbers of h that rows read: check the "
                "model file."
            )
        wanted = {node.name for node in self.cell.stored}
        if set(self.stored) != wanted:
            raise MubinnError(
                f"cell {self.cell.name} has the numbers {', '.join(sorted(wanted)) or 'none'} of "
                f"each cell, given are {', '.join(sorted(self.stored)) or 'none'}."
            )
        numbers = {name: frozen(array, np.float64) for name, array in self.stored.items()}
        object.__setattr__(self, "stored", numbers)
        for name, array in numbers.items():
            check_array(name, array, (self.hidden,))
        encoders = [node.name for node in self.cell.encoders]
        for name, clip in self.clips.items():
            if name not in encoders:
                raise MubinnError(
                    f"cell {self.cell.name} has no encoder {name[:40]!r} to clip: give one of "
                    f"{', '.join(encoders)}."
                )
            if not clip > 0:
                raise MubinnError(f"{name}_clip is {clip}, expected a positive number or none.")

    @property
    def features(self) -> int:
        """Columns I of W_x, the inputs of one time step where a frame is a step."""
        return int(self.wx.shape[1])

    @property
    def inputs(self) -> int:
        """Inputs of one time step."""
        return self.frames.inputs(self.features)

    @cached_property
    def sizes(self) -> Sizes:
        """How many there are of each."""
        return Sizes.of(self.cell, len(self.wx), self.wh.shape[1], self.frames.around)

    @property
    def hidden(self) -> int:
        """Cells H."""
        return self.sizes.hidden

    @property
    def outputs(self) -> int:
        """Numbers of h."""
        return self.sizes.outputs

    def clip(self, name: str) -> float:
        """Return where the value that the encoder `name` reads is clipped, infinity for nowhere."""
        return self.clips.get(name, np.inf)

    def row_slice(self, place: int) -> slice:
        """Return the rows that are number `place` of their cell."""
        return self.sizes.row_slice(place)


def lstm_layer(
    wx: Floats, wh: Floats, b: Floats, c_clip: float | None = None, frames: Reads = STEPS
) -> FloatLayer:
    """Return an LSTM layer, Eq. (1)-(6), of rows f, i, g, o; of a sweep wh has [4H, taps H]."""
    return FloatLayer(lstm, wx, wh, b, {} if c_clip is None else {"c": c_clip}, frames=frames)


def gru_layer(
    wx: Floats,
    wh: Floats,
    b: Floats,
    bn: Floats,
    reset: Reset = "after",
    frames: Reads = STEPS,
) -> FloatLayer:
    """Return a GRU layer (effective-quantization, Eq. 10-13) of gates z, r, n.

    ``z = sigmoid(W_z x + U_z h + b_z)``, ``r = sigmoid(W_r x + U_r h + b_r)``,
    ``h' = (1 - z) h + z n`` with, where r resets

    - after the product, ``n = tanh(W_n x + b_n + r (U_n h + bn))``: the form of cuDNN, PyTorch, of
      Keras by default, and of ONNX with ``linear_before_reset``;
    - before the product, ``n = tanh(W_n x + b_n + U_n (r h) + bn)``: Eq. 12, Cho's form.

    Frameworks have z weigh the old state and 1 - z the candidate; their z is 1 - z here, which
    importers get by negating its weights.

    Parameters
    ----------
    wx : float64 [3H, I]
    wh : float64 [3H, H]
    b : float64 [3H]
    bn : float64 [H]
        Bias of the candidate's recurrent sum.
    reset : "after" or "before"
    frames : Frames or Sweep
        Of a sweep wh has [3H, taps H].
    """
    wx, wh, b, bn = (np.asarray(array, np.float64) for array in (wx, wh, b, bn))
    if wx.ndim != 2 or len(wx) % 3 or not wx.size:
        raise MubinnError(f"wx has shape {wx.shape}, expected (3H, I): check the model file.")
    rows, features = wx.shape
    hidden = rows // 3
    check_array("wx", wx, (rows, features))
    columns = hidden * frames.around
    check_array("wh", wh, (rows, columns))
    check_array("b", b, (rows,))
    check_array("bn", bn, (hidden,))
    if reset not in RESETS:
        raise MubinnError(f"unknown reset {reset!r}: give after or before.")
    gates = 2 * hidden
    if reset == "before":
        b = np.concatenate([b[:gates], b[gates:] + bn])
        return FloatLayer(gru_before, wx, wh, b, frames=frames)
    return FloatLayer(
        gru,
        np.concatenate([wx[:gates], np.zeros((hidden, features)), wx[gates:]]),
        np.concatenate([wh, np.zeros((hidden, columns))]),
        np.concatenate([b[:gates], bn, b[gates:]]),
        frames=frames,
    )


class GruParts(NamedTuple):
    """A GRU layer by its gates z, r, n, as `gru_layer` takes it and files have it."""

    wx: Floats
    wh: Floats
    b: Floats
    bn: Floats


def gru_parts(layer: FloatLayer) -> GruParts:
    """Return a GRU layer by gates.

    Where r resets before the product, n has one bias: b is its float32 value, bn the rest.
    """
    gates, most = 2 * layer.hidden, 3 * layer.hidden
    if layer.cell is gru_before:
        b = layer.b.copy()
        with np.errstate(over="ignore"):
            b[gates:] = b[gates:].astype(np.float32)
        return GruParts(layer.wx, layer.wh, b, layer.b[gates:] - b[gates:])
    own = np.concatenate([np.arange(gates), np.arange(most, most + layer.hidden)])
    return GruParts(layer.wx[own], layer.wh[:most], layer.b[own], layer.b[gates:most])
