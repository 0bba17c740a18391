"""UART and SPI at their pins: other rates, glitches, and edges too many."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.link.line import check_divisor
from mubinn.hw.link.packets import FLAG
from mubinn.hw.link.spi import CYCLES, SpiSlave
from mubinn.hw.link.uart import UartReceiver, UartTransmitter


def run(design, bench, *others):
    """Run `bench` to its end, beside others."""
    ended = []

    async def first(ctx):
        await bench(ctx)
        ended.append(True)

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(first)
    for other in others:
        simulator.add_testbench(other, background=True)
    simulator.run()
    assert ended


def received(design, levels):
    """What a receiver makes of a line, given cycle by cycle."""
    found = []

    async def bench(ctx):
        for level in levels:
            ctx.set(design.rx, int(level))
            _, _, valid, byte = await ctx.tick().sample(design.o.valid, design.o.payload)
            if valid:
                found.append(byte)

    run(design, bench)
    return bytes(found)


def waveform(data, divisor, rate=1.0, stop=1):
    """The line's level in each cycle, at another rate than the receiver's."""
    bits = [1] * 3
    for byte in data:
        bits += [0, *(byte >> k & 1 for k in range(8)), stop]
    bits += [1] * 3
    cycles = int(len(bits) * divisor * rate)
    return np.array(bits)[(np.arange(cycles) / (divisor * rate)).astype(int)]


@pytest.mark.parametrize(("divisor", "share"), [(6, 0.02), (7, 0.02), (16, 0.04), (25, 0.04)])
def test_ends_may_differ_as_the_docstring_says(divisor, share):
    data = bytes(np.random.default_rng(divisor).integers(0, 256, 12).tolist())
    for rate in (1 - share, 1, 1 + share):
        assert received(UartReceiver(divisor), waveform(data, divisor, rate)) == data


def test_glitches_of_a_cycle_are_nothing():
    divisor, data = 16, b"\x55\x00\xff\x7e"
    levels = waveform(data, divisor)
    for place in range(5, len(levels), 13):
        levels[place] ^= 1
    assert received(UartReceiver(divisor), levels) == data
    # A start bit that is over by its middle is none, and a byte without a stop bit is dropped.
    false_start = np.r_[np.ones(9), np.zeros(6), np.ones(200)]
    assert received(UartReceiver(divisor), false_start) == b""
    broken = np.r_[waveform(b"\x41", divisor, stop=0), waveform(b"\x42", divisor)]
    assert received(UartReceiver(divisor), broken) == b"\x42"


@pytest.mark.parametrize("divisor", [6, 9])
def test_the_transmitter_sends_what_the_receiver_reads(divisor):
    data, design, levels = bytes([0, 255, 0x55, 0x7E, 1, 128]), UartTransmitter(divisor), []

    async def send(ctx):
        for byte in data:
            ctx.set(design.i.payload, byte)
            ctx.set(design.i.valid, 1)
            await ctx.tick().until(design.i.ready)
        ctx.set(design.i.valid, 0)
        await ctx.tick().repeat(12 * divisor)

    async def watch(ctx):
        while True:
            _, _, level = await ctx.tick().sample(design.tx)
            levels.append(level)

    run(design, send, watch)
    # Bytes follow each other: 10 bits and the cycle in which the next one is taken.
    assert levels[: 2 * (10 * divisor + 1)].count(0) == 9 * divisor + divisor
    assert received(UartReceiver(divisor), np.r_[np.ones(8), levels]) == data


def test_a_rate_too_high_is_told():
    with pytest.raises(MubinnError, match="5 clock cycles a bit are too few"):
        check_divisor(5)


def test_spi_both_ways_loses_nothing_between_transfers():
    design, random = SpiSlave(), np.random.default_rng(2)
    waiting = list(range(0x80, 0x94))
    queued, into, out, sent = list(waiting), [], [], []

    async def clock(ctx, bits):
        """Send bits of a transfer; return those of MISO."""
        found = []
        ctx.set(design.cs_n, 0)
        await ctx.tick().repeat(CYCLES // 2)
        for bit in bits:
            ctx.set(design.mosi, int(bit))
            await ctx.tick().repeat(CYCLES // 2)
            found.append(ctx.get(design.miso))
            ctx.set(design.sck, 1)
            await ctx.tick().repeat(CYCLES // 2)
            ctx.set(design.sck, 0)
        await ctx.tick().repeat(CYCLES // 2)
        ctx.set(design.cs_n, 1)
        await ctx.tick().repeat(CYCLES // 2)
        return found

    def bytes_of(bits):
        return np.packbits(np.array(bits[: len(bits) // 8 * 8], dtype=np.uint8)).tolist()

    async def master(ctx):
        ctx.set(design.cs_n, 1)
        await ctx.tick().repeat(CYCLES)
        for size in (1, 3, 2, 5, 1, 1, 4, 6, 8, 8):
            data = random.integers(0, 256, size).astype(np.uint8)
            sent.extend(data.tolist())
            out.extend(bytes_of(await clock(ctx, np.unpackbits(data))))
        # Edges of SCK are missing, or are too many: the next transfer is whole.
        count = len(into)
        for bits in ([1] * 5, [0] * 11):
            await clock(ctx, bits)
        assert len(into) == count + 1
        into.pop()
        data = np.array([0x12, 0x34], np.uint8)
        sent.extend(data.tolist())
        await clock(ctx, np.unpackbits(data))

    async def slave(ctx):
        while True:
            ctx.set(design.i.valid, bool(queued))
            ctx.set(design.i.payload, queued[0] if queued else 0)
            _, _, ready, valid, byte = await ctx.tick().sample(
                design.i.ready, design.o.valid, design.o.payload
            )
            if ready:
                queued.pop(0)
            if valid:
                into.append(byte)

    run(design, master, slave)
    assert into == sent
    assert out == waiting + [FLAG] * (len(out) - len(waiting))
