"""The gateware around a stream unit under test: its pins, and a player of whole batches.

A bench that wakes Python at every transfer runs some 20,000 transfers a second. The player issues
a batch of transfers from one wide input, stalls both sides at random, watches the protocol and
hands the results back as one wide output, so that Python wakes once a batch. The same build also
brings the unit's streams out as pins, for benches that drive them cycle by cycle.
"""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mubinn.sim.testbench.bench import FAULTS

STALL_BITS = 8  # a stall probability is given in 256ths


class Harness(wiring.Component):  # type: ignore[type-arg]
    """A unit with one input and one output stream, between its pins and a batch player.

    Latency and throughput are the unit's own: the harness adds no cycle on either path. A batch of
    n transfers without stalls takes n + latency + 2 cycles.

    Parameters
    ----------
    unit : wiring.Component
        Component with the streams ``i`` and ``o`` and one output transfer for each input transfer.
    batch : int
        Most transfers of one batch.

    Members
    -------
    i, o : In, Out(stream.Signature(unsigned(width)))
        The unit's streams while `batched` is 0; payloads are packed.
    batched : In(1)
        1 gives the unit to the player.
    feed : In(batch * input width)
        Input payloads of the batch, the first in the lowest bits.
    count : In(range(batch + 1))
        Transfers of the batch.
    go : In(1)
        A change starts the batch; `done` follows it when the last result is in.
    seed : In(32)
        Taken at the start of a batch unless 0: state of the generator that stalls.
    stall_i, stall_o : In(8)
        Probability in 256ths that a side pauses for a cycle.
    results : Out(batch * output width)
        Output payloads, the last one in the highest bits.
    latency, span : Out(16)
        Cycles from the first input transfer to the first output transfer, and from the first to
        the last output transfer (count - 1 at full throughput).
    fault : Out(3)
        Protocol faults seen since reset, see `mubinn.sim.testbench.bench.FAULTS`.
    """

    i: stream.Interface
    o: stream.Interface
    batched: Signal
    feed: Signal
    count: Signal
    go: Signal
    seed: Signal
    stall_i: Signal
    stall_o: Signal
    results: Signal
    done: Signal
    latency: Signal
    span: Signal
    fault: Signal

    def __init__(self, unit: Any, batch: int) -> None:
        self.unit = unit
        self.batch = batch
        self.i_width = len(Value.cast(unit.i.payload))
        self.o_width = len(Value.cast(unit.o.payload))
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(self.i_width))),
                "o": Out(stream.Signature(unsigned(self.o_width))),
                "batched": In(1),
                "feed": In(unsigned(batch * self.i_width)),
                "count": In(range(batch + 1)),
                "go": In(1),
                "seed": In(32),
                "stall_i": In(STALL_BITS),
                "stall_o": In(STALL_BITS),
                "results": Out(unsigned(batch * self.o_width)),
                "done": Out(1),
                "latency": Out(16),
                "span": Out(16),
                "fault": Out(len(FAULTS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the module."""
        m = Module()
        m.submodules.unit = self.unit
        i_valid, i_ready, o_ready = Signal(), Signal(), Signal()
        word = Signal(self.i_width)
        m.d.comb += [
            self.unit.i.valid.eq(Mux(self.batched, i_valid, self.i.valid)),
            Value.cast(self.unit.i.payload).eq(Mux(self.batched, word, self.i.payload)),
            self.unit.o.ready.eq(Mux(self.batched, o_ready, self.o.ready)),
            self.i.ready.eq(self.unit.i.ready & ~self.batched),
            self.o.valid.eq(self.unit.o.valid & ~self.batched),
            self.o.payload.eq(Value.cast(self.unit.o.payload)),
            i_ready.eq(self.unit.i.ready),
        ]
        self._play(m, i_valid, i_ready, word, o_ready)
        self._watch(m)
        return m

    def _play(
        self, m: Module, i_valid: Signal, i_ready: Signal, word: Signal, o_ready: Signal
    ) -> None:
        """Add the batch player: source, sink and counters."""
        running, hold, seen = Signal(), Signal(), Signal()
        sent, got = Signal(range(self.batch + 1)), Signal(range(self.batch + 1))
        started, finished = Signal(), Signal()
        random = self._random(m, running)
        i_pause = random[:STALL_BITS] < self.stall_i
        o_pause = random[STALL_BITS : 2 * STALL_BITS] < self.stall_o
        chosen = Signal(self.i_width)
        # A case for each word: simulators shift the whole vector for a variable slice.
        with m.Switch(sent):
            for k in range(self.batch):
                with m.Case(k):
                    m.d.comb += chosen.eq(self.feed.word_select(k, self.i_width))
        i_taken, o_taken = i_valid & i_ready, self.unit.o.valid & o_ready
        m.d.comb += [
            i_valid.eq(running & (sent != self.count) & (hold | ~i_pause)),
            # A unit that looks at a payload that is not valid sees a wrong one.
            word.eq(Mux(i_valid, chosen, ~chosen)),
            o_ready.eq(running & (got != self.count) & ~o_pause),
            started.eq(self.batched & ~running & (self.go != seen)),
            finished.eq(running & (got == self.count)),
        ]
        with m.If(started):
            m.d.sync += [running.eq(1), seen.eq(self.go), sent.eq(0), got.eq(0), hold.eq(0)]
            m.d.sync += [self.latency.eq(0), self.span.eq(0)]
        with m.If(finished):
            # One cycle after the last result, so that a bench woken by it reads settled results.
            m.d.sync += [running.eq(0), self.done.eq(seen)]
        with m.If(running):
            m.d.sync += hold.eq(i_valid & ~i_ready)
            m.d.sync += [sent.eq(sent + i_taken), got.eq(got + o_taken)]
            with m.If(((sent != 0) | i_taken) & (got == 0) & ~o_taken):
                m.d.sync += self.latency.eq(self.latency + 1)
            with m.If((got != 0) & (got != self.count)):
                m.d.sync += self.span.eq(self.span + 1)
            with m.If(o_taken):
                results = Cat(self.results, Value.cast(self.unit.o.payload))
                m.d.sync += self.results.eq(results[self.o_width :])
        excess = Mux(i_valid, o_taken & ~i_taken, self.unit.o.valid)
        with m.If(self.batched & (sent == got) & excess):
            m.d.sync += self.fault[2].eq(1)

    def _random(self, m: Module, running: Signal) -> Signal:
        """Return the state of a 32-bit xorshift generator (Marsaglia 2003, shifts 13, 17, 5)."""
        state = Signal(32, init=0x2545F491)
        a, b, c = Signal(32), Signal(32), Signal(32)
        m.d.comb += [a.eq(state ^ (state << 13)), b.eq(a ^ (a >> 17)), c.eq(b ^ (b << 5))]
        m.d.sync += state.eq(Mux(~running & (self.seed != 0), self.seed, c))
        return state

    def _watch(self, m: Module) -> None:
        """Add the checks of the output stream's protocol, for pins and player alike."""
        o = self.unit.o
        waiting, payload = Signal(), Signal(self.o_width)
        m.d.sync += [waiting.eq(o.valid & ~o.ready), payload.eq(Value.cast(o.payload))]
        with m.If(waiting):
            with m.If(~o.valid):
                m.d.sync += self.fault[0].eq(1)
            with m.Elif(payload != Value.cast(o.payload)):
                m.d.sync += self.fault[1].eq(1)
