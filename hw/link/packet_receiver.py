"""Bytes to packets: nothing is handed on before its check is known."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.crc import catalog  # type: ignore[import-untyped]  # not in the stubs
from amaranth.lib.wiring import In, Out

from mubinn.hw.link.packets import CRC, ESCAPE, FIELDS, FLAG, HEADER, TURNED, Kind, Rules
from mubinn.hw.stream.component import Component, Memory, View
from mubinn.hw.stream.packet import transfer_layout

PACKET = data.StructLayout({"valid": 1, "kind": 4, "flags": 4, "counter": FIELDS["counter"]})


def crc_unit() -> Any:
    """Return Amaranth's unit for the CRC of the packets, a byte at a time."""
    return catalog.CRC16_IBM_SDLC(data_width=8).create()


class PacketReceiver(Component):
    """`mubinn.hw.link.packets.Receiver` in hardware, with room for the payload of one packet.

    The room is a memory of ``rules.room`` bytes, one block RAM of an iCE40. Of a packet with a
    payload whose bytes come while an earlier one is still held, nothing is kept: it is refused.

    Parameters
    ----------
    rules : Rules

    Members
    -------
    i : In(stream of 8 bits)
        A byte may come in each cycle.
    packet : Out(layout of `PACKET`)
        A packet is whole; ``valid`` for one cycle, the cycle after its last byte.
    refused : Out(1)
        One is not, and nothing is left of it; for one cycle.
    take : In(1)
        In the cycle of ``packet.valid``: hold its payload until it has gone out, else it is
        forgotten.
    drop : In(1)
        Forget the payload that is held; that of this cycle's `take` stays.
    held : Out(1)
        From the cycle after `take` until the payload is out, or dropped.
    go : In(1)
        The payload may go out.
    o : Out(stream of 8 bits, and ``last`` with the payload's last byte)
        A byte in two cycles.
    """

    i: stream.Interface
    packet: View
    refused: Signal
    take: Signal
    drop: Signal
    held: Signal
    go: Signal
    o: stream.Interface

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        super().__init__(
            {
                "i": In(stream.Signature(8, always_ready=True)),
                "packet": Out(PACKET),
                "refused": Out(1),
                **dict.fromkeys(("take", "drop", "go"), In(1)),
                "held": Out(1),
                "o": Out(stream.Signature(transfer_layout(8))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return what unstuffs, what checks, and the payload's memory."""
        m = Module()
        m.submodules.crc = crc = crc_unit()
        escaped, begun = Signal(), Signal()
        byte, flag, escape = Signal(8), Signal(), Signal()
        arrived = Signal()
        raw = self.i.payload
        m.d.comb += [
            flag.eq(self.i.valid & (raw == FLAG)),
            escape.eq(self.i.valid & (raw == ESCAPE) & ~escaped),
            arrived.eq(self.i.valid & ~flag & ~escape),
            byte.eq(raw ^ Mux(escaped, TURNED, 0)),
            crc.data.eq(byte),
            crc.valid.eq(arrived),
            crc.start.eq(flag),
        ]
        with m.If(self.i.valid):
            m.d.sync += [escaped.eq(escape), begun.eq(~flag)]
        whole = self._body(m, byte, arrived, flag) & crc.match_detected & ~escaped
        m.d.sync += [
            self.packet.valid.eq(flag & begun & whole),
            self.refused.eq(flag & begun & ~whole),
        ]
        return m

    def _body(self, m: Module, byte: Signal, arrived: Signal, flag: Signal) -> Any:
        """Keep what comes; return whether its fields are those of a packet that is taken."""
        rules = self.rules
        kind, flags, length = Signal(4), Signal(4), Signal(8)
        place, bad, ends = Signal(range(HEADER + 1)), Signal(), Signal(range(CRC + 1))
        filled, phase = Signal(8), Signal(range(rules.step))
        full = filled == length
        write = Signal()
        with m.If(arrived):
            with m.Switch(place):
                with m.Case(0):
                    m.d.sync += [kind.eq(byte[:4]), flags.eq(byte[4:])]
                with m.Case(1):
                    m.d.sync += [length.eq(byte), bad.eq(byte > rules.room)]
                for k in range(2, HEADER):
                    with m.Case(k):
                        m.d.sync += self.packet.counter.word_select(k - 2, 8).eq(byte)
                with m.Default():
                    with m.If(~full):
                        m.d.comb += write.eq(~self.held)
                        m.d.sync += [
                            filled.eq(filled + 1),
                            phase.eq(Mux(phase == rules.step - 1, 0, phase + 1)),
                        ]
                        # A byte that finds no room spoils its packet.
                        with m.If(self.held):
                            m.d.sync += bad.eq(1)
                    with m.Elif(ends == CRC):
                        m.d.sync += bad.eq(1)
                    with m.Else():
                        m.d.sync += ends.eq(ends + 1)
            with m.If(place != HEADER):
                m.d.sync += place.eq(place + 1)
        with m.If(flag):
            m.d.sync += [place.eq(0), bad.eq(0), ends.eq(0), filled.eq(0), phase.eq(0)]
            m.d.sync += [self.packet.kind.eq(kind), self.packet.flags.eq(flags)]
        self._memory(m, write, filled, byte, length)
        samples = (kind == Kind.SAMPLES) & (length != 0) & (phase == 0)
        others = [kind == k for k in sorted(rules.kinds - {Kind.SAMPLES, Kind.WEIGHTS, Kind.GIVE})]
        known = samples
        for other in others:
            known |= other & (length == 0)
        if Kind.WEIGHTS in rules.kinds:
            known |= (kind == Kind.WEIGHTS) & (length != 0)
        if Kind.GIVE in rules.kinds:
            known |= (kind == Kind.GIVE) & (length != 0)
        return known & full & (ends == CRC) & ~bad

    def _memory(
        self, m: Module, write: Signal, filled: Signal, byte: Signal, length: Signal
    ) -> None:
        """Add the room for a payload, and what hands it out."""
        m.submodules.room = room = Memory(shape=8, depth=self.rules.room, init=[])
        into, out = room.write_port(), room.read_port()
        m.d.comb += [into.addr.eq(filled), into.data.eq(byte), into.en.eq(write)]
        place, last = Signal(range(self.rules.room + 1)), Signal(8)
        m.d.comb += [
            out.addr.eq(place),
            out.en.eq(1),
            self.o.payload.data.eq(out.data),
            self.o.payload.last.eq(place == last),
        ]
        # Two cycles a byte: its address stands for one before it is offered.
        with m.If(self.held & self.go & ~self.o.valid):
            m.d.sync += self.o.valid.eq(1)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [self.o.valid.eq(0), place.eq(place + 1)]
            with m.If(self.o.payload.last):
                m.d.sync += self.held.eq(0)
        with m.If(self.drop):
            m.d.sync += [self.held.eq(0), self.o.valid.eq(0)]
        with m.If(self.take):
            m.d.sync += [self.held.eq(1), place.eq(0), last.eq(length - 1)]
