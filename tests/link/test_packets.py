"""The packets of a link, by software and hardware: what is lost is seen, and no more than it is."""

import numpy as np
import pytest
from amaranth.lib.crc import catalog
from amaranth.sim import Simulator
from lines import damaged, random_packet

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.link.host import Dropped, Host, Lost, Result, Status
from mubinn.hw.link.packet_receiver import PacketReceiver
from mubinn.hw.link.packet_sender import PacketSender
from mubinn.hw.link.packets import (
    COUNTS,
    FLAG,
    STAMP,
    TO_LOADED,
    TO_PORTED,
    Flags,
    Kind,
    Packet,
    Receiver,
    Rules,
    crc16,
    pattern,
)

RULES = Rules(TO_LOADED | TO_PORTED, room=24, step=3)


def line(seed, count, share=0.4):
    """Packets, which of them arrive untouched, and all bytes of the line, begun in the middle."""
    random = np.random.default_rng(seed)
    packets = [random_packet(random, counter) for counter in range(count)]
    sent = bytearray(packets[-1].frame()[3:])
    whole = []
    for packet in packets:
        frame = packet.frame()
        whole.append(random.random() >= share)
        sent += frame if whole[-1] else damaged(random, frame)
        if random.random() < 0.2:
            sent += bytes(random.integers(0, 256, 3).tolist())
    return packets, whole, bytes(sent)


def simulate(design, *benches):
    """Run benches, of which the first one ends the simulation."""
    ended = []

    async def first(ctx):
        await benches[0](ctx)
        ended.append(True)

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(first)
    for bench in benches[1:]:
        simulator.add_testbench(bench, background=True)
    simulator.run()
    assert ended


def test_the_crc_is_that_of_the_catalogue():
    known = catalog.CRC16_IBM_SDLC(data_width=8)
    for data in (b"", b"\0", b"123456789", bytes(range(256))):
        assert crc16(data) == known.compute(data)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_accepted_was_sent_and_what_is_whole_is_accepted(seed):
    packets, whole, sent = line(seed, 1000)
    accepted = [packet for packet in Receiver(RULES).feed(sent) if packet]
    kept = [packet for packet, ok in zip(packets, whole, strict=True) if ok]
    assert 500 < len(kept) < 700
    # A damaged packet may still be whole between its own 0x7E: of those, none but what was sent.
    assert {p.counter for p in kept} <= {p.counter for p in accepted}
    assert [packets[p.counter] for p in accepted] == accepted
    assert [p.counter for p in accepted] == sorted({p.counter for p in accepted})


def test_any_one_byte_that_is_wrong_or_lost_is_seen():
    random = np.random.default_rng(3)
    before, packet, after = (random_packet(random, k) for k in range(3))
    frame = packet.frame()
    for place in range(len(frame)):
        for byte in [None, *range(256)]:
            if byte == frame[place]:
                continue
            wrong = frame[:place] + (b"" if byte is None else bytes([byte])) + frame[place + 1 :]
            found = Receiver(RULES).feed(before.frame() + wrong + after.frame())
            accepted = [p for p in found if p]
            # Its own 0x7E may be missing: those of its neighbours stand there too.
            assert accepted in ([before, after], [before, packet, after])
            assert accepted == [before, after] or place in (0, len(frame) - 1)


def test_hardware_takes_and_refuses_what_the_codec_does():
    design = PacketReceiver(RULES)
    _, _, sent = line(9, 120)
    expected = Receiver(RULES).feed(sent)
    assert 20 < expected.count(None) < 150
    found = []

    async def bench(ctx):
        ctx.set(design.go, 1)
        ctx.set(design.o.ready, 1)
        for byte in sent:
            ctx.set(design.i.payload, byte)
            ctx.set(design.i.valid, 1)
            await ctx.tick()
            ctx.set(design.i.valid, 0)
            if byte != FLAG:
                continue
            if ctx.get(design.refused):
                found.append(None)
            packet = ctx.get(design.packet)
            if not packet["valid"]:
                continue
            payload = bytearray()
            if packet["kind"] in (Kind.SAMPLES, Kind.WEIGHTS, Kind.GIVE):
                ctx.set(design.take, 1)
                await ctx.tick()
                ctx.set(design.take, 0)
                while ctx.get(design.held):
                    if ctx.get(design.o.valid):
                        payload.append(ctx.get(design.o.payload.data))
                        last = ctx.get(design.o.payload.last)
                    await ctx.tick()
                assert last
            kind, flags = Kind(packet["kind"]), Flags(packet["flags"])
            found.append(Packet(kind, packet["counter"], bytes(payload), flags))

    simulate(design, bench)
    assert found == expected


def test_a_payload_that_finds_no_room_is_refused():
    design = PacketReceiver(RULES)
    sent = [Packet(Kind.SAMPLES, k, bytes([k] * 6)).frame() for k in range(2)]
    asked = Packet(Kind.ASK, 2).frame()
    found = []

    async def bench(ctx):
        for byte in [*sent[0], *sent[1], *asked]:
            ctx.set(design.i.payload, byte)
            ctx.set(design.i.valid, 1)
            await ctx.tick()
            valid = ctx.get(design.packet.valid)
            ctx.set(design.take, valid & (ctx.get(design.packet.kind) == Kind.SAMPLES))
            if valid or ctx.get(design.refused):
                found.append((valid, ctx.get(design.packet.counter)))
        ctx.set(design.i.valid, 0)
        ctx.set(design.go, 1)
        ctx.set(design.o.ready, 1)
        held = []
        while ctx.get(design.held):
            if ctx.get(design.o.valid):
                held.append(ctx.get(design.o.payload.data))
            await ctx.tick()
        assert held == [0] * 6

    simulate(design, bench)
    assert [valid for valid, _ in found] == [1, 0, 1]


def test_hardware_sends_what_the_codec_says():
    design = PacketSender()
    random = np.random.default_rng(4)
    packets = [random_packet(random, counter) for counter in (0x7E7D, 0x7D7E, *range(25))]
    found = []

    async def send(ctx):
        for packet in packets:
            kind = packet.kind | packet.flags << 4
            body = bytes([kind, len(packet.payload)]) + packet.counter.to_bytes(2, "little")
            body += packet.payload
            for place, byte in enumerate(body):
                while random.random() < 0.3:
                    await ctx.tick()
                ctx.set(design.i.payload, {"data": byte, "last": place == len(body) - 1})
                ctx.set(design.i.valid, 1)
                await ctx.tick().until(design.i.ready)
                ctx.set(design.i.valid, 0)
        await ctx.tick().repeat(40)

    async def receive(ctx):
        while True:
            ctx.set(design.o.ready, int(random.random() < 0.6))
            _, _, valid, ready, byte = await ctx.tick().sample(
                design.o.valid, design.o.ready, design.o.payload
            )
            if valid and ready:
                found.append(byte)

    simulate(design, send, receive)
    assert bytes(found) == b"".join(packet.frame() for packet in packets)


def test_the_host_tells_what_became_of_every_window():
    host = Host(2, room=4, min_steps=2, max_steps=3)
    numbers = [host.window(bytes(6))[0] for _ in range(4)]
    assert numbers == [0, 2, 4, 6]

    def answer(kind, counter, fields, *numbers, flags):
        return Packet(kind, counter, pattern(fields).pack(*numbers), flags).frame()

    lost = answer(Kind.RESULT, 0, STAMP, 0, 0, flags=Flags.LAST)[:-4]
    second = answer(Kind.RESULT, 1, STAMP, 2, 0, flags=Flags.LAST)
    assert host.feed(lost + second) == [Dropped(0), Result(2, 0, b"", True, False)]
    # The third one is whole there, and worked on: nothing is known of it yet.
    counts = (7, 0, 0, 0, 7)
    busy = answer(Kind.STATUS, 3, COUNTS, *counts, flags=Flags.WORKING)
    named = dict(zip(COUNTS, counts, strict=True))
    assert host.feed(busy) == [Lost(1), Status(named, False, True)]
    idle = answer(Kind.STATUS, 4, COUNTS, *counts, flags=Flags.LOST)
    assert host.feed(idle) == [Status(named, True, False), Dropped(4)]
    assert host.open == [6]
    # Of windows that are not awaited nothing is reported.
    assert host.feed(answer(Kind.RESULT, 5, STAMP, 2, 0, flags=Flags.LAST)) == []
    host.clear()
    assert host.feed(answer(Kind.RESULT, 6, STAMP, 6, 0, flags=Flags.LAST)) == []
    for size in (2, 5, 8):
        with pytest.raises(
            MubinnError, match=f"{size} bytes are no window: give 2 to 3 steps of 2"
        ):
            host.window(bytes(size))


def test_a_payload_that_no_packet_holds_is_told():
    with pytest.raises(MubinnError, match="256 bytes does not fit into a packet"):
        Packet(Kind.SAMPLES, 0, bytes(256)).frame()
    with pytest.raises(MubinnError, match="Room for 300 bytes"):
        Host(300)
