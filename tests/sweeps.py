"""Models whose layers sweep the pixels of frames."""

import numpy as np

from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import dense, gru, lstm, peephole, rnn
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel

SWEEPS = {
    "ConvLSTM": [(peephole, 2, Sweep(3, 4))],
    "stack": [(lstm, 2, Sweep(2, 3, 1, 3)), (dense, 2, Sweep(2, 3)), (dense, 2, Frames())],
    "one pixel": [(gru, 3, Sweep(1, 1)), (rnn, 1, Sweep(1, 1, 1, 1))],
    "tall": [(gru, 2, Sweep(4, 1, 5, 3))],
}
"""Cell, cells and sweep of each layer."""


def swept(kinds, features=2, readout="every", outputs=1, head="sigmoid"):
    random, layers, size = np.random.default_rng(5), [], features
    for cell, hidden, frames in kinds:
        rows = hidden * len(cell.rows)
        columns = hidden * frames.around if cell.reading("wh") else 0
        shapes = (rows, size * frames.taps), (rows, columns), (rows,)
        wx, wh, b = (random.normal(0, 0.6, shape) for shape in shapes)
        if cell is gru:
            wx[hidden * 2 : hidden * 3] = 0
            wh[hidden * 3 :] = 0
        stored = {node.name: random.normal(0, 0.7, hidden) for node in cell.stored}
        layers.append(FloatLayer(cell, wx, wh, b, stored=stored, frames=frames))
        size = hidden
    wd = random.normal(0, 1, (outputs, size))
    return FloatModel(tuple(layers), wd, np.zeros(outputs), readout, head=head)


def movies(kinds, features=2, windows=6, frames=3):
    steps = kinds[0][2].pixels * frames
    return np.random.default_rng(2).normal(0, 1, (windows, steps, features))
