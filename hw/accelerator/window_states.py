"""Which of the windows under way leave their state to the next one."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from mubinn.hw.stream.component import Component


class WindowStates(Component):
    """A bit a window, told with its last step, and read by each part that this step comes to.

    Parts take a window one after the other, so that the bit may have changed when a later one does.

    Parameters
    ----------
    parts : int
        Who reads.
    windows : int
        Most of them that are under way.

    Members
    -------
    last : In(1), carried : In(1)
        In this cycle a window's last step goes in; whether the next one begins with its state.
    taken : In(parts)
        In this cycle part k takes a window's last step, which may be the one that goes in.
    kept : Out(parts)
        The bit of the window that part k takes, or takes next.
    """

    last: Signal
    carried: Signal
    taken: Signal
    kept: Signal

    def __init__(self, parts: int, windows: int) -> None:
        self._bits = (windows - 1).bit_length()
        super().__init__({"last": In(1), "carried": In(1), "taken": In(parts), "kept": Out(parts)})

    def elaborate(self, platform: object) -> Module:
        """Return the bits, and the number of the window of each part."""
        m = Module()
        flags, inside = Signal(1 << self._bits), Signal(self._bits)
        with m.If(self.last):
            m.d.sync += [flags.bit_select(inside, 1).eq(self.carried), inside.eq(inside + 1)]
        for k in range(len(self.taken)):
            at = Signal(self._bits, name=f"at_{k}")
            with m.If(self.taken[k]):
                m.d.sync += at.eq(at + 1)
            now = Mux(at == inside, self.carried, flags.bit_select(at, 1))
            m.d.comb += self.kept[k].eq(now)
        return m
