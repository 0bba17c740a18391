"""Bench of the activation."""

from typing import Any

import numpy as np

from mubinn.golden.units.activation import ActivationParams, activation
from mubinn.sim.testbench.draw import draw
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: ActivationParams, random: np.random.Generator, count: int) -> dict[str, Any]:
    # Every input of the format when there are transfers enough, which tests of 12 bits use.
    if count >= 1 << params.in_width:
        z = np.arange(count) % (1 << params.in_width) - (1 << params.in_width - 1)
    else:
        z = draw(random, count, params.in_width, signed=True)
    return {"z": z}


def golden(params: ActivationParams, fields: dict[str, Any]) -> dict[str, Any]:
    return {"y": activation(params, **fields)}
