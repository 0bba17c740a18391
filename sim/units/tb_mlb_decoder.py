"""Bench of the MLB decoder."""

from typing import Any

import numpy as np

from mubinn.golden.units.mlb_decoder import MlbDecoderParams, mlb_decoder
from mubinn.sim.testbench.draw import draw
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: MlbDecoderParams, random: np.random.Generator, count: int) -> dict[str, Any]:
    fields = {
        "code": draw(random, count, params.levels),
        "scales": draw(random, (count, params.levels), params.scale_width),
    }
    if params.offset_width:
        fields["offset"] = draw(random, count, params.offset_width, signed=True)
    return fields


def golden(params: MlbDecoderParams, fields: dict[str, Any]) -> dict[str, Any]:
    return {"value": mlb_decoder(params, **{"offset": 0} | fields)}
