"""The fast inference of the threshold datapath equals the bit-true model."""

from dataclasses import replace

import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.formats import Formats
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference import threshold as inference_threshold
from mubinn.golden.inference.compiled import available
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model import bit_true

KERNELS = ("numpy", "fused", "popcount") if available() else ("numpy",)


def of_thresholds(model):
    below = []
    for layer in model.layers:
        below.append(replace(layer, datapath="threshold"))
    return replace(model, layers=tuple(below))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("table_limit", [1 << 20, 0])
def test_equals_bit_true(random_model, seed, table_limit):
    rng = np.random.default_rng(seed)
    levels = Levels(*(int(n) for n in rng.integers(1, 4, 6)))
    model = of_thresholds(
        random_model(
            seed,
            levels,
            hidden=int(rng.integers(1, 9)),
            depth=int(rng.integers(1, 3)),
            offsets=bool(rng.integers(2)),
            readout=("last", "mean")[rng.integers(2)],
        )
    )
    x = rng.normal(0, 1.5, (9, 5, 5)).astype(np.float32)
    scores = bit_true.run(model, model.encode_input(x))[1]
    for kernel in KERNELS:
        if kernel == "popcount" and not table_limit:
            continue
        for limit in (0, 99):
            compiled = CompiledModel(
                model, kernel=kernel, table_limit=table_limit, compare_limit=limit
            )
            assert (compiled.infer(x).scores == scores).all(), kernel


def test_it_is_another_function_than_figure3(random_model):
    coarse = random_model(1, (3, 3), hidden=8, formats=Formats(8, 4, 8, 5))
    x = np.random.default_rng(2).normal(0, 1.5, (40, 9, 5)).astype(np.float32)
    one, other = (CompiledModel(m).infer(x).scores for m in (coarse, of_thresholds(coarse)))
    assert (one != other).any()


def test_sums_too_long_are_refused(random_model, monkeypatch):
    monkeypatch.setattr(inference_threshold, "SCALE_LIMIT", 0)
    model = of_thresholds(random_model(3, (3, 3)))
    with pytest.raises(MubinnError, match="too long for the fast inference"):
        CompiledModel(model, table_limit=0)
