"""Bench of fixed point to binary32: neighbours of powers of two, ties, all sizes."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from mubinn.golden.baseline.fixed_to_float import FixedToFloatParams, fixed_to_float
from mubinn.sim.baseline.binary32 import split
from mubinn.sim.testbench.draw import draw
from mubinn.sim.testbench.payload import Fields
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: FixedToFloatParams, random: np.random.Generator, count: int) -> Fields:
    powers = 1 << np.arange(params.width - 1, dtype=np.int64)
    ends = np.concatenate([[0], powers - 1, powers, powers + 1])
    # Ones from the top down and from the bottom up: ties and carries through all places.
    ends = np.concatenate([ends, powers[-1] * 2 - powers, (powers << 1) - 1])
    ends = np.concatenate([ends, -ends, [-2 * powers[-1]]])
    ends = ends[(ends >= -2 * powers[-1]) & (ends < 2 * powers[-1])]
    uniform = draw(random, max(1, count - len(ends)), params.width, signed=True)
    shifts = random.integers(0, params.width, len(uniform))
    short = uniform >> shifts << np.minimum(shifts, random.integers(0, params.width, len(shifts)))
    return {"value": np.concatenate([ends, np.where(shifts & 1, uniform >> shifts, short)])}


def golden(params: FixedToFloatParams, fields: Mapping[str, ArrayLike]) -> Fields:
    return split(fixed_to_float(params, fields["value"]))
