"""The steps that a layer reads side by side, kept in shift registers."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In

from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.hw.frontend.gathered import Gathered
from mubinn.hw.stream.component import view_signal
from mubinn.hw.stream.fields import zero_planes


class StepFrames(Gathered):
    """`golden.cells.frames.Frames.of` in hardware: steps in, frames of `taps` steps out.

    One step is taken a cycle. A frame is offered in the cycle after its last step was taken; with a
    stride above 1, after the step that tells whether it is its window's last frame. A window that
    is too short for a frame gives one with what stands in the registers, so that it has a result.

    Parameters and members are those of `Gathered`, with those that follow.

    Parameters
    ----------
    carries : bool
        Add `carried`, where the stride is 1; without it each window begins after steps of 0.

    Members
    -------
    carried : In(1), with `carries`
        Seen when a window's last step is taken: the next window's frames begin with its steps.
    """

    carried: Signal

    def __init__(self, layer: QuantizedLayer, *, carries: bool = False) -> None:
        assert isinstance(layer.frames, Frames)
        self.frames = layer.frames
        self._carries = carries
        super().__init__(layer, {"carried": In(1)} if carries else {})

    def elaborate(self, platform: object) -> Module:
        """Return the registers of the steps before, and those of a frame that waits for its end."""
        m = Module()
        frames, inputs = self.frames, self.layer.inputs
        levels = self.layer.x.levels
        first = frames.taps - frames.before
        due = Signal(range(max(first, frames.stride) + 1), init=first)
        held, zero = self._held(levels)
        now = [Cat(held[k], self.i.payload.x[k]) for k in range(levels)]
        taken, last, made = Signal(), self.i.payload.last, Signal()
        with m.If(taken):
            m.d.sync += due.eq(due - 1)
            for k in range(levels):
                m.d.sync += held[k].eq(now[k][inputs:])
            with m.If(made):
                m.d.sync += due.eq(frames.stride)
            with m.If(last & ~self.carried if self._carries else last):
                m.d.sync += due.eq(first)
                m.d.sync += [held[k].eq(zero[k]) for k in range(levels)]
        free = Signal()
        m.d.comb += [free.eq(~self.o.valid | self.o.ready), taken.eq(self.i.valid & self.i.ready)]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        if frames.stride == 1:
            m.d.comb += [self.i.ready.eq(free), made.eq((due == 1) | last)]
            with m.If(taken & made):
                m.d.sync += [self.o.valid.eq(1), self.o.payload.last.eq(last)]
                m.d.sync += [self.o.payload.x[k].eq(now[k]) for k in range(levels)]
            return m
        # A frame waits until another one is made, or the window ends without one.
        wait = view_signal(self.o.payload.shape(), "wait")
        waits = Signal()
        m.d.comb += self.i.ready.eq(free & ~(waits & wait.last))
        m.d.comb += made.eq((due == 1) | (last & ~waits))
        with m.If(taken & made):
            m.d.sync += [waits.eq(1), wait.last.eq(last)]
            m.d.sync += [wait.x[k].eq(now[k]) for k in range(levels)]
        ends = taken & last & ~made
        with m.If(free & waits & (wait.last | taken & (made | last))):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(wait)]
            m.d.sync += self.o.payload.last.eq(wait.last | ends)
            with m.If(~(taken & made)):
                m.d.sync += waits.eq(0)
        return m

    def _held(self, levels: int) -> tuple[list[Signal], list[int]]:
        """Return the steps before by level, and what stands in them before a window."""
        frames, inputs = self.frames, self.layer.inputs
        zero = [
            sum(plane << k * inputs for k in range(frames.taps - 1))
            for plane in zero_planes(self.layer.x, inputs)
        ]
        size = (frames.taps - 1) * inputs
        return [Signal(size, name=f"held_{k}", init=zero[k]) for k in range(levels)], zero
