"""Bench of the code table."""

from typing import Any

import numpy as np

from mubinn.golden.units.code_table import CodeTableParams, code_table
from mubinn.sim.testbench.draw import draw
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: CodeTableParams, random: np.random.Generator, count: int) -> dict[str, Any]:
    return {"index": draw(random, count, params.index_width)}


def golden(params: CodeTableParams, fields: dict[str, Any]) -> dict[str, Any]:
    return {"word": code_table(params, fields["index"])}
