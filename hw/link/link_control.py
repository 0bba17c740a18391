"""What becomes of each packet: windows and loads are begun, gone on with, or given up."""

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from mubinn.hw.link.packet_receiver import PACKET
from mubinn.hw.link.packets import COUNTS, FIELDS, LOADING, Flags, Kind
from mubinn.hw.stream.component import Component, View

WIDTH = FIELDS["counter"]


class LinkControl(Component):
    """Takes samples where nothing before them in their window is missing, and counts.

    A gap in the counters, or samples that begin a window inside another one, give up the window
    that is open; samples of a window that is not open are passed over. Until the first packet, and
    after a clear, any counter is the next one.

    Where weights are loaded, a load is open where a window would be, and either gives up the other.
    No window is taken unless the load that was begun last is whole, and none goes on from one
    before a load. A load goes on at the packet that is missing: a packet of weights that is not the
    next one of the load is passed over, as if it had not come, and what is expected stays. A
    status is due for each packet of weights, once it is where it belongs or is passed over, and
    for one that is refused while a load is open. None adds to `lost`, as it may be sent again.

    Where windows say whether they go on from the one before, one that does is taken where that one
    was taken whole, and no packet is known to be missing since.

    Parameters
    ----------
    loads : bool
        Weights are loaded.
    carries : bool
        Windows say whether they go on from the one before, whose state is then in the core.

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
        The last byte of a payload goes to the core, or the loader, in this cycle.
    loaded : In(1), with `loads`
        In the cycle after the last byte of a load: the loader has all of it.
    take, drop : Out(1)
        Of the payload, as in `mubinn.hw.link.packet_receiver.PacketReceiver`.
    go : Out(1)
        The payload may go to the core: no earlier window is worked on.
    last : Out(1)
        The payload ends its window.
    clear : Out(1)
        Have the core forget its window, with what is on the way to it, and its state.
    loading, begins, empty : Out(1), with `loads`
        The payload is of weights; in this cycle the first one of a load may go out from the next
        cycle on; the weights are not all there.
    due : Out(1)
        A status is to be sent: it was asked for, or a window was given up, or all was cleared, or
        a packet of weights has come.
    lost, working : Out(1)
        As in `mubinn.hw.link.packets.Flags`.
    window : Out(16)
        Counter of the packet that began the window which is worked on.
    counts : Out(layout of COUNTS, and LOADING with `loads`)
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
    loaded: Signal
    loading: Signal
    begins: Signal
    empty: Signal

    def __init__(self, *, loads: bool = False, carries: bool = False) -> None:
        self._loads, self._carries = loads, carries
        self.counted = COUNTS | LOADING if loads else COUNTS
        more = dict.fromkeys(("loading", "begins", "empty"), Out(1)) | {"loaded": In(1)}
        super().__init__(
            {
                "packet": In(PACKET),
                **dict.fromkeys(("refused", "held", "ended", "fed", "reported", "stamped"), In(1)),
                **dict.fromkeys(("take", "drop", "go", "last", "clear"), Out(1)),
                **dict.fromkeys(("due", "lost", "working"), Out(1)),
                "window": Out(WIDTH),
                "counts": Out(data.StructLayout(self.counted)),
                **(more if loads else {}),
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
        lapsed, again, put = self._windows(m, missing, cleared)
        heeded: Value = packet.valid
        told: Value = lapsed | self._told(packet)
        if self._loads:
            heeded &= ~again
            told |= again | put
            missing = missing & (packet.kind != Kind.WEIGHTS)
        with m.If(self.reported):
            m.d.sync += self.due.eq(0)
        with m.If(told):
            m.d.sync += self.due.eq(1)
        with m.If(self.stamped | self.reported):
            m.d.sync += self.lost.eq(0)
        with m.If(missing):
            m.d.sync += [counts.lost.eq(counts.lost + gap), self.lost.eq(1)]
        with m.If(heeded):
            m.d.sync += [known.eq(1), counts.expected.eq(packet.counter + 1)]
            m.d.sync += counts.received.eq(counts.received + 1)
        for name, event in {"refused": self.refused, "dropped": lapsed}.items():
            with m.If(event):
                m.d.sync += counts[name].eq(counts[name] + 1)
        with m.If(cleared):
            m.d.sync += [counts[name].eq(0) for name in ("refused", "lost", "dropped")]
            m.d.sync += [counts.received.eq(1), self.lost.eq(0)]
        return m

    def _told(self, packet: View) -> Value:
        """Return whether a status is due for the sake of what this cycle's packet is."""
        found: Value = packet.valid & (packet.kind != Kind.SAMPLES)
        if self._loads:
            found &= packet.kind != Kind.WEIGHTS
        return found

    def _windows(self, m: Module, missing: Signal, cleared: Signal) -> tuple[Value, ...]:
        """Follow the windows; return whether one is given up, or begins with what is missing.

        And whether the packet is of weights, but not the next one; and whether one of a load is put
        where it belongs, or refused.
        """
        packet = self.packet
        # A window is open until its last packet is taken, and running until its result has gone.
        open_, passed, running = (Signal(name=name) for name in ("open", "passed", "running"))
        first, ends, samples, give_up = Signal(), Signal(), Signal(), Signal()
        latest, starts = Signal(WIDTH), Signal()
        begin, fed = self.held & starts & ~running, self.fed & self.last
        known = packet.kind == Kind.SAMPLES
        # What may begin, what may go on, and what is neither but ends what is open.
        fresh: Value = first
        onward, other = open_ & ~missing, samples & first
        clear, working = cleared | (give_up & ~running), running | self.held
        lapsed, passing, gone = map(Value.cast, (give_up, samples, missing))
        weights = packet.kind == Kind.WEIGHTS if self._loads else Const(0, 1)
        again = put = Value.cast(0)
        if self._loads:
            known |= weights
            fresh &= weights | ~self.empty
            onward &= ~first & (weights == self.loading)
            other = samples & (first | (weights != self.loading))
            clear |= self.begins
            closing = self._load(m, weights, begin & self.loading, latest)
            put = closing | (self.refused & open_ & self.loading)
            working |= closing
            fed &= ~self.loading
            again = samples & weights & ~self.take
            # What becomes of a load is told by its host, and no window is lost with it.
            lapsed, passing, gone = give_up & ~self.loading, samples & ~again, missing & ~weights
        if self._carries:
            breaks = missing | give_up | (samples & ~self.take)
            torn, anew = self._goes_on(m, weights, first, missing, breaks, cleared)
            fresh &= ~torn
            onward &= ~first
            clear |= begin & anew
        m.d.comb += [
            first.eq((packet.flags & Flags.FIRST) != 0),
            ends.eq((packet.flags & Flags.LAST) != 0),
            samples.eq(packet.valid & known),
            self.take.eq(samples & (fresh | onward)),
            give_up.eq(open_ & (gone | other)),
            self.drop.eq(give_up | cleared),
            self.go.eq(~running),
            self.clear.eq(clear),
            self.working.eq(working),
        ]
        self._run(m, running, fed)
        with m.If(give_up):
            m.d.sync += [open_.eq(0), passed.eq(1)]
        with m.If(passing):
            m.d.sync += passed.eq(~self.take & ~ends)
        # The results of the window before are stamped with its own counter: the next one waits.
        with m.If(begin):
            m.d.sync += [self.window.eq(latest), starts.eq(0)]
        with m.If(self.take):
            m.d.sync += [open_.eq(~ends), self.last.eq(ends), starts.eq(first)]
            with m.If(first):
                m.d.sync += latest.eq(packet.counter)
        with m.If(cleared):
            m.d.sync += [open_.eq(0), passed.eq(0), running.eq(0)]
        return lapsed | (passing & ~self.take & ~passed), again, put

    def _run(self, m: Module, running: Signal, fed: Value) -> None:
        """Follow whether a window is worked on."""
        with m.If(self.ended):
            m.d.sync += running.eq(0)
        with m.If(fed):
            m.d.sync += running.eq(1)

    def _goes_on(
        self,
        m: Module,
        weights: Value,
        first: Signal,
        missing: Signal,
        breaks: Value,
        cleared: Signal,
    ) -> tuple[Value, Signal]:
        """Return whether a window would go on from what is not there, and whether one begins anew.

        `breaks`: in this cycle a window is lost, or may be.
        """
        broken, anew = Signal(init=1), Signal()
        goes_on = ((self.packet.flags & Flags.CARRIED) != 0) & ~weights
        with m.If(self.take & first):
            m.d.sync += anew.eq(~goes_on)
        with m.If(breaks):
            m.d.sync += broken.eq(1)
        with m.If(self.take):
            m.d.sync += broken.eq(weights)
        with m.If(cleared):
            m.d.sync += broken.eq(1)
        return goes_on & (missing | broken), anew

    def _load(self, m: Module, weights: Value, begins: Value, counter: Signal) -> Signal:
        """Follow what is loaded; return whether it is not known yet what has become of a packet."""
        closing, whole = Signal(), Signal()
        m.d.comb += [self.begins.eq(begins), self.empty.eq(~whole)]
        m.d.sync += closing.eq(self.fed & self.loading)
        with m.If(self.take):
            m.d.sync += self.loading.eq(weights)
        with m.If(begins):
            m.d.sync += [whole.eq(0), self.counts.weights.eq(counter)]
        with m.If(closing):
            m.d.sync += whole.eq(self.last & self.loaded)
        return closing
