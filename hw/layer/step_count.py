"""How many steps there were since the state was cleared, as results say it."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from mubinn.golden.model.stamp import Stamp
from mubinn.hw.stream.component import Component, View
from mubinn.hw.stream.state_port import part_port


def stamp_layout(stamp: Stamp) -> data.StructLayout:
    """Return the fields of a stamp."""
    return data.StructLayout({name: unsigned(bits) for name, bits in stamp.fields.items()})


def count_layout(stamp: Stamp) -> data.StructLayout:
    """Return the word of the state: steps, and whether they are too few yet, if results say so."""
    young = {} if stamp.settle is None else {"young": unsigned(1)}
    return data.StructLayout({"count": unsigned(stamp.width), **young})


class StepCount(Component):
    """Counts steps from 1 on.

    Parameters
    ----------
    stamp : Stamp
    state_port : bool
        Add `turns`, `moved`, `shown` and `word`, by which the one word `count_layout` goes out or
        in between windows.

    Members
    -------
    step : In(1)
        A step is made in this cycle.
    clears : In(1)
        With it: the next one begins with a cleared state, and is step 1.
    o : Out(stamp_layout(stamp))
        Of the step made last, from the cycle after it on.
    turns, moved : In(1), shown : Out(word), word : In(word), with `state_port`
        Of `mubinn.hw.accelerator.state_ring.StateRing`.
    """

    step: Signal
    clears: Signal
    o: View
    turns: Signal
    moved: Signal
    shown: View
    word: View

    def __init__(self, stamp: Stamp, *, state_port: bool = False) -> None:
        self.stamp = stamp
        self._state_port = state_port
        members = {"step": In(1), "clears": In(1), "o": Out(stamp_layout(stamp))}
        super().__init__(members | (part_port(count_layout(stamp)) if state_port else {}))

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
            if self._state_port:
                m.d.comb += self.shown.young.eq(first | young)
                with m.If(self.moved):
                    m.d.sync += young.eq(self.word.young)
        if self._state_port:
            m.d.comb += self.shown.count.eq(Mux(first, 0, count))
            with m.If(self.moved):
                m.d.sync += [count.eq(self.word.count), first.eq(0)]
        return m
