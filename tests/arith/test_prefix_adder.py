import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from mubinn.hw.arith.prefix_adder import KINDS, prefix_add


def rtl_add(cases, width_a, width_b, with_cin, kind):
    m = Module()
    a, b, cin = Signal(width_a), Signal(width_b), Signal()
    out = Signal(max(width_a, width_b) + 1)
    value = prefix_add(m, a, b, cin if with_cin else None, name="t", kind=kind)
    assert len(value) == len(out)
    m.d.comb += out.eq(value)
    got = []

    async def tb(ctx):
        for x, y, c in cases:
            ctx.set(a, x)
            ctx.set(b, y)
            ctx.set(cin, c)
            await ctx.delay(1e-9)
            got.append(ctx.get(out))

    sim = Simulator(m)
    sim.add_testbench(tb)
    sim.run()
    return got


def corner_cases(rng, width_a, width_b, number):
    corners = [
        (a, b, c)
        for a in (0, 1, 1 << width_a - 1, (1 << width_a) - 1)
        for b in (0, 1, 1 << width_b - 1, (1 << width_b) - 1)
        for c in (0, 1)
    ]
    randoms = [
        (rng.getrandbits(width_a), rng.getrandbits(width_b), rng.getrandbits(1))
        for _ in range(number)
    ]
    return corners + randoms


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("with_cin", [False, True])
@pytest.mark.parametrize(
    ("width_a", "width_b"), [(1, 1), (2, 3), (7, 7), (8, 5), (24, 24), (33, 33)]
)
def test_sum_is_exact(kind, with_cin, width_a, width_b):
    cases = corner_cases(random.Random(width_a * 100 + width_b), width_a, width_b, 60)
    got = rtl_add(cases, width_a, width_b, with_cin, kind)
    assert got == [a + b + (c if with_cin else 0) for a, b, c in cases]


@pytest.mark.parametrize("kind", KINDS)
def test_all_operands_of_four_bits(kind):
    cases = [(a, b, c) for a in range(16) for b in range(16) for c in (0, 1)]
    assert rtl_add(cases, 4, 4, True, kind) == [a + b + c for a, b, c in cases]


def test_unknown_network_is_refused():
    m, a = Module(), Signal(4)
    Simulator(m)
    with pytest.raises(ValueError, match="unknown prefix network"):
        prefix_add(m, a, a, name="t", kind="carry-skip")
