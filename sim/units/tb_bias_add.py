"""Bench of the bias add."""

from typing import Any

import numpy as np

from mubinn.golden.units.bias_add import BiasAddParams, bias_add
from mubinn.sim.testbench.draw import draw
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: BiasAddParams, random: np.random.Generator, count: int) -> dict[str, Any]:
    products = {
        name: draw(random, count, params.product_width, signed=True)
        for name in ("product_x", "product_h")
    }
    return products | {
        "acc": draw(random, count, params.sum_width, signed=True),
        "first": draw(random, count, 1),
        "bias": draw(random, count, params.levels),
        "scales": draw(random, (count, params.levels), params.scale_width),
    }


def golden(params: BiasAddParams, fields: dict[str, Any]) -> dict[str, Any]:
    return {"sum": bias_add(params, **fields)}
