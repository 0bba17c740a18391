"""Bench of the binary32 activation: corners, borders of all segments, all sizes."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from mubinn.golden.baseline.binary32 import SIGN, to_bits
from mubinn.golden.baseline.float_activation import FloatActivationParams, float_activation
from mubinn.sim.baseline.binary32 import CORNERS, join, split, words
from mubinn.sim.testbench.payload import Fields
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: FloatActivationParams, random: np.random.Generator, count: int) -> Fields:
    borders = to_bits(params.borders[1:])
    borders = np.concatenate([borders - np.uint32(1), borders, borders + np.uint32(1)])
    ends = np.concatenate([CORNERS, borders, borders | np.uint32(SIGN)])
    n = max(1, (count - len(ends)) // 2)
    sizes = random.uniform(params.first_exponent - 2, params.last_exponent + 1, n)
    inside = to_bits(np.exp2(sizes) * random.choice([-1.0, 1.0], n))
    return split(np.concatenate([ends, words(random, n), inside])[: max(count, len(ends))])


def golden(params: FloatActivationParams, fields: Mapping[str, ArrayLike]) -> Fields:
    return split(float_activation(params, join(fields)))
