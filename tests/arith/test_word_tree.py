"""Words as a tree of multiplexers, and as the ROM that stands in a memory's place."""

import re
from itertools import pairwise

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from mubinn.hw.arith.word_tree import word_tree
from mubinn.hw.layer.word_rom import WordRom, gray


@pytest.mark.parametrize(("count", "width"), [(1, 3), (2, 1), (5, 9), (33, 20), (64, 7)])
def test_each_word_is_there_one_cycle_after_its_address(count, width):
    words = np.random.default_rng(count).integers(0, 1 << width, count).tolist()
    rom, got = WordRom(words, width), []
    order = [*range(count), *range(count)[::-1], *range(0, count, 3)]

    async def bench(ctx):
        for address in order:
            ctx.set(rom.addr, address)
            await ctx.tick()
            got.append(ctx.get(rom.data))

    simulator = Simulator(rom)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert got == [words[k] for k in order]


def test_the_next_code_differs_in_one_bit():
    codes = [k ^ k >> 1 for k in range(32)]
    assert sorted(codes) == list(range(32))
    assert all((a ^ b).bit_count() == 1 for a, b in pairwise(codes))
    assert len(gray(Signal(5))) == 5


def test_the_busiest_bit_chooses_last_and_equal_parts_are_one():
    m, index, out = Module(), Signal(4, name="index"), Signal(6, name="out")
    words = [0b111111 if k % 3 else 0 for k in range(16)]
    m.d.comb += out.eq(word_tree(m, words, index, 6, name="word"))
    text = verilog.convert(m, ports=[index, out], emit_src=False)
    assert re.search(r"wire word_0;\n", text)
    chosen = re.findall(r"assign word_(\d) = index\[(\d)\] \?", text)
    assert sorted(chosen) == [(str(k), str(k)) for k in range(4)]
    assert re.search(r"assign out = \{ word_0(, word_0){5} \};", text)


def test_words_that_do_not_fit_the_index():
    with pytest.raises(ValueError, match="3 words do not fit an index of 2 bits"):
        word_tree(None, [1, 2, 3], Signal(2), 4, name="word")
