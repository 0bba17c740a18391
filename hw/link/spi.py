"""A SPI slave of mode 0, sampled by the clock of the core."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.cdc import FFSynchronizer  # type: ignore[import-untyped]  # not in the stubs
from amaranth.lib.wiring import In, Out

from mubinn.hw.link.packets import FLAG
from mubinn.hw.stream.component import Component

CYCLES = 10
"""Clock cycles of the shortest period of SCK: MISO follows its falling edge by 4 of them."""


class SpiSlave(Component):
    """Bytes both ways, the highest bit first; MISO has 0x7E, of no packet, where there is nothing.

    CS begins a byte, so that a clock edge too many or too few spoils bytes up to its end alone. A
    byte that waits is taken with the first rising edge of SCK in it: none is lost between two
    transfers. From the falling edge of CS to the first rising one of SCK, and for each half of its
    period, the master leaves 5 cycles.

    Members
    -------
    sck, mosi, cs_n : In(1)
    miso : Out(1)
    o : Out(stream of 8 bits)
        A byte of MOSI for one cycle: it does not wait.
    i : In(stream of 8 bits)
    """

    sck: Signal
    mosi: Signal
    cs_n: Signal
    miso: Signal
    o: stream.Interface
    i: stream.Interface

    def __init__(self) -> None:
        super().__init__(
            {
                **dict.fromkeys(("sck", "mosi"), In(1)),
                "cs_n": In(1),
                "miso": Out(1),
                "o": Out(stream.Signature(8, always_ready=True)),
                "i": In(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return what finds the edges, and a shift register each way."""
        m = Module()
        sck, mosi, idle, before = Signal(), Signal(), Signal(init=1), Signal()
        m.submodules += [
            FFSynchronizer(self.sck, sck),
            FFSynchronizer(self.mosi, mosi),
            FFSynchronizer(self.cs_n, idle, init=1),
        ]
        m.d.sync += [before.eq(sck), self.o.valid.eq(0)]
        rise, fall = ~idle & sck & ~before, ~idle & ~sck & before
        sent, place, own = Signal(8), Signal(3), Signal()
        load = Signal()
        m.d.comb += [
            load.eq(idle | (fall & (place == 0))),
            self.miso.eq(sent[7]),
            self.i.ready.eq(rise & (place == 0) & own),
        ]
        with m.If(load):
            m.d.sync += [
                place.eq(0),
                own.eq(self.i.valid),
                sent.eq(Mux(self.i.valid, self.i.payload, FLAG)),
            ]
        with m.Elif(fall):
            m.d.sync += sent.eq(sent << 1)
        with m.If(rise):
            m.d.sync += [
                place.eq(place + 1),
                self.o.payload.eq(Cat(mosi, self.o.payload[:7])),
                self.o.valid.eq(place == 7),
            ]
        return m
