"""Windows turned round: the last step first, in one memory that is read and written in turn."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from mubinn.hw.stream.component import Component, Memory


class Turned(Component):
    """A stream of windows whose payloads leave in the opposite order, windows as they came.

    A window is written to one side of the memory until its last payload; then it is read from there
    back to its first. The next one is written into the places that become free, in the other
    direction, so that one memory of the longest window is enough and both go on at once: a payload
    a cycle in and out. The first payload of a window is offered two cycles after its last one was
    taken, where the window before is out by then.

    Of a window longer than `depth` the first payloads are lost.

    Parameters
    ----------
    layout : StructLayout
        Of a payload.
    depth : int
        Payloads of the longest window.
    end : str
        The field that marks the last payload of a window, in either order.

    Members
    -------
    i, o : In(stream of layout), Out(stream of layout)
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, layout: data.StructLayout, depth: int, end: str = "last") -> None:
        self.layout, self.depth, self.end = layout, depth, end
        signature = stream.Signature(layout)
        super().__init__({"i": In(signature), "o": Out(signature)})

    def elaborate(self, platform: object) -> Module:
        """Return the memory, what writes it, and what reads it."""
        m = Module()
        m.submodules.steps = memory = Memory(
            shape=self.layout.as_shape().width, depth=self.depth, init=[]
        )
        write, read = memory.write_port(), memory.read_port()
        # What is written: the window's next place and its length so far; it may be complete, and
        # wait until the window before is read.
        place, up = Signal(range(self.depth)), Signal(init=1)
        count, waits = Signal(range(self.depth + 1)), Signal()
        # What is read: the next place, and how many of how many payloads were.
        at, back_up = Signal(range(self.depth)), Signal()
        done, size = Signal(range(self.depth + 1)), Signal(range(self.depth + 1))
        idle, taken, ends = Signal(), Signal(), Signal()
        m.d.comb += [
            idle.eq(done == size),
            self.i.ready.eq(~waits & (idle | (count < done))),
            taken.eq(self.i.valid & self.i.ready),
            ends.eq(taken & getattr(self.i.payload, self.end)),
            write.addr.eq(place),
            write.data.eq(self.i.payload.as_value()),
            write.en.eq(taken),
        ]
        length = Signal.like(size)
        m.d.comb += length.eq(Mux(count == self.depth, count, count + taken))
        with m.If(taken & ~ends):
            m.d.sync += [place.eq(self._beside(place, up)), count.eq(length)]
        fetch = Signal()
        m.d.comb += [
            fetch.eq(~idle & (~self.o.valid | self.o.ready)),
            read.addr.eq(at),
            read.en.eq(fetch),
            self.o.payload.as_value().eq(read.data),
        ]
        last = Signal()
        m.d.comb += getattr(self.o.payload, self.end).eq(last)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(fetch):
            m.d.sync += [self.o.valid.eq(1), last.eq(done + 1 == size)]
            m.d.sync += [at.eq(self._beside(at, back_up)), done.eq(done + 1)]
        with m.If((ends | waits) & idle):
            # The window after this one begins where this one ends.
            m.d.sync += [at.eq(place), back_up.eq(~up), done.eq(0), size.eq(length)]
            m.d.sync += [up.eq(~up), count.eq(0), waits.eq(0)]
        with m.Elif(ends):
            m.d.sync += [waits.eq(1), count.eq(length)]
        return m

    def _beside(self, place: Signal, up: Signal) -> Value:
        """Return the place after `place` in one direction, round the ends of the memory."""
        top = self.depth - 1
        upward = Mux(place == top, 0, place + 1)
        return Mux(up, upward, Mux(place == 0, top, place - 1))
