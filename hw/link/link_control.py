"""What becomes of each packet: windows and loads are begun, gone on with, or given up."""

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from mubinn.hw.link.packet_receiver import PACKET
from mubinn.hw.link.packets import COUNTS, FIELDS, GIVING, LOADING, Flags, Kind
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
    was taken whole, its last packet with it, and no packet is known to be missing since.

    Where a state goes out and in, it is taken by the rules of weights. It goes out between windows
    alone, and a window goes on from it only where it is whole, and no packet is known to be missing
    since; else none that goes on from anything is taken before a state is given, or all is cleared.

    Parameters
    ----------
    loads : bool
        Weights are loaded.
    carries : bool
        Windows say whether they go on from the one before, whose state is then in the core.
    states : bool
        The core's state goes out and in.

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
    given : In(1), with `states`
        In the cycle after the last byte of a state: all of it is in the core.
    saving : In(1), with `states`
        The state is going out.
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
    giving, gives, saves : Out(1), with `states`
        The payload is of a state; in this cycle the first one of a state may go out from the next
        cycle on; in this cycle the state is to go out.
    due : Out(1)
        A status is to be sent: it was asked for, or a window was given up, or all was cleared, or
        a packet of weights has come, or a state is taken, or does not go out.
    lost, working : Out(1)
        As in `mubinn.hw.link.packets.Flags`.
    window : Out(16)
        Counter of the packet that began the window which is worked on.
    counts : Out(layout of COUNTS, and LOADING with `loads`, GIVING with `states`)
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
    given: Signal
    saving: Signal
    giving: Signal
    gives: Signal
    saves: Signal

    def __init__(self, *, loads: bool = False, carries: bool = False, states: bool = False) -> None:
        self._loads, self._carries, self._states = loads, carries, states
        self.counted = COUNTS | (LOADING if loads else {}) | (GIVING if states else {})
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
                **(dict.fromkeys(("given", "saving"), In(1)) if states else {}),
                **(dict.fromkeys(("giving", "gives", "saves"), Out(1)) if states else {}),
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
        if self._states:
            found &= (packet.kind != Kind.GIVE) & ~self.saves
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
        occupied: Value = running | self.saving if self._states else running
        begin, fed = self.held & starts & ~occupied, self.fed & self.last
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
        stored = weights
        if self._states:
            state = packet.kind == Kind.GIVE
            known |= state
            stored = weights | state
            other |= samples & (state != self.giving)
            onward &= ~first & (state == self.giving)
            clear |= self.gives
            working |= self.saving | self._give(
                m, state, begin & self.giving, latest, fed & self.giving
            )
            fed &= ~self.giving
        if self._carries or self._states:
            lost = missing | give_up | (samples & ~self.take)
            torn, anew = self._goes_on(m, stored, first, (missing, open_, lost), cleared)
            fresh, onward = fresh & ~torn, onward & ~first
            if self._carries:
                clear |= begin & anew
        self._save(m, occupied | open_ | missing)
        m.d.comb += [
            first.eq((packet.flags & Flags.FIRST) != 0),
            ends.eq((packet.flags & Flags.LAST) != 0),
            samples.eq(packet.valid & known),
            self.take.eq(samples & (fresh | onward)),
            give_up.eq(open_ & (gone | other)),
            self.drop.eq(give_up | cleared),
            self.go.eq(~occupied),
            self.clear.eq(clear),
            self.working.eq(working),
        ]
        self._move(
            m,
            (open_, passed, running),
            (first, ends, passing, give_up),
            (latest, starts),
            (begin, fed, cleared),
        )
        return lapsed | (passing & ~self.take & ~passed), again, put

    def _move(
        self,
        m: Module,
        window: tuple[Signal, Signal, Signal],
        said: tuple[Signal, Signal, Value, Signal],
        next_: tuple[Signal, Signal],
        events: tuple[Value, Value, Signal],
    ) -> None:
        """Open, pass over, run and end windows, as `_windows` has it."""
        open_, passed, running = window
        first, ends, passing, give_up = said
        latest, starts = next_
        begin, fed, cleared = events
        with m.If(self.ended):
            m.d.sync += running.eq(0)
        with m.If(fed):
            m.d.sync += running.eq(1)
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
                m.d.sync += latest.eq(self.packet.counter)
        with m.If(cleared):
            m.d.sync += [open_.eq(0), passed.eq(0), running.eq(0)]

    def _goes_on(
        self,
        m: Module,
        stored: Value,
        first: Signal,
        gone: tuple[Signal, Signal, Value],
        cleared: Signal,
    ) -> tuple[Value, Signal]:
        """Return whether a window would go on from what is not there, and whether one begins anew.

        `stored`: what comes is no window; `gone`: packets are missing, something is open, and in
        this cycle a window is lost, or may be.
        """
        missing, open_, lost = gone
        # What begins inside what is open goes on from nothing.
        absent = missing | open_
        # Where none says whether it goes on, all do, the first one from a cleared state.
        broken, anew = Signal(init=int(self._carries)), Signal()
        says = (self.packet.flags & Flags.CARRIED) != 0 if self._carries else Const(1, 1)
        goes_on = says & ~stored
        with m.If(self.take & first):
            m.d.sync += anew.eq(~goes_on)
        with m.If(lost):
            m.d.sync += broken.eq(1)
        left = self.packet.kind == Kind.WEIGHTS if self._loads else Const(0, 1)
        with m.If(self.take):
            m.d.sync += broken.eq(left if self._states else stored)
        with m.If(cleared):
            m.d.sync += broken.eq(int(self._carries))
        if self._states:
            m.d.comb += self.counts.broken.eq(broken)
            with m.If(self._closing & ~self.given):
                m.d.sync += broken.eq(1)
        return goes_on & (absent | broken), anew

    def _save(self, m: Module, busy: Value) -> None:
        """Have the state go out where it is asked for, whole and at rest."""
        if self._states:
            busy = busy | self.held | self.counts.broken[0]
            m.d.comb += self.saves.eq(self.packet.valid & (self.packet.kind == Kind.SAVE) & ~busy)

    def _give(self, m: Module, state: Value, begins: Value, counter: Signal, ends: Value) -> Signal:
        """Follow a state that comes; return whether it is not known yet what has become of it."""
        self._closing = closing = Signal(name="given_closing")
        begun = Signal(WIDTH)
        m.d.comb += self.gives.eq(begins)
        m.d.sync += closing.eq(ends)
        with m.If(self.take):
            m.d.sync += self.giving.eq(state)
        with m.If(begins):
            m.d.sync += begun.eq(counter)
        with m.If(closing):
            m.d.sync += self.due.eq(1)
            with m.If(self.given):
                m.d.sync += self.counts.state.eq(begun)
        return closing

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
