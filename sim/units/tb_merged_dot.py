"""Bench of the merged dot product."""

from typing import Any

import numpy as np

from mubinn.golden.units.merged_dot import MergedDotParams, merged_dot
from mubinn.sim.testbench.draw import draw, draw_bits
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: MergedDotParams, random: np.random.Generator, count: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for part in params.parts:
        for name, shifts in ((part.name, part.shifts), (f"w{part.name}", part.w_shifts)):
            fields[name] = draw_bits(random, (count, len(shifts)), part.lanes)
    if params.addend_width:
        fields["addend"] = draw(random, count, params.addend_width, signed=True)
    return fields


def golden(params: MergedDotParams, fields: dict[str, Any]) -> dict[str, Any]:
    return {"sum": merged_dot(params, **fields)}
