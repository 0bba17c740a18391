"""Bench of the threshold search."""

from typing import Any

import numpy as np

from mubinn.golden.ground.fixed import saturate
from mubinn.golden.units.threshold_search import ThresholdSearchParams, threshold_search
from mubinn.sim.testbench.draw import draw
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(
    params: ThresholdSearchParams, random: np.random.Generator, count: int
) -> dict[str, Any]:
    # Half of the values are a node or one next to it.
    nodes = np.array(params.trees).ravel()
    near = random.choice(nodes, count) + random.integers(-1, 2, count)
    spread = draw(random, count, params.width, signed=True)
    value = np.where(random.random(count) < 0.5, saturate(near, params.width), spread)
    fields = {"value": value}
    if params.select_width:
        fields["tree"] = random.integers(0, len(params.trees), count)
    return fields


def golden(params: ThresholdSearchParams, fields: dict[str, Any]) -> dict[str, Any]:
    return {"code": threshold_search(params, fields["value"], fields.get("tree", 0))}
