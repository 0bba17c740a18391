"""Models with layers that take a window backward, or stand beside each other."""

import numpy as np
from own_cells import read_weights, sizes_of

from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import dense, gru, gru_before, lstm, lstm_projected, rnn
from mubinn.golden.cells.place import Place, stages, width
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel

ONWARD, BACKWARD = Place(), Place(backward=True)
BESIDE, OTHER_WAY = Place(beside=True), Place(backward=True, beside=True)

DIRECTIONS = {
    "two directions": [(lstm, 3, ONWARD), (lstm, 3, OTHER_WAY)],
    "backward alone": [(gru, 2, BACKWARD)],
    "two directions below": [(gru, 2, ONWARD), (gru, 2, OTHER_WAY), (lstm, 3, ONWARD)],
    "two directions twice": [
        (gru_before, 2, ONWARD),
        (gru_before, 2, OTHER_WAY),
        (rnn, 3, ONWARD),
        (rnn, 3, OTHER_WAY),
    ],
    "three beside each other": [
        (lstm, 2, BACKWARD),
        (rnn, 1, BESIDE),
        (gru, 3, OTHER_WAY),
        (dense, 2, ONWARD),
    ],
    "onward above backward": [(lstm, 2, BACKWARD), (lstm, 2, ONWARD)],
    "two projections below": [
        (lstm_projected, 3, ONWARD),
        (lstm_projected, 3, OTHER_WAY),
        (lstm_projected, 4, ONWARD),
    ],
}
"""Cell, cells and place of each layer."""


def directed(kinds, features, readout="mean", **about):
    random, layers, size = np.random.default_rng(6), [], features
    for cell, hidden, place in kinds:
        if layers and not place.beside:
            size = width(stages(layers)[-1])
        sizes = sizes_of(cell, hidden)
        drawn = (random.normal(0, 0.7, (sizes.rows, n)) for n in (size, sizes.columns))
        wx, wh = read_weights(sizes, *drawn)
        b = random.normal(0, 0.7, sizes.rows)
        layers.append(FloatLayer(cell, wx, wh, b, {}, {}, Frames(), place))
    wd = random.normal(0, 1, (3, width(stages(layers)[-1])))
    return FloatModel(tuple(layers), wd, np.zeros(3), readout, **about)
