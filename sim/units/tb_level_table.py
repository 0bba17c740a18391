"""Bench of the level table."""

from typing import Any

import numpy as np

from mubinn.golden.units.level_table import LevelTableParams, level_table
from mubinn.sim.testbench.draw import draw
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: LevelTableParams, random: np.random.Generator, count: int) -> dict[str, Any]:
    return {
        "code": draw(random, count, params.levels),
        "words": draw(random, (count, 1 << params.levels), params.width),
    }


def golden(params: LevelTableParams, fields: dict[str, Any]) -> dict[str, Any]:
    return {"word": level_table(params, **fields)}
