"""Bench of the binary32 multiplier: pairs of corners, random bits, ties, ends of the range."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from mubinn.golden.baseline.float_mult import float_mult
from mubinn.sim.baseline.binary32 import join, split
from mubinn.sim.baseline.binary32 import operands as stimulus
from mubinn.sim.testbench.payload import Fields
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def golden(params: Any, fields: Mapping[str, ArrayLike]) -> Fields:
    return split(float_mult(join(fields, "a"), join(fields, "b")))
