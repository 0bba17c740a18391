"""The accelerator at full size: real EEG, 320 steps, the classifier included.

Every dot product, product, sum, gate, c, h and logit equals the bit-true model's. Without the
recordings the windows are synthetic; each test prints which. Run by `make slow`.
"""

import numpy as np
import pytest

from mubinn.cli.shared.common import FLOAT_MODEL, bundled
from mubinn.golden.binarize.levels import Levels, parse_levels
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.model.model_file import load_float
from mubinn.golden.quantize import quantize
from mubinn.hw.layer.lstm_layer import cycles_per_step
from mubinn.sim.layer.layer_check import check_layer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("levels", "units", "datapath", "count"),
    [
        ("1,1", 1, "figure3", 3),
        ("2,2", 2, "figure3", 3),
        ("3,3", 1, "figure3", 50),
        ("3,3", 9, "threshold", 3),
        ("5,5", 5, "figure3", 2),
        ("2,4", 4, "threshold", 3),
        ("2,4", 5, "figure3", 2),
        ("3,3", 13, "threshold", 3),
    ],
)
def test_whole_windows_of_eeg(windows_of, levels, units, datapath, count):
    calibration, windows, kind = windows_of(count)
    assert windows.shape == (count, 320, 32)
    model = quantize(load_float(bundled(FLOAT_MODEL)), parse_levels(levels), calibration)
    model = model.with_datapath(datapath)
    result = check_layer(model, model.encode_input(windows), units=units, classify=True)
    assert int(result.outputs["windows"]) == count
    print(
        f"\n{levels}, units {units}, {datapath}: {count} windows of 320 steps of "
        f"{kind} EEG, {int(result.outputs['cycles_per_step'])} "
        f"cycles a step, {result.cycles} cycles, {result.cycles / result.seconds:.0f} cycles/s "
        "with every intermediate compared"
    )


def drawn(seed):
    """Return a random model's parameters, and how it is to be run."""
    random = np.random.default_rng(1000 + seed)
    x, w, h, c, gate, b = (int(n) for n in random.integers(1, 5, 6))
    features, hidden = (int(n) for n in random.integers(1, 12, 2))
    made = {
        "levels": Levels(x=x, w=w, h=h, c=c, gate=min(gate, 3), b=b),
        "features": features,
        "hidden": hidden,
        "classes": int(random.integers(2, 6)),
        "per_row": bool(random.integers(2)),
        "offsets": bool(random.integers(2)),
        "readout": str(random.choice(["mean", "last"])),
    }
    planes = max(x, h) * w
    how = {
        "lanes": int(random.integers(1, features + hidden + 3)),
        "units": int(random.integers(1, 2 * planes + 3)),
        "folded_bias": bool(random.integers(2)),
    }
    return made, how, str(random.choice(["figure3", "threshold"]))


@pytest.mark.parametrize("seed", range(30))
def test_random_configurations(random_model, seed):
    made, how, datapath = drawn(seed)
    model = random_model(seed=seed, **made).with_datapath(datapath)
    codes = np.random.default_rng(seed).integers(0, 1 << made["levels"].x, (3, 6, made["features"]))
    result = check_layer(model, codes, classify=True, pause=0.3, **how)
    assert result.tests == 2
    plan = LayerPlan(model.layers[0], model.dense, **how, readout=model.readout)
    assert int(result.outputs["cycles_per_step"]) == cycles_per_step(plan)
