"""A core's state over a link: packets of it to the core, and what it has to packets."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from mubinn.hw.link.packets import FIELDS, HEADER, STAMP, Flags, Kind, pattern, state_share
from mubinn.hw.stream.component import Component
from mubinn.hw.stream.packet import transfer_layout

BESIDE = pattern(STAMP).size + 1
"""Bytes of a packet's payload that are none of the state."""


class StateSender(Component):
    """Makes packets of a state that goes out: `Kind.STATE`, each with its place and whether it is.

    Their payload is `STAMP`, with the counter of the packet that asked for it and which of the
    packets it is, bytes of the state, and 1; or 0 where the core has been cleared meanwhile, and
    the bytes mean nothing.

    Parameters
    ----------
    size : int
        Bytes of the state.

    Members
    -------
    start : In(1), asked : In(16)
        A state is about to come at `i`, asked for by that packet.
    clear : In(1)
        None comes any more.
    counter : In(16)
        Of the next packet of the board, seen in the cycle of `begins`.
    may : In(1)
        A packet may begin.
    begins : Out(1)
        One does.
    sending : Out(1)
        One is under way.
    saving : Out(1)
        From the cycle after `start` until the last packet has gone out.
    i : In(stream of 8 bits), o : Out(stream of 8 bits, and ``last`` with a packet's last byte)
    """

    start: Signal
    asked: Signal
    clear: Signal
    counter: Signal
    may: Signal
    begins: Signal
    sending: Signal
    saving: Signal
    i: stream.Interface
    o: stream.Interface

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(
            {
                **dict.fromkeys(("start", "clear", "may"), In(1)),
                **dict.fromkeys(("asked", "counter"), In(FIELDS["counter"])),
                **dict.fromkeys(("begins", "sending", "saving"), Out(1)),
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(transfer_layout(8))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return what counts bytes and packets."""
        m = Module()
        share = state_share(self.size)
        packets = -(-self.size // share)
        short = self.size - (packets - 1) * share
        number, asked = Signal(STAMP["index"]), Signal(STAMP["window"])
        counter, torn = Signal(FIELDS["counter"]), Signal()
        place = Signal(range(share + HEADER + BESIDE))
        final = number == packets - 1
        own, length = Signal(8), Signal(FIELDS["length"])
        kind = Cat(Const(Kind.STATE, 4), Mux(final, Const(Flags.LAST, 4), Const(0, 4)))
        head = Cat(kind, length, counter, asked, number)
        first = HEADER + BESIDE - 1
        byte = self.o.payload.data
        sent = Signal()
        m.d.comb += [
            own.eq(Mux(final, short, share)),
            length.eq(own + BESIDE),
            self.o.payload.last.eq(place == own + first),
            sent.eq(self.o.valid & self.o.ready),
        ]
        with m.If(sent):
            m.d.sync += place.eq(place + 1)
        with m.If(self.clear & self.saving):
            m.d.sync += torn.eq(1)
        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [asked.eq(self.asked), number.eq(0), torn.eq(0)]
                m.d.sync += self.saving.eq(1)
                m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += self.begins.eq(self.may)
                with m.If(self.may):
                    m.d.sync += [counter.eq(self.counter), place.eq(0)]
                    m.next = "HEAD"
            with m.State("HEAD"):
                m.d.comb += [
                    self.sending.eq(1),
                    self.o.valid.eq(1),
                    byte.eq(head.word_select(place, 8)),
                ]
                with m.If(sent & (place == first - 1)):
                    m.next = "BYTES"
            with m.State("BYTES"):
                ends = place == own + first
                gone = torn | self.clear
                m.d.comb += [
                    self.sending.eq(1),
                    self.o.valid.eq(ends | gone | self.i.valid),
                    byte.eq(Mux(ends, ~gone, self.i.payload)),
                    self.i.ready.eq(~ends & ~torn & self.o.ready),
                ]
                with m.If(sent & ends):
                    m.d.sync += number.eq(number + 1)
                    m.next = "WAIT"
                    with m.If(final):
                        m.d.sync += self.saving.eq(0)
                        m.next = "IDLE"
        return m


class StateTaker(Component):
    """Hands the bytes of a state to the core; they are a state where they are as many as it has.

    Parameters
    ----------
    size : int

    Members
    -------
    restart : In(1)
        A state is about to come.
    whole : Out(1)
        All of it is there, and no more.
    i, o : In and Out(stream of 8 bits)
    """

    restart: Signal
    whole: Signal
    i: stream.Interface
    o: stream.Interface

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(
            {
                "restart": In(1),
                "whole": Out(1),
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return the counter; bytes beyond are passed over."""
        m = Module()
        came, beyond = Signal(range(self.size + 1)), Signal()
        full = came == self.size
        m.d.comb += [
            self.whole.eq(full & ~beyond),
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & ~full),
            self.i.ready.eq(self.o.ready | full),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += came.eq(Mux(full, came, came + 1))
            with m.If(full):
                m.d.sync += beyond.eq(1)
        with m.If(self.restart):
            m.d.sync += [came.eq(0), beyond.eq(0)]
        return m
