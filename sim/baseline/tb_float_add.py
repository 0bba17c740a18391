"""Bench of the binary32 adder: pairs of corners, random bits, cancellation, ties, range ends."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from mubinn.golden.baseline.float_add import float_add
from mubinn.sim.baseline.binary32 import join, split
from mubinn.sim.baseline.binary32 import operands as stimulus
from mubinn.sim.testbench.payload import Fields
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def golden(params: Any, fields: Mapping[str, ArrayLike]) -> Fields:
    return split(float_add(join(fields, "a"), join(fields, "b")))
