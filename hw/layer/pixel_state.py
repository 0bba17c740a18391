"""The states of a frame's pixels: h of this frame and the one before, and whose turn it is."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.layer.layer_memory import state_address
from mubinn.hw.stream.component import Component, Memory, View
from mubinn.hw.stream.fields import zero_planes


class Inside:
    """Which of the pixels around the present one lie in its frame.

    Parameters
    ----------
    m : Module
    sweep : Sweep
    step : Value
        In this cycle the present pixel becomes the next one.
    restart : Value
        In this cycle the first pixel of a frame does.

    Attributes
    ----------
    row, column : Signal
        Of the present pixel.
    ends : Value
        It is its frame's last.
    """

    def __init__(self, m: Module, sweep: Sweep, step: Value, restart: Value) -> None:
        self.sweep = sweep
        self.row, self.column = Signal(range(sweep.height)), Signal(range(sweep.width))
        wraps = self.column == sweep.width - 1
        self.ends: Value = wraps & (self.row == sweep.height - 1)
        with m.If(step):
            m.d.sync += self.column.eq(Mux(wraps, 0, self.column + 1))
            with m.If(wraps):
                m.d.sync += self.row.eq(Mux(self.ends, 0, self.row + 1))
        with m.If(restart):
            m.d.sync += [self.row.eq(0), self.column.eq(0)]

    def at(self, shift: tuple[int, int]) -> Value:
        """Return whether the pixel at rows and columns from the present one is in the frame."""
        found: Value = Const(1, 1)
        sizes = (self.sweep.height, self.sweep.width)
        for place, by, size in zip((self.row, self.column), shift, sizes, strict=True):
            if by < 0:
                found &= place >= -by
            elif by > 0:
                found &= place < size - by
        return found


class PixelState(Component):
    """`golden.cells.sweep.Sweep.neighbours` of the frame before, one pixel a cycle.

    The state h of a pixel is written when it is there, into one half of a memory; the other half
    has those of the frame before, of which the pixels around the next one are read in as many
    cycles as there are. What is outside of the frame, or before a window's first one, is the code
    of 0.

    Parameters
    ----------
    plan : LayerPlan
        Of a layer that sweeps frames.
    carries : bool
        Add `clears`; without it each window's last pixel clears.

    Members
    -------
    done : In(1), h : In(planes of outputs)
        In this cycle the new state of the present pixel is there.
    last : In(1)
        With `done`: it is the last one of its window.
    clears : In(1), with `carries`
        With `last`: the next window begins with the code of 0, and not where this one ends.
    begin : In(1)
        Nothing reads what was loaded before: the next pixel's may be. With `done` or after it.
    loaded : Out(1)
        What the present pixel reads is there in the next cycle, or already.
    shift : Out(1), word : Out(planes of outputs)
        In the cycles in which `shift` is 1, the next of the states that are read.
    first : Out(1)
        The present pixel is of a window's first frame, before which there is no state.
    base : Out(state_address(plan))
        Where memories of states have the first cells of the present pixel.
    """

    done: Signal
    h: View
    last: Signal
    clears: Signal
    begin: Signal
    loaded: Signal
    shift: Signal
    word: View
    first: Signal
    base: Signal

    def __init__(self, plan: LayerPlan, *, carries: bool = False) -> None:
        assert plan.sweep is not None
        self._carries = carries
        self.plan, self.sweep = plan, plan.sweep
        planes = data.ArrayLayout(unsigned(plan.layer.outputs), plan.layer.h.levels)
        super().__init__(
            {
                "done": In(1),
                "h": In(planes),
                "last": In(1),
                **({"clears": In(1)} if carries else {}),
                "begin": In(1),
                "loaded": Out(1),
                "shift": Out(1),
                "word": Out(planes),
                "first": Out(1),
                "base": Out(state_address(plan)),
            }
        )

    @staticmethod
    def depth(plan: LayerPlan) -> int:
        """Return the words of the memory of h: two frames, each filled up to a power of two."""
        return 2 << (plan.pixels - 1).bit_length()

    def elaborate(self, platform: object) -> Module:
        """Return the counters and, where rows read h, its memory."""
        m = Module()
        inside = Inside(m, self.sweep, self.done, self.done & self.last)
        ends = inside.ends | self.last
        first = Signal(init=1)
        m.d.comb += self.first.eq(first)
        with m.If(self.done):
            m.d.sync += self.base.eq(Mux(ends, 0, self.base + self.plan.rounds))
            with m.If(ends):
                m.d.sync += first.eq(self.clears if self._carries else self.last)
        if self.plan.load_cycles:
            self._load(m, inside, ends)
        else:
            m.d.comb += self.loaded.eq(1)
        return m

    def _load(self, m: Module, inside: Inside, ends: Value) -> None:
        """Add the memory of h, what writes it, and what reads the pixels around the next one."""
        sweep, layer = self.sweep, self.plan.layer
        pixel, half = Signal(range(sweep.pixels)), Signal()
        memory = Memory(
            shape=unsigned(len(self.h.as_value())), depth=self.depth(self.plan), init=[]
        )
        m.submodules.m_h = memory
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.done),
            write.addr.eq(Cat(pixel, half)),
            write.data.eq(self.h.as_value()),
        ]
        with m.If(self.done):
            m.d.sync += [pixel.eq(Mux(ends, 0, pixel + 1)), half.eq(half ^ ends)]
        tap, loads, loaded = Signal(range(sweep.taps)), Signal(), Signal(init=1)
        m.d.comb += self.loaded.eq(loaded)
        with m.If(self.begin):
            m.d.sync += [loads.eq(1), loaded.eq(0)]
        with m.If(loads):
            m.d.sync += tap.eq(tap + 1)
            with m.If(tap == sweep.taps - 1):
                m.d.sync += [tap.eq(0), loads.eq(0), loaded.eq(1)]
        place, there, known = Signal.like(pixel), Signal(), Signal()
        with m.Switch(tap):
            for k, (down, across) in enumerate(sweep.shifts):
                with m.Case(k):
                    m.d.comb += place.eq(pixel + (down * sweep.width + across))
                    m.d.comb += there.eq(inside.at((down, across)))
        m.d.comb += read.addr.eq(Cat(place, ~half))
        m.d.sync += [self.shift.eq(loads), known.eq(there & ~self.first)]
        zero = zero_planes(layer.h, layer.outputs)
        for k, own in enumerate(zero):
            held = read.data.word_select(k, layer.outputs)
            m.d.comb += self.word[k].eq(Mux(known, held, own))
