"""Bench of the requantizer."""

from typing import Any

import numpy as np

from mubinn.golden.units.requantize import RequantizeParams, requantize
from mubinn.sim.testbench.draw import draw
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: RequantizeParams, random: np.random.Generator, count: int) -> dict[str, Any]:
    return {"value": draw(random, count, params.in_width, signed=True)}


def golden(params: RequantizeParams, fields: dict[str, Any]) -> dict[str, Any]:
    return {"value": requantize(params, **fields)}
