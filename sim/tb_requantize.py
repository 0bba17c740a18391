"""Bench of the requantizer."""

from mubinn.golden.requantize import requantize
from mubinn.sim.draw import draw
from mubinn.sim.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params, random, count):
    return {"value": draw(random, count, params.in_width, signed=True)}


def golden(params, fields):
    return {"value": requantize(params, **fields)}
