"""Bench of binary32 to fixed point: corners, ends of the format, ties, all exponents."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from mubinn.golden.baseline.binary32 import to_bits
from mubinn.golden.baseline.float_to_fixed import FloatToFixedParams, float_to_fixed
from mubinn.sim.baseline.binary32 import CORNERS, join, split, words
from mubinn.sim.testbench.payload import Fields
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: FloatToFixedParams, random: np.random.Generator, count: int) -> Fields:
    step, top = 2.0**-params.fraction, 2.0 ** (params.width - 1 - params.fraction)
    n = max(1, (count - len(CORNERS)) // 4)
    ends = np.concatenate([[top, top - step, top - step / 2], np.arange(-4, 4.25, 0.25) * step])
    near = to_bits(np.concatenate([ends, -ends]))
    near = np.concatenate([near - np.uint32(1), near, near + np.uint32(1)])
    # Every size from below a quarter of a step to beyond the format.
    sizes = random.integers(-3, params.width + 2, n) + random.random(n)
    spread = to_bits(np.exp2(sizes) * step * random.choice([-1.0, 1.0], n))
    ties = to_bits((random.integers(-(1 << 12), 1 << 12, n) + 0.5) * step)
    return split(np.concatenate([CORNERS, near, words(random, 2 * n), spread, ties]))


def golden(params: FloatToFixedParams, fields: Mapping[str, ArrayLike]) -> Fields:
    return {"value": float_to_fixed(params, join(fields))}
