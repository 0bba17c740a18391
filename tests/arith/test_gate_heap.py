import random

import pytest
from amaranth.hdl import Const, Module, Signal, signed, unsigned
from amaranth.sim import Simulator

from mubinn.hw.arith.gate_heap import GateHeap


def rtl_heap(width, terms, constants, cases, rows):
    """Sum `terms`, a list of (shape, weight, arrival), in a heap; `rows` stops before the adder."""
    m = Module()
    heap = GateHeap(m, width)
    inputs = []
    for k, (shape, weight, arrival) in enumerate(terms):
        inputs.append(Signal(shape, name=f"x{k}"))
        heap.add(inputs[-1], weight, arrival)
    for c in constants:
        heap.add_const(c)
    out = Signal(width)
    if rows:
        row0, row1 = heap.compress()
        assert len(row0) == len(row1) == width
        m.d.comb += out.eq(row0 + row1)
    else:
        total = heap.sum("s")
        assert len(total) == width
        m.d.comb += out.eq(total)
    got = []

    async def tb(ctx):
        for values in cases:
            for signal, value in zip(inputs, values, strict=True):
                ctx.set(signal, value)
            await ctx.delay(1e-9)
            got.append(ctx.get(out))

    sim = Simulator(m)
    sim.add_testbench(tb)
    sim.run()
    return got, heap


def extremes(shape):
    if shape.signed:
        return -(1 << shape.width - 1), (1 << shape.width - 1) - 1
    return 0, (1 << shape.width) - 1


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_any_heap_sums_modulo_its_width(seed, rows):
    rng = random.Random(seed)
    width = rng.randint(1, 20)
    terms = [
        (
            rng.choice([signed, unsigned])(rng.randint(1, 9)),
            rng.randint(0, width),
            rng.randint(0, 6),
        )
        for _ in range(rng.randint(0, 12))
    ]
    constants = [rng.randint(-(1 << width), 1 << width) for _ in range(rng.randint(0, 2))]
    low, high = zip(*(extremes(s) for s, _, _ in terms), strict=True) if terms else ((), ())
    cases = [low, high]
    cases += [tuple(rng.randint(*extremes(s)) for s, _, _ in terms) for _ in range(60)]
    got, heap = rtl_heap(width, terms, constants, cases, rows)
    want = [
        (sum(v << w for v, (_, w, _) in zip(values, terms, strict=True)) + sum(constants))
        % (1 << width)
        for values in cases
    ]
    assert got == want
    assert len(heap.arrival) == width


def test_late_bits_take_the_fast_pins():
    # Three bits, one of them five gates late: its sum is there one gate after it.
    _, heap = rtl_heap(2, [(unsigned(1), 0, t) for t in (0, 5, 0)], [], [(1, 1, 1)], True)
    assert heap.arrival[0] == 6


def test_constant_bits_are_folded():
    m, out = Module(), Signal(4)
    heap = GateHeap(m, 4)
    heap.add_bit(0, Const(1, 1))
    heap.add_const(-4)
    m.d.comb += out.eq(heap.sum())
    seen = []

    async def tb(ctx):
        await ctx.delay(1e-9)
        seen.append(ctx.get(out))

    sim = Simulator(m)
    sim.add_testbench(tb)
    sim.run()
    assert seen == [13]
    got, _ = rtl_heap(4, [(unsigned(2), 0, 0)], [13], [(k,) for k in range(4)], False)
    assert got == [13, 14, 15, 0]


def test_bad_arguments_are_refused():
    m = Module()
    Simulator(m)  # a module that is thrown away unused warns
    with pytest.raises(ValueError, match="holds nothing"):
        GateHeap(m, 0)
    with pytest.raises(ValueError, match="one bit"):
        GateHeap(m, 3).add_bit(0, Signal(2))
