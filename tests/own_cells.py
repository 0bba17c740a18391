"""Cells that MuBiNN does not have, each as its equations: nothing else is written for them."""

import numpy as np

from mubinn.golden.cells.graph import (
    cell,
    encode,
    hard_sigmoid,
    hard_tanh,
    identity,
    relu,
    row,
    sigmoid,
    tanh,
)
from mubinn.golden.cells.library import LAYERS, gru, gru_before, lstm
from mubinn.golden.cells.sizes import Sizes
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel


@cell
def hard_lstm(x, h, c):
    """An LSTM of straight lines."""
    f = encode("f", hard_sigmoid(row("f", x, h)))
    i = encode("i", hard_sigmoid(row("i", x, h)))
    g = encode("g", hard_tanh(row("g", x, h)))
    o = encode("o", hard_sigmoid(row("o", x, h)))
    c = encode("c", f * c + i * g)
    return encode("h", o * hard_tanh(c)), c


@cell
def open_gate(x, h):
    """A gate whose sum is read beside its code, and a state that the last equation reads."""
    z = row("z", x, h)
    f = encode("f", sigmoid(z))
    n = encode("n", tanh(row("n", x, h)))
    return encode("h", tanh(f * z + n * h))


@cell
def ceilings(x, h):
    """Activations that go beyond 1, one beside another that does not."""
    f = encode("f", sigmoid(row("f", x, h)))
    u = encode("u", relu(row("u", x, h), 4))
    n = encode("n", identity(row("n", x, h), 3))
    return encode("h", f * u + (1 - f) * n)


OWN = (hard_lstm, open_gate, ceilings)

MORE = (*(made for made in LAYERS.values() if made not in (lstm, gru, gru_before)), *OWN)
"""And the cells of the library that have no tests of their own."""

FEATURES, HIDDEN, STEPS = 5, 4, 6


def sizes_of(cell, hidden=HIDDEN, outputs=None):
    """Sizes of a layer; a cell that projects has `outputs`, or one less than cells."""
    return Sizes(cell, hidden, (outputs or max(1, hidden - 1)) if cell.projects else hidden)


def read_weights(sizes, wx, wh):
    """Weights of which those are 0 that rows do not read."""
    places, counts = range(len(sizes.cell.rows)), sizes.row_counts
    reads = (np.repeat([k in sizes.cell.reading(w) for k in places], counts) for w in ("wx", "wh"))
    x, h = (own[:, None] for own in reads)
    return wx * x, wh * (h & ~sizes.unused())


def float_model(cell, depth=1, seed=3, outputs=None):
    random, sizes = np.random.default_rng(seed), sizes_of(cell, HIDDEN, outputs)

    def normal(*shape):
        return random.normal(0, 0.5, shape)

    layers = [
        FloatLayer(
            cell,
            *read_weights(
                sizes,
                normal(sizes.rows, FEATURES if k == 0 else sizes.outputs),
                normal(sizes.rows, sizes.columns),
            ),
            normal(sizes.rows),
            stored={node.name: normal(HIDDEN) for node in cell.stored},
        )
        for k in range(depth)
    ]
    return FloatModel(tuple(layers), normal(3, sizes.outputs), normal(3))


def windows(count=12):
    return np.random.default_rng(1).normal(0, 1, (count, STEPS, FEATURES))
