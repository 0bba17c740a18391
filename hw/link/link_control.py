"""What becomes of each packet: windows are begun, gone on with, or given up."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from mubinn.hw.link.packet_receiver import PACKET
from mubinn.hw.link.packets import COUNTS, FIELDS, Flags, Kind
from mubinn.hw.stream.component import Component, View

WIDTH = FIELDS["counter"]


class LinkControl(Component):
    """Takes samples where nothing before them in their window is missing, and counts.

    A gap in the counters, or samples that begin a window inside another one, give up the window
    that is open; samples of a window that is not open are passed over. Until the first packet, and
    after a clear, any counter is the next one.

    Members
    -------
    packet : In(layout of `PACKET`)
    refused : In(1)
    ended : In(1)
        The last result of a window is handed to its sender in this cycle.
    held : In(1)
        A payload is.
    reported, stamped : In(1)
        A status, or a result, is handed to its sender in this cycle.
    fed : In(1)
        The last byte of a payload goes to the core in this cycle.
    take, drop : Out(1)
        Of the payload, as in `mubinn.hw.link.packet_receiver.PacketReceiver`.
    go : Out(1)
        The payload may go to the core: no earlier window is worked on.
    last : Out(1)
        The payload ends its window.
    clear : Out(1)
        Have the core forget its window, with what is on the way to it.
    due : Out(1)
        A status is to be sent: it was asked for, or a window was given up, or all was cleared.
    lost, working : Out(1)
        As in `mubinn.hw.link.packets.Flags`.
    window : Out(16)
        Counter of the packet that began the window which is worked on.
    counts : Out(layout of COUNTS)
    """

    packet: View
    refused: Signal
    held: Signal
    ended: Signal
    fed: Signal
    reported: Signal
    stamped: Signal
    take: Signal
    drop: Signal
    go: Signal
    last: Signal
    clear: Signal
    due: Signal
    lost: Signal
    working: Signal
    window: Signal
    counts: View

    def __init__(self) -> None:
        super().__init__(
            {
                "packet": In(PACKET),
                **dict.fromkeys(("refused", "held", "ended", "fed", "reported", "stamped"), In(1)),
                **dict.fromkeys(("take", "drop", "go", "last", "clear"), Out(1)),
                **dict.fromkeys(("due", "lost", "working"), Out(1)),
                "window": Out(WIDTH),
                "counts": Out(data.StructLayout(COUNTS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return the state of the window, and the counters."""
        m = Module()
        packet, counts = self.packet, self.counts
        known, gap, missing, cleared = Signal(), Signal(WIDTH), Signal(), Signal()
        m.d.comb += [
            gap.eq(packet.counter - counts.expected),
            missing.eq(packet.valid & known & (gap != 0)),
            cleared.eq(packet.valid & (packet.kind == Kind.CLEAR)),
        ]
        lapsed = self._windows(m, missing, cleared)
        with m.If(self.reported):
            m.d.sync += self.due.eq(0)
        with m.If(lapsed | (packet.valid & (packet.kind != Kind.SAMPLES))):
            m.d.sync += self.due.eq(1)
        with m.If(self.stamped | self.reported):
            m.d.sync += self.lost.eq(0)
        with m.If(missing):
            m.d.sync += [counts.lost.eq(counts.lost + gap), self.lost.eq(1)]
        with m.If(packet.valid):
            m.d.sync += [known.eq(1), counts.expected.eq(packet.counter + 1)]
            m.d.sync += counts.received.eq(counts.received + 1)
        for name, event in {"refused": self.refused, "dropped": lapsed}.items():
            with m.If(event):
                m.d.sync += counts[name].eq(counts[name] + 1)
        with m.If(cleared):
            m.d.sync += [counts[name].eq(0) for name in ("refused", "lost", "dropped")]
            m.d.sync += [counts.received.eq(1), self.lost.eq(0)]
        return m

    def _windows(self, m: Module, missing: Signal, cleared: Signal) -> Value:
        """Follow the windows; return whether one is given up, or begins with what is missing."""
        packet = self.packet
        # A window is open until its last packet is taken, and running until its result has gone.
        open_, passed, running = (Signal(name=name) for name in ("open", "passed", "running"))
        first, ends, samples, give_up = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            first.eq((packet.flags & Flags.FIRST) != 0),
            ends.eq((packet.flags & Flags.LAST) != 0),
            samples.eq(packet.valid & (packet.kind == Kind.SAMPLES)),
            self.take.eq(samples & (first | (open_ & ~missing))),
            give_up.eq(open_ & (missing | (samples & first))),
            self.drop.eq(give_up | cleared),
            self.go.eq(~running),
            self.clear.eq(cleared | (give_up & ~running)),
            self.working.eq(running | self.held),
        ]
        with m.If(self.ended):
            m.d.sync += running.eq(0)
        with m.If(self.fed & self.last):
            m.d.sync += running.eq(1)
        with m.If(give_up):
            m.d.sync += [open_.eq(0), passed.eq(1)]
        with m.If(samples):
            m.d.sync += passed.eq(~self.take & ~ends)
        # The results of the window before are stamped with its own counter: the next one waits.
        latest, starts = Signal(WIDTH), Signal()
        with m.If(self.held & starts & ~running):
            m.d.sync += [self.window.eq(latest), starts.eq(0)]
        with m.If(self.take):
            m.d.sync += [open_.eq(~ends), self.last.eq(ends), starts.eq(first)]
            with m.If(first):
                m.d.sync += latest.eq(packet.counter)
        with m.If(cleared):
            m.d.sync += [open_.eq(0), passed.eq(0), running.eq(0)]
        return give_up | (samples & ~self.take & ~passed)
