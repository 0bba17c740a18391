import re

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from mubinn.hw.arith.comparator import at_least
from mubinn.hw.arith.decision_diagram import decision_diagram


def outputs(m, inputs, out, cases):
    """What `out` is for each tuple of input values."""
    got = []

    async def bench(ctx):
        for values in cases:
            for signal, value in zip(inputs, values, strict=True):
                ctx.set(signal, value)
            await ctx.delay(1e-9)
            got.append(ctx.get(out))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return got


@pytest.mark.parametrize("bits", [0, 1, 3, 6])
@pytest.mark.parametrize("width", [1, 7])
def test_every_word_is_found(bits, width):
    words = np.random.default_rng(bits).integers(-64, 64, 1 << bits).tolist()
    m, index, out = Module(), Signal(bits), Signal(width)
    m.d.comb += out.eq(decision_diagram(m, words, index, width))
    got = outputs(m, [index], out, [(k,) for k in range(1 << bits)])
    assert got == [word % (1 << width) for word in words]


def multiplexers(words, bits, width):
    m, index, out = Module(), Signal(bits, name="index"), Signal(width, name="out")
    m.d.comb += out.eq(decision_diagram(m, words, index, width))
    return len(re.findall(r" \? ", verilog.convert(m, ports=[index, out], emit_src=False)))


def test_equal_parts_are_one():
    parity = [bin(k).count("1") & 1 for k in range(256)]
    assert multiplexers(parity, 8, 1) == 15
    twice = [3 * (k & 1) for k in range(256)]
    assert multiplexers(twice, 8, 2) == 1
    assert multiplexers([5] * 16, 4, 3) == 0


def test_the_order_of_variables_is_chosen():
    # Three pairs of bits: next to each other they take two nodes a pair, else many more.
    pairs = [int(any(k >> j & k >> j + 3 & 1 for j in range(3))) for k in range(64)]
    assert multiplexers(pairs, 6, 1) == 6


def test_words_that_do_not_fit_the_index():
    with pytest.raises(ValueError, match="3 words do not fit an index of 2 bits"):
        decision_diagram(None, [1, 2, 3], Signal(2), 4)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_comparison_of_signed_numbers(width):
    m, a, b, out = Module(), Signal(width), Signal(width), Signal()
    m.d.comb += out.eq(at_least(m, a, b, name="t"))
    half = 1 << width - 1
    cases = [(x, y) for x in range(-half, half) for y in range(-half, half)]
    got = outputs(m, [a, b], out, [(x % (2 * half), y % (2 * half)) for x, y in cases])
    assert got == [int(x >= y) for x, y in cases]


def test_numbers_of_different_lengths_are_not_compared():
    with pytest.raises(ValueError, match="3 and 4 bits"):
        at_least(None, Signal(3), Signal(4), name="t")
