"""An accelerator with AXI4-Stream in and out, and its registers on AXI4-Lite."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Cat, ClockDomain, Module, ResetInserter, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Flow, In, Member, Out

from mubinn.hw.axi.axi_control import COUNTERS, AxiControl, register_layout
from mubinn.hw.axi.axi_lite import DATA, AxiLite, lite_members
from mubinn.hw.axi.register_map import CARRYING, CONTROL, ID, LOADING, PORTED, Register
from mubinn.hw.layer.classifier import END
from mubinn.hw.layer.loadable_memory import BYTE, Loader
from mubinn.hw.stream.component import Component
from mubinn.hw.stream.packet import LAST, FrameReader, FrameWriter
from mubinn.hw.stream.state_port import state_bytes_of


def stream_members(width: int, flow: Flow) -> dict[str, Member]:
    """Return the signals of an AXI4-Stream port, by their names after the prefix."""
    back = Out if flow is In else In
    return {"tdata": flow(width), "tlast": flow(1), "tvalid": flow(1), "tready": back(1)}


class AxiTop(Component):
    """A core between two AXI4-Streams.

    One packet on ``s_axis`` is one window: its frames one after the other, each starting with a
    new beat, TLAST on the last beat of all. One packet on ``m_axis`` is one result. How elements
    lie in a packet is told by `mubinn.hw.stream.packet.slots`.

    Without registers input is taken at once, or as soon as the weights are loaded, and only
    ``aresetn`` ends a window early.

    Parameters
    ----------
    core : component
        With streams ``i`` and ``o`` of structures; ``last`` marks a window's last frame in ``i``,
        and, where ``o`` has it, ``end`` a window's last result in ``o``. The reset of its registers
        makes it ready for another window. Its ``carried``, where it has it, is register state, and
        the ports of its whole state are registers whole_state and state_byte.
    width : int
        Bits of TDATA, a multiple of 8.
    per_step : int
        Frames that make a time step.
    samples : int
        Samples of a channel that make a time step, for the description of the interface.
    min_steps, max_steps : int, int or None
        Steps of the shortest and of the longest window, for the description of the interface.
    registers : bool
        Add ``s_axi``, an AXI4-Lite port with `mubinn.hw.axi.register_map.CONTROL`.

    Members
    -------
    aclk, aresetn : In(1)
        Clock, rising edge; reset, active low, synchronous.
    s_axis_*, m_axis_* : AXI4-Stream in and out
    s_axi_* : AXI4-Lite, with `registers`
    s_load_* : AXI4-Stream of 8 bits, without `registers` where weights are loaded
        One packet is all contents, see `mubinn.hw.layer.loadable_memory.contents`.
    """

    aclk: Signal
    aresetn: Signal

    def __init__(
        self,
        core: Any,
        *,
        width: int = 32,
        per_step: int = 1,
        samples: int = 1,
        min_steps: int = 1,
        max_steps: int | None = None,
        registers: bool = True,
    ) -> None:
        self.core = core
        self.samples = samples
        self.min_steps, self.max_steps = min_steps, max_steps
        self.reader = FrameReader(core.i.payload.shape(), width, per_step)
        self.writer = FrameWriter(core.o.payload.shape(), width)
        self.loader = Loader(core.plans) if "load" in core.signature.members else None
        self._carries = "carried" in core.signature.members
        self.state_bytes = state_bytes_of(core)
        known = CONTROL | (LOADING if self.loader else {}) | (CARRYING if self._carries else {})
        known |= PORTED if self.state_bytes else {}
        self.lite = AxiLite(known) if registers else None
        members: dict[str, Member] = {"aclk": In(1), "aresetn": In(1)}
        ports = {"s_axis": stream_members(width, In), "m_axis": stream_members(width, Out)}
        if self.lite is not None:
            ports["s_axi"] = lite_members(self.lite.address_width)
        elif self.loader is not None:
            ports["s_load"] = stream_members(BYTE, In)
        for prefix, signals in ports.items():
            members |= {f"{prefix}_{name}": member for name, member in signals.items()}
        super().__init__(members)

    @property
    def registers(self) -> Mapping[str, Register]:
        """The registers by name; none without a port for them."""
        return {} if self.lite is None else self.lite.registers

    @property
    def address_width(self) -> int:
        """Bits of a register's byte address; 0 without a port for them."""
        return 0 if self.lite is None else self.lite.address_width

    def elaborate(self, platform: object) -> Module:
        """Return reader, core, writer and what watches over them."""
        m = Module()
        # The stubs do not know the signals of a domain.
        domain: Any = ClockDomain("sync")
        m.domains.sync = domain
        m.d.comb += [domain.clk.eq(self.aclk), domain.rst.eq(~self.aresetn)]
        m.submodules.control = control = AxiControl()
        m.submodules.reader = ResetInserter(control.clear)(self.reader)
        m.submodules.core = ResetInserter(control.clear)(self.core)
        m.submodules.writer = self.writer
        wiring.connect(m, self.reader.o, self.core.i)
        wiring.connect(m, self.core.o, self.writer.i)
        self._streams(m, control)
        self._watch(m, control)
        if self.loader is not None:
            self._load(m, self.loader)
        if self.lite is None:
            m.d.comb += control.command.start.eq(self.loader.loaded if self.loader else 1)
        else:
            m.submodules.lite = self.lite
            self._registers(m, control, self.lite)
        return m

    def _port(self, name: str) -> Signal:
        port: Signal = getattr(self, name)
        return port

    def _streams(self, m: Module, control: AxiControl) -> None:
        """Connect the ports: beats go to the reader, are forgotten, or wait."""
        i, o = self.reader.i, self.writer.o
        valid, ready = self._port("s_axis_tvalid"), self._port("s_axis_tready")
        last = self._port("s_axis_tlast")
        m.d.comb += [
            i.payload.data.eq(self._port("s_axis_tdata")),
            i.payload.last.eq(last),
            i.valid.eq(valid & control.take),
            ready.eq(control.discard | (control.take & i.ready)),
            control.beat.valid.eq(valid & ready),
            control.beat.last.eq(last),
            self._port("m_axis_tdata").eq(o.payload.data),
            self._port("m_axis_tlast").eq(o.payload.last),
            self._port("m_axis_tvalid").eq(o.valid),
            o.ready.eq(self._port("m_axis_tready")),
        ]

    def _watch(self, m: Module, control: AxiControl) -> None:
        """Tell the control what passes."""
        frames, results = self.core.i, self.core.o
        ends = getattr(results.payload, END) if END in self.writer.layout.members else 1
        m.d.comb += [
            control.frame.valid.eq(frames.valid & frames.ready & self.reader.step),
            control.frame.last.eq(getattr(frames.payload, LAST)),
            control.result.eq(results.valid & results.ready & ends),
            control.sending.eq(self.writer.o.valid | results.valid),
            control.fault.eq(self.reader.fault),
        ]

    def _load(self, m: Module, loader: Loader) -> None:
        """Connect what fills the memories; it is not forgotten with a window."""
        m.submodules.loader = loader
        m.d.comb += self.core.load.eq(loader.o)
        if self.lite is None:
            m.d.comb += [
                loader.i.payload.data.eq(self._port("s_load_tdata")),
                loader.i.payload.last.eq(self._port("s_load_tlast")),
                loader.i.valid.eq(self._port("s_load_tvalid")),
                self._port("s_load_tready").eq(loader.i.ready),
            ]
            return
        m.submodules.split = split = FrameWriter(data.StructLayout({"word": DATA}), BYTE)
        load, loading = self.lite.write.load, self.lite.write.loading
        m.d.comb += [
            split.i.valid.eq(load.valid),
            split.i.payload.word.eq(load.data),
            self.lite.hold.eq(~split.i.ready),
            loader.i.valid.eq(split.o.valid),
            loader.i.payload.data.eq(split.o.payload.data),
            split.o.ready.eq(1),
            loader.restart.eq(loading.valid & loading.data[0]),
            self.lite.read.loading.eq(Cat(loader.loaded, loader.refused)),
        ]

    def _registers(self, m: Module, control: AxiControl, lite: AxiLite) -> None:
        """Connect AXI4-Lite and the registers."""
        for name in lite.axi.signature.members:
            port, inner = self._port(f"s_axi_{name}"), getattr(lite.axi, name)
            flow = lite_members(lite.address_width)[name].flow
            m.d.comb += inner.eq(port) if flow == In else port.eq(inner)
        write, read = lite.write.control, lite.read
        with m.If(write.valid):
            m.d.comb += control.command.as_value().eq(write.data)
        m.d.comb += [read.id.eq(ID), read.status.eq(control.status)]
        m.d.comb += [getattr(read, name).eq(getattr(control, name)) for name in COUNTERS]
        if self._carries:
            carry, state = Signal(), lite.write.state
            with m.If(state.valid):
                m.d.sync += carry.eq(state.data[CARRYING["state"].fields["carry"].lowest])
            with m.If(control.command.reset):
                m.d.sync += carry.eq(0)
            m.d.comb += [self.core.carried.eq(carry), read.state.eq(carry)]
        if self.state_bytes:
            self._state(m, control, lite)

    def _state(self, m: Module, control: AxiControl, lite: AxiLite) -> None:
        """Have the bytes of the whole state pass: one waits at each end."""
        core, given = self.core, lite.write.state_byte
        said = data.View(register_layout(PORTED["whole_state"]), lite.write.whole_state.data)
        told = data.View(register_layout(PORTED["whole_state"]), lite.read.whole_state)
        asked, held = lite.write.whole_state.valid, Signal()
        m.d.comb += [
            core.save.eq(asked & said.save),
            core.restore.eq(asked & said.restore),
            core.state_o.ready.eq(asked & said.taken),
            told.out.eq(core.state_o.valid),
            told.byte.eq(core.state_o.payload),
            told.room.eq(core.state_i.ready & ~held),
            core.state_i.valid.eq(held),
        ]
        with m.If(core.state_i.ready | core.restore | control.clear):
            m.d.sync += held.eq(0)
        with m.If(given.valid & told.room):
            m.d.sync += [held.eq(1), core.state_i.payload.eq(given.data)]
