"""Bench of the fixed-point MAC: corners of all three operands, then random ones."""

from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from mubinn.golden.baseline.fixed_mac import FixedMacParams, fixed_mac
from mubinn.sim.testbench.payload import Fields
from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

__all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]


def corners(width: int) -> list[int]:
    top = 1 << (width - 1)
    ends = (0, 1, -1, 2, -2, top - 1, -top, 1 - top, top // 2, -(top // 2), top // 3, -(top // 3))
    return [value for value in ends if -top <= value < top]


def draw_wide(random: np.random.Generator, count: int, width: int) -> list[int]:
    # Magnitudes of all sizes, as uniform numbers have no long runs of sign bits.
    raw = [int.from_bytes(random.bytes(-(-width // 8)), "little") for _ in range(count)]
    drop = random.choice([0, 0, 0, 1], count) * random.integers(0, width, count)
    half = 1 << (width - 1)
    return [((value & (2 * half - 1)) - half) >> int(d) for value, d in zip(raw, drop, strict=True)]


def stimulus(params: FixedMacParams, random: np.random.Generator, count: int) -> Fields:
    operands, sums = corners(params.width), corners(params.sum_width)
    cases = list(product(operands, operands, sums))
    rest = max(0, count - len(cases))
    widths = (params.width, params.width, params.sum_width)
    columns = [
        [case[k] for case in cases] + draw_wide(random, rest, width)
        for k, width in enumerate(widths)
    ]
    return {
        name: np.array(column, object)
        for name, column in zip(("a", "b", "acc"), columns, strict=True)
    }


def golden(params: FixedMacParams, fields: Mapping[str, ArrayLike]) -> Fields:
    return {"acc": fixed_mac(params, fields["a"], fields["b"], fields["acc"])}
