"""Bench of the scaling multiplier."""

from mubinn.golden.scaling_mult import scaling_mult
from mubinn.sim.draw import draw
from mubinn.sim.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params, random, count):
    return {
        "dot": draw(random, count, params.dot_width, signed=True),
        "scale": draw(random, count, params.scale_width),
    }


def golden(params, fields):
    return {"product": scaling_mult(params, **fields)}
