"""Bench of the MAC."""

from typing import Any

import numpy as np

from mubinn.golden.units.mac import MacParams, mac
from mubinn.sim.testbench.draw import draw
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: MacParams, random: np.random.Generator, count: int) -> dict[str, Any]:
    return {
        "code": draw(random, count, params.levels),
        "factor": draw(random, count, params.factor_width, signed=True),
        "offset": draw(random, count, params.scale_width + 1, signed=True),
        "scales": draw(random, (count, params.levels), params.scale_width),
    }


def golden(params: MacParams, fields: dict[str, Any]) -> dict[str, Any]:
    return {"product": mac(params, **fields)}
