"""Bench of the XNOR multiplier."""

from mubinn.golden.xnor_multiplier import xnor_multiplier
from mubinn.sim.draw import draw_bits
from mubinn.sim.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def stimulus(params, random, count):
    return {name: draw_bits(random, count, params.lanes) for name in ("a", "w")}


def golden(params, fields):
    return {"dot": xnor_multiplier(params, **fields)}
