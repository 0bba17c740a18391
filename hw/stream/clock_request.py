"""When a clock is needed: while something is under way, and some cycles more."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from mubinn.hw.stream.component import Component


class ClockRequest(Component):
    """Asks for the clock while `busy` is 1 and `linger` cycles after it, and after a reset.

    Stop the clock at its low level, for as long as `awake` is 0. `busy` follows from inputs as
    well, so that what comes from outside asks for the clock in the very cycle in which it comes.

    Parameters
    ----------
    linger : int
        Cycles without `busy` in which what is under way may still go on.

    Members
    -------
    busy : In(1)
    awake : Out(1)
    """

    busy: Signal
    awake: Signal

    def __init__(self, linger: int) -> None:
        self._linger = linger
        super().__init__({"busy": In(1), "awake": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """Return a counter."""
        m = Module()
        left = Signal(range(self._linger + 1), init=self._linger)
        m.d.comb += self.awake.eq(self.busy | (left != 0))
        m.d.sync += left.eq(Mux(self.busy, self._linger, left - (left != 0)))
        return m
