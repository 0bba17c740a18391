"""Booth products, shifters, the leading-zero counter and the compound adder, exhaustively."""

from itertools import product

import pytest
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.sim import Simulator

from mubinn.hw.arith.booth import add_product
from mubinn.hw.arith.compound_adder import compound_add
from mubinn.hw.arith.gate_heap import GateHeap
from mubinn.hw.arith.shifter import leading_zeros, shift_left, shift_right


def values(shape):
    low = -(1 << shape.width - 1) if shape.signed else 0
    return range(low, low + (1 << shape.width))


def rtl(shapes, build):
    """Return (inputs, output) for all inputs of the circuit that `build` adds to a module."""
    m = Module()
    inputs = [Signal(shape, name=f"x{k}") for k, shape in enumerate(shapes)]
    result = build(m, *inputs)
    out = Signal(len(result))
    m.d.comb += out.eq(result)
    got = []

    async def tb(ctx):
        for case in product(*map(values, shapes)):
            for signal, value in zip(inputs, case, strict=True):
                ctx.set(signal, value)
            await ctx.delay(1e-9)
            got.append((case, ctx.get(out)))

    sim = Simulator(m)
    sim.add_testbench(tb)
    sim.run()
    return got


@pytest.mark.parametrize("kind", [signed, unsigned])
@pytest.mark.parametrize("widths", [(3, 4), (4, 3), (5, 5), (2, 2), (4, 1)])
def test_booth_product(kind, widths):
    def build(m, x, y):
        heap = GateHeap(m, sum(widths))
        add_product(m, heap, x, y, "p")
        return heap.sum()

    for (x, y), got in rtl([kind(w) for w in widths], build):
        assert got == x * y % (1 << sum(widths))


def test_booth_refuses_mixed_signs():
    m = Module()
    Simulator(m)  # a module that is thrown away unused warns
    with pytest.raises(ValueError, match="both operands"):
        add_product(m, GateHeap(m, 8), Signal(4), Signal(signed(4)), "p")


@pytest.mark.parametrize("width", [1, 2, 5, 8])
def test_leading_zeros(width):
    def build(m, x):
        count, some = leading_zeros(m, x, "z")
        return some.replicate(1) << len(count) | count

    for (x,), got in rtl([unsigned(width)], build):
        bits = max(1, (width - 1).bit_length())
        assert got >> bits == (x != 0)
        if x:
            assert got & ((1 << bits) - 1) == width - x.bit_length()


@pytest.mark.parametrize("width", [1, 3, 6])
def test_shift_right(width):
    shapes = [unsigned(6), unsigned(3)]
    for (x, n), got in rtl(shapes, lambda m, x, n: shift_right(m, x, n, width, "s")):
        assert got == (x >> n) & ((1 << width) - 1)


def test_shift_left():
    for (x, n), got in rtl([unsigned(6), unsigned(3)], lambda m, x, n: shift_left(m, x, n, "s")):
        assert got == (x << n) & 63


@pytest.mark.parametrize("width", [1, 3, 5])
def test_compound_sum(width):
    def build(m, a, b, carry):
        return compound_add(m, a, b, "c").plus(carry, name="total", m=m)

    for (a, b, carry), got in rtl([unsigned(width), unsigned(width), unsigned(1)], build):
        assert got == a + b + carry
