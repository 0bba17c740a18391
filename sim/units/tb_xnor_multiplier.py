"""Bench of the XNOR multiplier."""

from typing import Any

import numpy as np

from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams, xnor_multiplier
from mubinn.sim.testbench.draw import draw_bits
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(
    params: XnorMultiplierParams, random: np.random.Generator, count: int
) -> dict[str, Any]:
    return {name: draw_bits(random, count, params.lanes) for name in ("a", "w")}


def golden(params: XnorMultiplierParams, fields: dict[str, Any]) -> dict[str, Any]:
    return {"dot": xnor_multiplier(params, **fields)}
