"""Bench of the pointwise XNOR multiplier."""

from typing import Any

import numpy as np

from mubinn.golden.units.pointwise import PointwiseParams, pointwise
from mubinn.sim.testbench.draw import draw
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]

FACTORS = ("a", "b", "c", "d")


def stimulus(params: PointwiseParams, random: np.random.Generator, count: int) -> dict[str, Any]:
    fields = {name: draw(random, count, getattr(params, f"{name}_levels")) for name in FACTORS}
    for name, (rows, columns) in (("gamma_ab", params.ab_shape), ("gamma_cd", params.cd_shape)):
        fields[name] = draw(random, (count, rows * columns), params.gamma_width, signed=True)
    return fields


def golden(params: PointwiseParams, fields: dict[str, Any]) -> dict[str, Any]:
    def one(row: int) -> Any:
        gammas = {
            name: fields[name][row].reshape(shape)
            for name, shape in (("gamma_ab", params.ab_shape), ("gamma_cd", params.cd_shape))
        }
        codes = {name: fields[name][row] for name in FACTORS}
        return pointwise(params, **codes, **gammas)

    return {"sum": np.array([one(row) for row in range(len(fields["a"]))])}
