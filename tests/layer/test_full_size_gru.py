"""GRUs in simulation: whole windows at full size, and random configurations.

The windows are real EEG where the recordings are there, else synthetic; each test prints which.
Run by `make slow`.
"""

import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.quantize import quantize
from mubinn.sim.layer.layer_check import check_layer
from mubinn.train.data.windows import find_data, load_labelled, prepare, synthetic_eeg

pytestmark = pytest.mark.slow

SOURCE = find_data()
WINDOWS = 5


@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
@pytest.mark.parametrize("levels", [(1, 1), (3, 3)])
@pytest.mark.parametrize("reset", ["after", "before"])
def test_every_intermediate_of_whole_windows(random_float_gru, levels, datapath, reset):
    data = load_labelled(SOURCE) if SOURCE else synthetic_eeg(windows=100, seed=7)
    model = random_float_gru(0, 32, 100, classes=2, bias=0.1, reset=reset)
    made = quantize(model, Levels.of(*levels), prepare(data.x[:64]).astype(float))
    windows = prepare(data.x[64 : 64 + WINDOWS], decimate=1)
    assert windows.shape == (WINDOWS, 320, 32)
    codes = made.encode_input(windows)
    result = check_layer(made.with_datapath(datapath), codes, classify=True)
    print(
        f"\n{levels}, {datapath}, reset {reset}: {WINDOWS} windows of 320 steps of "
        f"{'real' if SOURCE else 'synthetic'} EEG, {result.cycles} cycles, "
        f"{result.cycles / result.seconds:.0f} cycles/s with every intermediate compared"
    )


@pytest.mark.parametrize("seed", range(16))
def test_random_configurations(random_gru, seed):
    rng = np.random.default_rng([seed, 71])
    counts = Levels(**{name: int(rng.integers(1, 6)) for name in ("x", "w", "h", "c", "gate", "b")})
    features, hidden = (int(n) for n in rng.integers(1, 14, 2))
    model = random_gru(
        seed,
        counts,
        features,
        hidden,
        per_row=bool(rng.integers(2)),
        offsets=bool(rng.integers(2)),
        readout=str(rng.choice(["last", "mean"])),
        reset=str(rng.choice(["after", "before"])),
    ).with_datapath(str(rng.choice(["figure3", "threshold"])))
    how = {
        "lanes": None if rng.integers(2) else int(rng.integers(1, features + hidden + 1)),
        "units": int(rng.integers(1, 30)),
        "folded_bias": bool(rng.integers(2)),
        "classify": bool(rng.integers(2)),
    }
    codes = rng.integers(0, 1 << model.layers[0].x.levels, (2, 3, features))
    form = f"{model.layers[0].phases} {model.datapath} {model.readout}"
    print(f"\n{counts} I={features} H={hidden} {form} {how}")
    assert check_layer(model, codes, pause=0.3, **how).tests == 2
