"""UART, 8N1: eight bits, the lowest first, no parity, one stop bit."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.cdc import FFSynchronizer  # type: ignore[import-untyped]  # not in the stubs
from amaranth.lib.wiring import In, Out

from mubinn.hw.link.line import check_divisor
from mubinn.hw.stream.component import Component


class UartReceiver(Component):
    """The line's bytes, each sampled in the middle of its bits.

    The line is two flip-flops behind, and counts as what it was in two of three cycles, so that a
    glitch of one cycle is nothing. A start bit that is over by its middle is none. A byte without a
    stop bit is dropped, and the next one begins after the line has been high.

    The ends may differ by 4 % of a bit's time from a divisor of 16 on, by 2 % at the least one.

    Parameters
    ----------
    divisor : int
        Clock cycles a bit, `mubinn.hw.link.line.LEAST_DIVISOR` or more.

    Members
    -------
    rx : In(1)
    o : Out(stream of 8 bits)
        A byte for one cycle, in the middle of its stop bit: it does not wait.
    """

    rx: Signal
    o: stream.Interface

    def __init__(self, divisor: int) -> None:
        self.divisor = check_divisor(divisor)
        super().__init__({"rx": In(1), "o": Out(stream.Signature(8, always_ready=True))})

    def elaborate(self, platform: object) -> Module:
        """Return a counter of cycles, one of bits, and a shift register."""
        m = Module()
        seen, past = Signal(init=1), Signal(2, init=3)
        line = Signal()
        m.submodules += FFSynchronizer(self.rx, seen, init=1)
        m.d.sync += past.eq(Cat(seen, past))
        m.d.comb += line.eq((seen & past[0]) | (seen & past[1]) | (past[0] & past[1]))
        rest = Signal(range(self.divisor))
        left = Signal(range(11))
        high = Signal()
        middle = rest == 0
        m.d.sync += [self.o.valid.eq(0), high.eq(line)]
        with m.If(left == 0):
            m.d.sync += rest.eq(self.divisor // 2 - 1)
            with m.If(high & ~line):
                m.d.sync += left.eq(10)
        with m.Else():
            m.d.sync += rest.eq(Mux(middle, self.divisor - 1, rest - 1))
            with m.If(middle):
                m.d.sync += left.eq(Mux((left == 10) & line, 0, left - 1))
                with m.If(left == 1):
                    m.d.sync += self.o.valid.eq(line)
                with m.Else():
                    m.d.sync += self.o.payload.eq(Cat(self.o.payload[1:], line))
        return m


class UartTransmitter(Component):
    """Bytes onto the line, one in 10 `divisor` cycles.

    Parameters
    ----------
    divisor : int
        Clock cycles a bit, `mubinn.hw.link.line.LEAST_DIVISOR` or more.

    Members
    -------
    i : In(stream of 8 bits)
    tx : Out(1)
    """

    i: stream.Interface
    tx: Signal

    def __init__(self, divisor: int) -> None:
        self.divisor = check_divisor(divisor)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """Return a shift register of the bits that are left, ones behind them."""
        m = Module()
        rest = Signal(range(self.divisor))
        left = Signal(range(11))
        bits = Signal(9, init=-1)
        m.d.comb += [self.i.ready.eq(left == 0), self.tx.eq(bits[0])]
        with m.If(left == 0):
            m.d.sync += rest.eq(self.divisor - 1)
            with m.If(self.i.valid):
                m.d.sync += [left.eq(10), bits.eq(Cat(Const(0, 1), self.i.payload))]
        with m.Else():
            m.d.sync += rest.eq(rest - 1)
            with m.If(rest == 0):
                m.d.sync += rest.eq(self.divisor - 1)
                m.d.sync += [left.eq(left - 1), bits.eq(Cat(bits[1:], Const(1, 1)))]
        return m
