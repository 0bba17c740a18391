"""A core behind a link, on a board: its clock, its reset, its pins."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib.cdc import FFSynchronizer  # type: ignore[import-untyped]  # not in the stubs
from amaranth.lib.wiring import In, Out

from mubinn.hw.boards.board import Board
from mubinn.hw.boards.clock_gate import clock_gate
from mubinn.hw.boards.pll import Pll
from mubinn.hw.link.link_top import CORE, LinkTop
from mubinn.hw.stream.component import Component

WAIT = 10
"""The design stays in reset for 2 ** `WAIT` cycles: block RAMs of an iCE40 need some microseconds
after the configuration until they can be read."""


class BoardTop(Component):
    """What a bitstream is made of: a `LinkTop` with the board's pins for ports.

    It runs from the board's clock, or from a PLL on it. The reset ends `WAIT` after the
    configuration, the PLL's lock and the button, and is synchronous. The clock of a link's core is
    stopped by the device's own gate.

    Parameters
    ----------
    link : LinkTop
    board : Board
    pll : Pll or None

    Members
    -------
    clk : In(1)
    button : In(1), where the board has one
        Resets while it is pressed.
    rx, tx or sck, mosi, cs_n, miso, ready, waiting
        As of `LinkTop`.
    led_0 : Out(1), led_1 : Out(1), where the board has them
        The design runs; a packet is to be sent.
    """

    clk: Signal
    button: Signal

    def __init__(self, link: LinkTop, board: Board, pll: Pll | None = None) -> None:
        self.link, self.board, self.pll = link, board, pll
        self.port = "spi" if link.divisor is None else "uart"
        members = link.signature.members
        inputs = {"clk", "button"}
        flows = {
            name: In(1)
            if name in inputs or (name in members and members[name].flow == In)
            else Out(1)
            for name in board.pins(self.port)
        }
        super().__init__(flows)

    def elaborate(self, platform: object) -> Module:
        """Return the clock, the reset and the link."""
        m = Module()
        # What counts the reset's cycles has none itself.
        m.domains.start = ClockDomain(reset_less=True)
        m.domains.sync = ClockDomain()
        locked, stop, runs = Signal(), Signal(), Signal()
        held = Signal(WAIT)
        clock = self.clk
        if self.pll is not None:
            clock, ready = Signal(), Signal()
            m.submodules.pll = self.pll.instance(self.clk, clock, ready)
            m.submodules.lock = FFSynchronizer(ready, locked, o_domain="start")
        m.d.comb += [ClockSignal(domain).eq(clock) for domain in ("start", "sync")]
        pressed = Signal()
        if self.board.reset is not None:
            down = ~self.button if self.board.reset.low else self.button
            m.submodules.button = FFSynchronizer(down, pressed, o_domain="start")
        m.d.comb += stop.eq(pressed if self.pll is None else pressed | ~locked)
        with m.If(stop):
            m.d.start += held.eq(0)
        with m.Elif(~runs):
            m.d.start += held.eq(held + 1)
        m.d.start += runs.eq(~stop & (runs | held.all()))
        m.d.comb += ResetSignal("sync").eq(~runs)
        if self.link.gated:
            self._gate(m, clock, runs)
        elif self.link.sleeps:
            # What is used here is a port of the link's module, where a simulation looks for it.
            awake = Signal()
            m.d.comb += awake.eq(self.link.core_awake)

        m.submodules.link = self.link
        for name in self.board.port(self.port):
            outer, inner = getattr(self, name), getattr(self.link, name)
            flow = self.signature.members[name].flow
            m.d.comb += inner.eq(outer) if flow == In else outer.eq(inner)
        for k, (pin, says) in enumerate(
            zip(self.board.leds, (runs, self.link.waiting), strict=False)
        ):
            m.d.comb += getattr(self, f"led_{k}").eq(~says if pin.low else says)
        for name, (_, value) in self.board.held.items():
            m.d.comb += getattr(self, name).eq(value)
        return m

    def _gate(self, m: Module, clock: Signal, runs: Signal) -> None:
        """Give the core its clock while it is awake, and in reset."""
        m.domains += ClockDomain(CORE)
        gated = Signal()
        m.submodules.gate = clock_gate(self.board.device.gate, clock, self.link.core_awake, gated)
        m.d.comb += [ClockSignal(CORE).eq(gated), ResetSignal(CORE).eq(~runs)]
