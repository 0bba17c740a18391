import numpy as np

from mubinn.golden.baseline.float_add import float_add
from mubinn.hw.baseline.signed_float_add import SignedFloatAdd
from mubinn.sim.baseline.binary32 import CORNERS, join, split
from mubinn.sim.runner.evaluate import evaluate_unit


def test_hardware_equals_golden_addition_and_subtraction():
    rng = np.random.default_rng(1)
    acc = rng.integers(0, 1 << 32, 300, dtype=np.uint32)
    term = acc ^ rng.integers(0, 1 << 26, 300, dtype=np.uint32)
    acc[: len(CORNERS)], term[1 : len(CORNERS) + 1] = CORNERS, CORNERS
    bit = rng.integers(0, 2, 300).astype(np.uint32)
    fields = {f"acc.{name}": v for name, v in split(acc).items()}
    fields |= {f"term.{name}": v for name, v in split(term).items()} | {"bit": bit}
    got = join(evaluate_unit(SignedFloatAdd(), fields))
    np.testing.assert_array_equal(got, float_add(acc, term ^ (1 - bit) << 31))
