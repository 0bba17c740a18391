"""Models whose layers differ, and read several steps at once."""

import numpy as np

from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import dense, gru_before, lstm
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel

STACKS = {
    "convolution": [(dense, 3, Frames(3)), (lstm, 2, Frames())],
    "strides": [(dense, 2, Frames(3, 2, 1)), (dense, 3, Frames(2, 1, 1)), (lstm, 2, Frames())],
    "dense on top": [(gru_before, 2, Frames()), (dense, 3, Frames())],
    "frames of an LSTM": [(lstm, 2, Frames(3, 3)), (gru_before, 2, Frames(2, 2))],
}
"""Cell, cells and frames of each layer."""


def stacked(kinds, features, readout="mean"):
    random, layers, size = np.random.default_rng(5), [], features
    for cell, hidden, frames in kinds:
        rows = hidden * len(cell.rows)
        shapes = (rows, size * frames.taps), (rows, hidden), (rows,)
        wx, wh, b = (random.normal(0, 0.7, shape) for shape in shapes)
        wh = wh[:, :0] if cell is dense else wh
        layers.append(FloatLayer(cell, wx, wh, b, frames=frames))
        size = hidden
    return FloatModel(tuple(layers), random.normal(0, 1, (3, size)), np.zeros(3), readout)
