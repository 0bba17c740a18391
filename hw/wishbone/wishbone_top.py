"""An accelerator on a Wishbone bus, as systems on chip have one: registers and packets as words."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import (
    Cat,
    ClockDomain,
    Const,
    DomainRenamer,
    Module,
    Mux,
    ResetInserter,
    Signal,
    Value,
)
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.axi.axi_lite import DATA, OKAY
from mubinn.hw.axi.axi_top import AxiTop
from mubinn.hw.axi.register_map import BYTES, CONTROL, QUEUES, Register
from mubinn.hw.stream.component import Component

ADDRESS = (max(r.offset for r in QUEUES.values()) // BYTES).bit_length()
"""Bits of the address of a word."""

MOST_WORDS = (1 << QUEUES["queues"].fields["room"].width) - 1


def check_depth(depth: int) -> int:
    """Return the words of a queue; raise `MubinnError` where there is none of so many.

    >>> check_depth(64)
    64
    """
    if not 2 <= depth <= MOST_WORDS:
        raise MubinnError(
            f"a queue of {depth} words there is not: give one of 2 to {MOST_WORDS} words."
        )
    return depth


class WishboneTop(Component):
    """A core behind `mubinn.hw.axi.axi_top.AxiTop`, all of whose ports are words of a bus.

    Wishbone classic, revision B4: a slave with 32-bit words, little-endian, addressed by word. The
    registers are those on AXI4-Lite, and `mubinn.hw.axi.register_map.QUEUES`, through which packets
    pass word by word between two queues. Nothing waits for the core: what a queue has no room for,
    or not there yet, is refused. An access ends with ``ack``, or with ``err`` and no effect: where
    it is refused, of less than a word, or at another address. Queues answer one cycle after an
    access begins, registers three; register load waits until it has passed on the word before.

    The command ``reset`` empties the queue of windows; results that are there stay.

    Parameters
    ----------
    core : component
        As of `mubinn.hw.axi.axi_top.AxiTop`.
    depth : int
        Words that each queue holds.
    options
        Of `mubinn.hw.axi.axi_top.AxiTop`: ``per_step``, ``samples``, ``min_steps``, ``max_steps``.

    Members
    -------
    clk_i, rst_i : In(1)
        Clock, rising edge; reset, active high, synchronous.
    adr_i : In(5)
        Word: byte offset over 4.
    dat_i, dat_o : In(32), Out(32)
    sel_i : In(4)
    cyc_i, stb_i, we_i : In(1)
    ack_o, err_o : Out(1)

    Raises
    ------
    MubinnError
        On a queue of another depth.
    """

    clk_i: Signal
    rst_i: Signal
    adr_i: Signal
    dat_i: Signal
    dat_o: Signal
    sel_i: Signal
    cyc_i: Signal
    stb_i: Signal
    we_i: Signal
    ack_o: Signal
    err_o: Signal

    def __init__(self, core: Any, *, depth: int = 64, **options: Any) -> None:
        self.depth = check_depth(depth)
        self.axi = AxiTop(core, width=DATA, registers=True, **options)
        # How packets lie in words is told by what is behind AXI.
        self.core, self.reader, self.writer = core, self.axi.reader, self.axi.writer
        self.samples, self.state_bytes = self.axi.samples, self.axi.state_bytes
        self.min_steps, self.max_steps = self.axi.min_steps, self.axi.max_steps
        super().__init__(
            {
                **dict.fromkeys(("clk_i", "rst_i"), In(1)),
                "adr_i": In(ADDRESS),
                "dat_i": In(DATA),
                "dat_o": Out(DATA),
                "sel_i": In(BYTES),
                **dict.fromkeys(("cyc_i", "stb_i", "we_i"), In(1)),
                **dict.fromkeys(("ack_o", "err_o"), Out(1)),
            }
        )

    @property
    def registers(self) -> Mapping[str, Register]:
        """The registers by name."""
        return {**self.axi.registers, **QUEUES}

    @property
    def address_width(self) -> int:
        """Bits of a register's byte address."""
        return ADDRESS + 2

    def elaborate(self, platform: object) -> Module:
        """Return the bus, both queues, and the core behind AXI."""
        m = Module()
        # The stubs do not know the signals of a domain.
        domain: Any = ClockDomain("sync")
        m.domains.sync = domain
        m.d.comb += [domain.clk.eq(self.clk_i), domain.rst.eq(self.rst_i)]
        # What is behind AXI makes a domain of its own, of the same clock.
        axi = self.axi
        m.submodules.axi = DomainRenamer("axi")(axi)
        m.d.comb += [axi.aclk.eq(self.clk_i), axi.aresetn.eq(~self.rst_i)]
        whole = Signal()
        m.d.comb += whole.eq(self.cyc_i & self.stb_i & ~self.ack_o & ~self.err_o)
        m.d.sync += [self.ack_o.eq(0), self.err_o.eq(0)]
        with m.If(whole & ~self.sel_i.all()):
            m.d.sync += self.err_o.eq(1)
        asked = Signal()
        m.d.comb += asked.eq(whole & self.sel_i.all())
        behind = Cat(self._word(register) for register in self.axi.registers.values()).any()
        reset = self._registers(m, asked & behind)
        self._queues(m, asked & ~behind, reset)
        return m

    def _word(self, register: Register) -> Value:
        """Return whether the bus is at a register."""
        return self.adr_i == register.offset // BYTES

    def _answer(self, m: Module, known: Any, data: Any = None) -> None:
        m.d.sync += [self.ack_o.eq(known), self.err_o.eq(~known)]
        if data is not None:
            m.d.sync += self.dat_o.eq(data)

    def _port(self, name: str) -> Signal:
        port: Signal = getattr(self.axi, name)
        return port

    def _registers(self, m: Module, asked: Value) -> Value:
        """Pass accesses on to AXI4-Lite; return whether this one resets."""
        issued = Signal()
        write, read = Signal(), Signal()
        m.d.comb += [
            write.eq(asked & self.we_i & ~issued),
            read.eq(asked & ~self.we_i & ~issued),
            self._port("s_axi_awvalid").eq(write),
            self._port("s_axi_wvalid").eq(write),
            self._port("s_axi_wdata").eq(self.dat_i),
            self._port("s_axi_wstrb").eq(self.sel_i),
            self._port("s_axi_arvalid").eq(read),
            self._port("s_axi_bready").eq(1),
            self._port("s_axi_rready").eq(1),
        ]
        for name in ("s_axi_awaddr", "s_axi_araddr"):
            m.d.comb += self._port(name).eq(Cat(Const(0, 2), self.adr_i))
        taken = write & self._port("s_axi_awready")
        with m.If(taken | (read & self._port("s_axi_arready"))):
            m.d.sync += issued.eq(1)
        with m.If(self._port("s_axi_bvalid")):
            m.d.sync += issued.eq(0)
            with m.If(asked):
                self._answer(m, self._port("s_axi_bresp") == OKAY)
        with m.If(self._port("s_axi_rvalid")):
            m.d.sync += issued.eq(0)
            with m.If(asked):
                self._answer(m, self._port("s_axi_rresp") == OKAY, self._port("s_axi_rdata"))
        control = CONTROL["control"]
        return taken & self._word(control) & self.dat_i[control.fields["reset"].lowest]

    def _queues(self, m: Module, asked: Value, reset: Value) -> None:
        """Take and give words of packets."""
        # The stubs do not know a level.
        sent: Any = SyncFIFOBuffered(width=DATA + 1, depth=self.depth)
        m.submodules.sent = ResetInserter(reset)(sent)
        got: Any = SyncFIFOBuffered(width=DATA + 1, depth=self.depth)
        m.submodules.got = got
        self._connect(m, sent, got)
        fields = QUEUES["queues"].fields
        state = Signal(DATA)
        m.d.comb += [
            sent.w_data.eq(Cat(self.dat_i, self._word(QUEUES["send_last"]))),
            state[fields["room"].lowest :][: fields["room"].width].eq(self.depth - sent.level),
            state[fields["waiting"].lowest :][: fields["waiting"].width].eq(
                Mux(got.r_rdy, got.level, 0)
            ),
            state[fields["last"].lowest].eq(got.r_rdy & got.r_data[DATA]),
        ]
        with m.If(asked):
            self._answer(m, Const(0, 1))
            with m.If(self.we_i & (self._word(QUEUES["send"]) | self._word(QUEUES["send_last"]))):
                m.d.comb += sent.w_en.eq(sent.w_rdy)
                self._answer(m, sent.w_rdy)
            with m.If(~self.we_i & self._word(QUEUES["receive"])):
                m.d.comb += got.r_en.eq(got.r_rdy)
                self._answer(m, got.r_rdy, got.r_data[:DATA])
            with m.If(~self.we_i & self._word(QUEUES["queues"])):
                self._answer(m, Const(1, 1), state)

    def _connect(self, m: Module, sent: Any, got: Any) -> None:
        """Put the queues before and behind the streams."""
        m.d.comb += [
            Cat(self._port("s_axis_tdata"), self._port("s_axis_tlast")).eq(sent.r_data),
            self._port("s_axis_tvalid").eq(sent.r_rdy),
            sent.r_en.eq(self._port("s_axis_tready")),
            got.w_data.eq(Cat(self._port("m_axis_tdata"), self._port("m_axis_tlast"))),
            got.w_en.eq(self._port("m_axis_tvalid")),
            self._port("m_axis_tready").eq(got.w_rdy),
        ]
