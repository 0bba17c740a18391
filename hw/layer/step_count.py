"""How many steps there were since the state was cleared, as results say it."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from mubinn.golden.model.stamp import Stamp
from mubinn.hw.stream.component import Component, View


def stamp_layout(stamp: Stamp) -> data.StructLayout:
    """Return the fields of a stamp."""
    return data.StructLayout({name: unsigned(bits) for name, bits in stamp.fields.items()})


class StepCount(Component):
    """Counts steps from 1 on.

    Parameters
    ----------
    stamp : Stamp

    Members
    -------
    step : In(1)
        A step is made in this cycle.
    clears : In(1)
        With it: the next one begins with a cleared state, and is step 1.
    o : Out(stamp_layout(stamp))
        Of the step made last, from the cycle after it on.
    """

    step: Signal
    clears: Signal
    o: View

    def __init__(self, stamp: Stamp) -> None:
        self.stamp = stamp
        super().__init__({"step": In(1), "clears": In(1), "o": Out(stamp_layout(stamp))})

    def elaborate(self, platform: object) -> Module:
        """Return the counter, and the flag that stays down once it is."""
        m = Module()
        stamp = self.stamp
        count, first = Signal(stamp.width), Signal(init=1)
        now = Signal(stamp.width)
        m.d.comb += now.eq(Mux(first, 0, count) + 1)
        with m.If(self.step):
            m.d.sync += [count.eq(now), first.eq(self.clears)]
        if stamp.bits is not None:
            m.d.comb += self.o.step.eq(count)
        if stamp.settle is not None:
            young = Signal()
            m.d.comb += self.o.unsettled.eq(young)
            with m.If(self.step):
                m.d.sync += young.eq((first | young) & (now != stamp.settle))
        return m
