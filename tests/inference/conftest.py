"""Random models of any cell of the library."""

import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.constants import DATAPATHS
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.library import CELLS
from mubinn.golden.model.float_model import READOUTS
from mubinn.golden.model.quantized_model import QuantizedDense, QuantizedModel

OWN = ("cifg", "mgu", "rnn", "rnn_relu", "peephole")


def layer_of(made, rng, levels, features, hidden, x, offsets):
    def quantizer(count, fraction, offset=0):
        return Quantizer(-np.sort(-rng.integers(1, 200, count)), fraction, offset if offsets else 0)

    def tensor(shape, groups, fraction, top):
        return LevelTensor(
            rng.integers(0, 2, shape), rng.integers(0, top, (groups, shape[0])), fraction
        )

    x = x or quantizer(levels.x, 6, rng.integers(-9, 9, features))
    own = {name: quantizer(levels.gate, 8, 3) for name in made.gate_names}
    # An activation reads the code of h, or makes it: its thresholds are those of every cell.
    each = made.states[0] not in made.kept and made.new[0].operands[0].operation != "activation"
    for name in made.state_names:
        count = levels.c if name == "c" else levels.h
        own[name] = quantizer(count, 7, rng.integers(-9, 9, hidden) if each and name == "h" else 5)
    rows = len(made.rows) * hidden
    return QuantizedLayer(
        made,
        x,
        own,
        tensor((levels.w, rows, features), len(made.rows), 9, 60),
        tensor((levels.w, rows, hidden), rows, 8, 60),
        tensor((levels.b, rows), 1, max(x.fraction + 9, 15), 1 << 13),
        stored={node.name: tensor((levels.w, hidden), 1, 8, 60) for node in made.stored},
    )


def model_of_cell(made, seed, levels, features=5, hidden=4, depth=1, offsets=True, readout="mean"):
    rng, layers = np.random.default_rng(seed), []
    for _ in range(depth):
        below = layers[-1] if layers else None
        size, x = (below.hidden, below.h) if below else (features, None)
        layers.append(layer_of(made, rng, levels, size, hidden, x, offsets))
    w = LevelTensor(rng.integers(0, 2, (1, 3, hidden)), rng.integers(1, 60, (1, 1)), 8)
    b = LevelTensor(
        rng.integers(0, 2, (1, 3)), rng.integers(1, 60, (1, 1)), layers[-1].h.fraction + 8
    )
    return QuantizedModel(tuple(layers), QuantizedDense(w, b), readout)


@pytest.fixture(scope="session")
def model_of(random_model, random_gru):
    """Return the factory of random models of a cell by its name."""

    def made(name, seed=0, levels=None, **how):
        if name in OWN:
            how.pop("per_row", None)
            return model_of_cell(CELLS[name], seed, levels, **how)
        if name == "lstm":
            return random_model(seed, levels, **how)
        return random_gru(seed, levels, reset="before" if name == "gru_before" else "after", **how)

    return made


@pytest.fixture(scope="session")
def random_build(model_of):
    """Return what makes of a seed a model of a random cell and shape, and windows for it."""

    def made(seed, most=6):
        rng = np.random.default_rng(seed)
        features, hidden = (int(n) for n in rng.integers(1, 40, 2))
        model = model_of(
            ("cifg", "mgu", "rnn", "lstm", "gru", "gru_before")[seed % 6],
            seed=seed,
            levels=Levels(*(int(n) for n in rng.integers(1, most + 1, 6))),
            features=features,
            hidden=hidden,
            depth=int(rng.integers(1, 3)),
            per_row=bool(rng.integers(2)),
            offsets=bool(rng.integers(2)),
            readout=READOUTS[rng.integers(4)],
        )
        model = model.with_datapath(DATAPATHS[seed // 6 % 2])
        x = rng.normal(0, 1.5, (int(rng.integers(1, 9)), int(rng.integers(1, 6)), features))
        return model, x.astype(np.float32)

    return made
