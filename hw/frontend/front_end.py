"""Samples of an ADC to those of a layer, one channel after the other."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from mubinn.golden.model.front_end import FRACTION, SHIFT, FrontEnd
from mubinn.hw.frontend.sample_encoder import sample_layout
from mubinn.hw.stream.component import Component, Memory
from mubinn.hw.stream.state_port import part_port


class StreamFrontEnd(Component):
    """`golden.model.front_end.FrontEnd` in hardware.

    The channels of a sample pass one after the other, channel 0 first, and so do the samples of a
    step. A sample is taken every other cycle. When the last one of a step is there its channels
    are offered, one every other cycle, and the next step waits until they are taken: `interval`.

    What a channel has become, clamped where it is offered, stands in a register: from there its
    magnitude is added up, and its sample is made, which stands in a second one until it is taken.

    Parameters
    ----------
    front_end : FrontEnd
    state_port : bool
        Add `turns`, `moved`, `shown` and `word`, by which the state goes out or in between windows:
        M of each channel, then D with the number of the step above it.

    Members
    -------
    i : In(stream of {value: signed of `FrontEnd.width` bits, last: 1})
        ``last`` counts with the last sample of a step.
    o : Out(stream of {value: signed of `FrontEnd.sample_width` bits, last: 1})
    carried : In(1)
        What a step that is a window's last leaves is what the next window begins with; else that
        one begins as after a reset. Seen with `leaves`.
    full : Out(1)
        The sample that is next is its step's last.
    leaves : Out(1)
        In this cycle the last channel of a window's last step has gone to its register.
    turns, moved : In(1), shown : Out(word), word : In(word), with `state_port`
        Of `mubinn.hw.accelerator.state_ring.StateRing`.
    """

    i: stream.Interface
    o: stream.Interface
    carried: Signal
    full: Signal
    leaves: Signal
    turns: Signal
    moved: Signal
    shown: Signal
    word: Signal

    def __init__(self, front_end: FrontEnd, *, state_port: bool = False) -> None:
        self.front_end = front_end
        self._state_port = state_port
        bits, _ = self.words(front_end)
        super().__init__(
            {
                **(part_port(bits) if state_port else {}),
                "i": In(stream.Signature(sample_layout(front_end.width))),
                "o": Out(stream.Signature(sample_layout(front_end.sample_width))),
                "carried": In(1),
                "full": Out(1),
                "leaves": Out(1),
            }
        )

    @staticmethod
    def interval(front_end: FrontEnd) -> int:
        """Return the cycles of a step, where nothing is waited for.

        Two more than those of its channels: until the exponent follows from what it has had.

        >>> StreamFrontEnd.interval(FrontEnd(32))
        194
        """
        return 2 * front_end.channels * (front_end.decimation + 1) + 2

    @staticmethod
    def steps(front_end: FrontEnd) -> int:
        """Return the step up to which steps are counted: nothing depends on later numbers."""
        return int(1 << max(front_end.gain, front_end.high_pass - 1))

    @classmethod
    def words(cls, front_end: FrontEnd) -> tuple[int, int]:
        """Return the bits of a word of the state, and how many there are."""
        last = front_end.size_width + cls.steps(front_end).bit_length()
        return max(front_end.slow_width, last), front_end.channels + 1

    def elaborate(self, platform: object) -> Module:
        """Return two memories of a word a channel, and what goes on in turn with them."""
        m = Module()
        own = self.front_end
        last_channel, last_sample = own.channels - 1, own.decimation - 1
        channel, sample = Signal(range(own.channels)), Signal(range(own.decimation))
        offers, there, ends = Signal(), Signal(), Signal()
        count = self.steps(own)
        step = Signal(range(count + 1))
        # The logarithm of what is divided by follows from D a cycle before the channels do.
        exponent = Signal(range(own.total_width))

        moves, offered = Signal(), Signal()
        takes, whole = self.i.valid & self.i.ready, Signal()
        m.d.comb += [
            self.full.eq((channel == last_channel) & (sample == last_sample)),
            self.i.ready.eq(~offers & there),
            offered.eq(offers & there & (~self.o.valid | self.o.ready)),
            moves.eq(takes | offered),
            whole.eq(moves & (channel == last_channel)),
        ]
        with m.If(moves):
            m.d.sync += channel.eq(Mux(whole, 0, channel + 1))
        closes = Signal()
        m.d.comb += closes.eq(takes & self.full)
        with m.If(takes & whole):
            m.d.sync += sample.eq(Mux(closes, 0, sample + 1))
        with m.If(closes):
            m.d.sync += [offers.eq(1), ends.eq(self.i.payload.last)]
        with m.If(offered & whole):
            m.d.sync += offers.eq(0)

        # From here on the cycle after: a channel's y, and whether it is one of a sum, and its last.
        y = self._taken(m, takes, channel, sample, step)
        passed, adds, made, sum_ends = Signal(y.shape()), Signal(), Signal(), Signal()
        m.d.sync += [
            passed.eq(Mux(offers, self._clamped(m, y, exponent), y)),
            adds.eq(moves & (offers | (sample == last_sample))),
            made.eq(offered),
            sum_ends.eq(whole & (offers | (sample == last_sample))),
        ]
        closed = self._followed(m, passed, adds, made, sum_ends, step, exponent)
        # A word is read in one cycle, and used and written from the next one on.
        m.d.sync += there.eq(~moves & ~(sum_ends & ~made) & ~closed)
        m.d.comb += self.leaves.eq(sum_ends & made & ends)
        with m.If(sum_ends & made):
            with m.If(step != count):
                m.d.sync += step.eq(step + 1)
            with m.If(self.leaves & ~self.carried):
                m.d.sync += step.eq(0)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(made):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.value.eq(self._sample(m, passed, exponent)),
                self.o.payload.last.eq(ends),
            ]
        if self._state_port:
            self._exchange(m, step, self._size)
        return m

    def _exchange(self, m: Module, step: Signal, size: Signal) -> None:
        """Let the state go out or in: each word of M, then D and the step."""
        own, read, write = self.front_end, self._slow_read, self._slow_write
        at = Signal(range(own.channels + 1))
        ends = at == own.channels
        # Before the first step M is what the memory happens to have.
        slow = Mux(step == 0, 0, read.data.as_unsigned())
        m.d.comb += self.shown.eq(Mux(ends, Cat(size, step), slow))
        with m.If(self.turns):
            m.d.comb += [read.addr.eq(at), write.addr.eq(at), write.data.eq(self.word)]
        with m.If(self.moved):
            m.d.sync += at.eq(Mux(ends, 0, at + 1))
            m.d.comb += write.en.eq(~ends)
            with m.If(ends):
                m.d.sync += Cat(size, step).eq(self.word)

    def _taken(
        self, m: Module, takes: Value, channel: Signal, sample: Signal, step: Signal
    ) -> Signal:
        """Return y of the channel: of what is taken, else as the memory has it."""
        own = self.front_end
        slow_memory = Memory(shape=signed(own.slow_width), depth=own.channels, init=[])
        y_memory = Memory(shape=signed(own.sum_width + 1), depth=own.channels, init=[])
        m.submodules.m_slow, m.submodules.m_difference = slow_memory, y_memory
        slow_read, slow_write = slow_memory.read_port(), slow_memory.write_port()
        y_read, y_write = y_memory.read_port(), y_memory.write_port()
        p = Signal(signed(own.sum_width))
        slow, y = Signal(signed(own.slow_width)), Signal(signed(own.sum_width + 1))
        is_whole = sample == own.decimation - 1
        m.d.comb += [
            p.eq(self.i.payload.value + Mux(sample == 0, 0, y_read.data)),
            slow.eq(Mux(step == 0, p << own.high_pass, slow_read.data)),
            y.eq(Mux(takes, p - (slow >> own.high_pass), y_read.data)),
            slow_write.data.eq(slow + (y << self._left(m, step, own.high_pass, 0))),
            slow_write.en.eq(takes & is_whole),
            y_write.data.eq(Mux(is_whole, y, p)),
            y_write.en.eq(takes),
        ]
        self._slow_read, self._slow_write = slow_read, slow_write
        for port in (slow_read, slow_write, y_read, y_write):
            m.d.comb += port.addr.eq(channel)
        return y

    @staticmethod
    def _left(m: Module, step: Signal, most: int, less: int) -> Signal:
        """Return `most` less the bits of the step's number and `less`, which is at least 0."""
        bits, left = len(step), Signal(range(most + 1))
        with m.Switch(step):
            for width in range(most + less):
                # Numbers of so many bits: zeros above a one.
                digits = "1" + "-" * (width - 1) if width else ""
                with m.Case("0" * (bits - width) + digits):
                    m.d.comb += left.eq(min(most, most + less - width))
        return left

    def _clamped(self, m: Module, y: Signal, exponent: Signal) -> Signal:
        """Return y as it is clamped."""
        own = self.front_end
        most, clamped = Signal(signed(own.sum_width + own.clamp + 3)), Signal(y.shape())
        m.d.comb += [
            most.eq(Array([1 << e + own.clamp for e in range(own.sum_width + 2)])[exponent]),
            clamped.eq(Mux(y >= most, most - 1, Mux(y < -most, -most, y))),
        ]
        return clamped

    def _sample(self, m: Module, clamped: Signal, exponent: Signal) -> Value:
        """Return the sample of what is clamped."""
        half = Signal(signed(self.front_end.sample_width - SHIFT + 1))
        m.d.comb += half.eq((clamped << FRACTION + 1) >> exponent)
        return (half + 1 >> 1) << SHIFT

    def _exponent(self, m: Module, size: Signal) -> Signal:
        """Return the logarithm of the mean magnitude, rounded down, at least 0."""
        own = self.front_end
        found, mean = Signal(range(own.total_width)), size >> own.gain + own.mean_shift
        for e in range(1, len(mean)):
            with m.If(mean[e]):
                m.d.comb += found.eq(e)
        return found

    def _followed(
        self,
        m: Module,
        passed: Signal,
        adds: Signal,
        made: Signal,
        sum_ends: Signal,
        step: Signal,
        exponent: Signal,
    ) -> Signal:
        """Add magnitudes up, D following them; return whether a step was taken two cycles ago.

        At t = 1 D, which is 0 until then, follows the magnitudes as they are not clamped.
        """
        own = self.front_end
        total, sums = Signal(own.total_width), Signal(own.total_width)
        size, left = Signal(own.size_width), Signal(range(own.gain + 1))
        self._size = size
        closed, follows, whole = Signal(), Signal(), Signal(own.total_width)
        m.d.comb += sums.eq(total + abs(passed))
        with m.If(adds):
            m.d.sync += total.eq(Mux(sum_ends, 0, sums))
        m.d.sync += [
            closed.eq(sum_ends & ~made),
            follows.eq(sum_ends & Mux(made, step != 0, step == 1)),
            whole.eq(sums),
            left.eq(self._left(m, step, own.gain, 1)),
        ]
        rest = Signal(signed(own.total_width + 1))
        m.d.comb += rest.eq(whole - (size >> own.gain))
        with m.If(follows):
            m.d.sync += size.eq(size + (rest << left))
        with m.If(closed & (step == 0)):
            m.d.sync += size.eq(0)
        m.d.sync += exponent.eq(self._exponent(m, size))
        return closed
