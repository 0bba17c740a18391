"""Bench of the scaling multiplier."""

from typing import Any

import numpy as np

from mubinn.golden.units.scaling_mult import ScalingMultParams, scaling_mult
from mubinn.sim.testbench.draw import draw
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: ScalingMultParams, random: np.random.Generator, count: int) -> dict[str, Any]:
    return {
        "dot": draw(random, count, params.dot_width, signed=True),
        "scale": draw(random, count, params.scale_width),
    }


def golden(params: ScalingMultParams, fields: dict[str, Any]) -> dict[str, Any]:
    return {"product": scaling_mult(params, **fields)}
