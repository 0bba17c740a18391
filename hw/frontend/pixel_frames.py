"""The pixels around each one of a frame, gathered from a memory of a few of its rows."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.sweep import Sweep
from mubinn.hw.frontend.gathered import Gathered
from mubinn.hw.layer.pixel_state import Inside
from mubinn.hw.stream.component import Memory, ReadPort
from mubinn.hw.stream.fields import zero_planes


class PixelFrames(Gathered):
    """`golden.cells.sweep.Sweep.of` in hardware: pixels in, what each one reads out.

    A pixel is taken a cycle while there is room for it: the memory has the least power of two of
    words above ``2 (reach + 1)``. What a pixel reads is gathered once the last of it is there, one
    pixel a cycle, and offered ``taps + 1`` cycles later; then the next one's begins. Windows are of
    whole frames; of others the last frame is left until a reset.

    Parameters and members are those of `Gathered`.
    """

    def __init__(self, layer: QuantizedLayer) -> None:
        assert isinstance(layer.frames, Sweep)
        self.sweep = layer.frames
        super().__init__(layer)

    @staticmethod
    def interval(sweep: Sweep) -> int:
        """Return the cycles from one offered pixel to the next, where none is waited for."""
        return sweep.taps + 2

    @staticmethod
    def depth(sweep: Sweep) -> int:
        """Return the pixels that the memory has, a power of two."""
        return 1 << (2 * (sweep.reach + 1)).bit_length()

    def elaborate(self, platform: object) -> Module:
        """Return the memory, the counters, and the shift registers."""
        m = Module()
        sweep, inputs, levels = self.sweep, self.layer.inputs, self.layer.x.levels
        depth = self.depth(sweep)
        memory = Memory(shape=unsigned(inputs * levels + 1), depth=depth, init=[])
        m.submodules.m_x = memory
        write, read = memory.write_port(), memory.read_port()
        # `ahead` pixels from the present one on are there, `left` of its frame follow it.
        written, present = Signal(range(depth)), Signal(range(depth))
        ahead, left = Signal(range(depth + 1)), Signal(range(sweep.pixels), init=sweep.pixels - 1)
        taken, passed = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(ahead < depth - sweep.reach),
            taken.eq(self.i.valid & self.i.ready),
            write.en.eq(taken),
            write.addr.eq(written),
            write.data.eq(self.i.payload.as_value()),
        ]
        m.d.sync += [written.eq(written + taken), ahead.eq(ahead + taken - passed)]
        inside = Inside(m, sweep, passed, Const(0, 1))
        with m.If(passed):
            m.d.sync += present.eq(present + 1)
            m.d.sync += left.eq(Mux(inside.ends, sweep.pixels - 1, left - 1))
        there = (ahead > sweep.reach) | (ahead > left)
        self._gather(m, read, there, present, inside, passed)
        return m

    def _gather(
        self,
        m: Module,
        read: ReadPort,
        there: Value,
        present: Signal,
        inside: Inside,
        passed: Signal,
    ) -> None:
        """Shift what the present pixel reads into the output, a tap a cycle, its word one later."""
        sweep, inputs, payload = self.sweep, self.layer.inputs, self.o.payload
        tap, gathers, shift = Signal(range(sweep.taps)), Signal(), Signal()
        here, known, middle, whole, last = Signal(), Signal(), Signal(), Signal(), Signal()
        with m.If(there & ~gathers & ~shift & (~self.o.valid | self.o.ready)):
            m.d.sync += gathers.eq(1)
        with m.If(gathers):
            m.d.sync += tap.eq(tap + 1)
            with m.If(tap == sweep.taps - 1):
                m.d.sync += [tap.eq(0), gathers.eq(0)]
                m.d.comb += passed.eq(1)
        with m.Switch(tap):
            for k, (down, across) in enumerate(sweep.shifts):
                with m.Case(k):
                    m.d.comb += read.addr.eq(present + (down * sweep.width + across))
                    m.d.comb += here.eq(inside.at((down, across)))
        m.d.sync += [shift.eq(gathers), known.eq(here), whole.eq(passed)]
        m.d.sync += middle.eq(gathers & (tap == sweep.taps // 2))
        with m.If(shift):
            for k, zero in enumerate(zero_planes(self.layer.x, inputs)):
                word = Mux(known, read.data.word_select(k, inputs), zero)
                m.d.sync += payload.x[k].eq(Cat(payload.x[k], word)[inputs:])
        with m.If(middle):
            m.d.sync += last.eq(read.data[-1])
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(whole):
            m.d.sync += [self.o.valid.eq(1), payload.last.eq(Mux(middle, read.data[-1], last))]
