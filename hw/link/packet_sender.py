"""Packets to bytes: check, stuffing, and 0x7E before and behind."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from mubinn.hw.link.packet_receiver import crc_unit
from mubinn.hw.link.packets import ESCAPE, FLAG, TURNED
from mubinn.hw.stream.component import Component
from mubinn.hw.stream.packet import transfer_layout


class PacketSender(Component):
    """`mubinn.hw.link.packets.Packet.frame` in hardware, on the fly.

    Members
    -------
    i : In(stream of 8 bits, and ``last`` with a packet's last byte)
        Header and payload, as they stand before the CRC.
    o : Out(stream of 8 bits)
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self) -> None:
        super().__init__(
            {"i": In(stream.Signature(transfer_layout(8))), "o": Out(stream.Signature(8))}
        )

    def elaborate(self, platform: object) -> Module:
        """Return which byte is sent, and whether its escape has been."""
        m = Module()
        m.submodules.crc = crc = crc_unit()
        byte, plain, escaped = Signal(8), Signal(), Signal()
        special = ((byte == FLAG) | (byte == ESCAPE)) & ~plain
        sent = Signal()
        m.d.comb += [
            sent.eq(self.o.valid & self.o.ready & ~(special & ~escaped)),
            self.o.valid.eq(1),
            self.o.payload.eq(
                Mux(special, Mux(escaped, byte ^ TURNED, ESCAPE), byte),
            ),
            crc.data.eq(self.i.payload.data),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += escaped.eq(special & ~escaped)
        with m.FSM():
            with m.State("OPEN"):
                m.d.comb += [byte.eq(FLAG), plain.eq(1), crc.start.eq(1)]
                m.d.comb += self.o.valid.eq(self.i.valid)
                with m.If(sent):
                    m.next = "BODY"
            with m.State("BODY"):
                m.d.comb += [byte.eq(self.i.payload.data), self.o.valid.eq(self.i.valid)]
                m.d.comb += [self.i.ready.eq(sent), crc.valid.eq(sent)]
                with m.If(sent & self.i.payload.last):
                    m.next = "LOW"
            with m.State("LOW"):
                m.d.comb += byte.eq(crc.crc[:8])
                with m.If(sent):
                    m.next = "HIGH"
            with m.State("HIGH"):
                m.d.comb += byte.eq(crc.crc[8:])
                with m.If(sent):
                    m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += [byte.eq(FLAG), plain.eq(1)]
                with m.If(sent):
                    m.next = "OPEN"
        return m
