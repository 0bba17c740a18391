"""Some of a window's results: every n-th, and the last one."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from mubinn.hw.layer.classifier import END
from mubinn.hw.stream.component import Component


class EveryNth(Component):
    """Passes every n-th result of a window and that with ``end``, in the cycle in which they come.

    The others are taken at once and dropped. A window's first result is counted as 1.

    Parameters
    ----------
    layout : StructLayout
        Of a result, with the field ``end``.
    every : int
        n, 2 or more.

    Members
    -------
    i, o : stream of `layout`
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, layout: data.StructLayout, every: int) -> None:
        self.every = every
        super().__init__({"i": In(stream.Signature(layout)), "o": Out(stream.Signature(layout))})

    def elaborate(self, platform: object) -> Module:
        """Return the counter."""
        m = Module()
        before, due = Signal(range(self.every)), Signal()
        m.d.comb += [
            due.eq(getattr(self.i.payload, END) | (before == self.every - 1)),
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & due),
            self.i.ready.eq(self.o.ready | ~due),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += before.eq(Mux(due, 0, before + 1))
        return m
