"""Bench of the MLB encoder."""

from typing import Any

import numpy as np

from mubinn.golden.units.mlb_encoder import MlbEncoderParams, mlb_encoder
from mubinn.sim.testbench.draw import draw
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params: MlbEncoderParams, random: np.random.Generator, count: int) -> dict[str, Any]:
    fields = {
        "value": draw(random, count, params.value_width, signed=True),
        "scales": draw(random, (count, params.levels), params.scale_width),
    }
    if params.offset_width:
        fields["offset"] = draw(random, count, params.offset_width, signed=True)
    return fields


def golden(params: MlbEncoderParams, fields: dict[str, Any]) -> dict[str, Any]:
    return {"code": mlb_encoder(params, **{"offset": 0} | fields)}
