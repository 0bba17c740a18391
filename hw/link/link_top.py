"""A core behind a UART or a SPI slave."""

from typing import Any

from amaranth.hdl import (
    Cat,
    Const,
    DomainRenamer,
    EnableInserter,
    Module,
    Mux,
    ResetInserter,
    Signal,
    Value,
)
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Member, Out

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.layer.classifier import END
from mubinn.hw.layer.loadable_memory import Loader
from mubinn.hw.link.link_control import LinkControl
from mubinn.hw.link.packet_receiver import PacketReceiver
from mubinn.hw.link.packet_sender import PacketSender
from mubinn.hw.link.packets import (
    FIELDS,
    FLAG,
    MAX_LENGTH,
    STAMP,
    TO_BOARD,
    TO_LOADED,
    TO_PORTED,
    Kind,
    Rules,
    check_room,
    pattern,
)
from mubinn.hw.link.spi import SpiSlave
from mubinn.hw.link.state_packets import StateSender, StateTaker
from mubinn.hw.link.uart import UartReceiver, UartTransmitter
from mubinn.hw.stream.clock_request import ClockRequest
from mubinn.hw.stream.component import Component
from mubinn.hw.stream.packet import FrameReader, FrameWriter, beats
from mubinn.hw.stream.state_port import state_bytes_of

UART: dict[str, Member] = {"rx": In(1), "tx": Out(1)}
SPI: dict[str, Member] = {
    "sck": In(1),
    "mosi": In(1),
    "cs_n": In(1),
    "miso": Out(1),
}


CORE = "core"
"""The clock domain of a core whose clock is stopped outside."""

LINGER = 8
"""Clock cycles from the end of a packet, or of a payload that is held, within which the core hears
of it: more than there are."""


def check_core(core: Any) -> Any:
    """Return `core`; raise `MubinnError` where it needs what no packet says."""
    if "carried" in core.signature.members:
        raise MubinnError(
            "A packet says with the first step of a window whether it goes on from the one before, "
            "and not with the last one: give the core the state carried, and the link carries."
        )
    return core


class LinkTop(Component):
    """A core that takes windows in packets, and answers in packets.

    See `mubinn.hw.link.packets` for what they say. Samples are frames as on an AXI4-Stream of
    bytes, whole steps of them a packet, and go to the core once their packet is known to be whole.
    A window with a packet missing is given up and said to be: nothing is decided on what is left.
    The next window begins at its own first packet, whatever was lost before.

    One packet is held. The host waits for `ready` before the payload of the next one, or sends no
    faster than the core works; what comes too early is refused, as if it had been lost.

    Weights that are loaded come in packets too, the bytes that `Driver.load` writes over AXI: no
    window is taken before all of them are there, and none while a load is under way.

    The state of a core that has ports of it goes out between windows, and in, in packets likewise.
    Once a packet is known to be missing, no window that goes on from others is taken before a state
    has come whole, or all is cleared.

    Parameters
    ----------
    core : component
        As of `mubinn.hw.axi.axi_top.AxiTop`.
    divisor : int or None
        Clock cycles of a bit of the UART; None for SPI.
    per_step : int
        Frames that make a time step.
    room : int or None
        Bytes of the longest payload, up to 255; by default those of one step.
    min_steps, max_steps : int, int or None
        Steps of the shortest and of the longest window, for the host, which sends no other ones: of
        a shorter one no result comes, and the board waits for it until it is cleared.
    carries : bool
        Each window says whether it goes on from the one before, or begins as after a reset. The
        core's state is one that is carried on.
    gated : bool
        Of a core with ``awake``, see `mubinn.hw.accelerator.accelerator.Accelerator`, which works
        in one cycle of many: it stands in the clock domain `CORE`, whose clock is stopped outside.
        Else its registers have clock enables. What comes for it wakes it before it has to see it:
        the end of a packet, and a payload that is held.

    Members
    -------
    rx : In(1), tx : Out(1)
        With `divisor`, see `mubinn.hw.link.uart`.
    sck, mosi, cs_n : In(1), miso : Out(1)
        Without it, see `mubinn.hw.link.spi`.
    ready : Out(1)
        No payload is held: that of another packet may come.
    waiting : Out(1)
        A packet is to be sent, or being sent.
    core_awake : Out(1), of such a core
        It has the edge that ends this cycle; changes with the clock's rising edge.

    Raises
    ------
    MubinnError
        A register says what the core's windows leave; a step does not fit into a packet, or a
        result does not.
    """

    ready: Signal
    waiting: Signal
    core_awake: Signal

    def __init__(
        self,
        core: Any,
        *,
        divisor: int | None = None,
        per_step: int = 1,
        room: int | None = None,
        min_steps: int = 1,
        max_steps: int | None = None,
        carries: bool = False,
        gated: bool = False,
    ) -> None:
        self.core = check_core(core)
        self.sleeps = "awake" in core.signature.members
        self.gated = gated and self.sleeps
        self.loader = Loader(core.plans) if "load" in core.signature.members else None
        self.carries = carries
        self.state_bytes = size = state_bytes_of(core)
        self._states = None if size is None else (StateSender(size), StateTaker(size))
        self.control = LinkControl(
            loads=self.loader is not None, carries=carries, states=size is not None
        )
        self.min_steps, self.max_steps = min_steps, max_steps
        self.reader = FrameReader(core.i.payload.shape(), 8, per_step)
        step = self.reader.beats * per_step
        room = check_room(step if room is None else room, step)
        kinds = TO_LOADED if self.loader else TO_BOARD
        self.rules = Rules(kinds if size is None else kinds | TO_PORTED, room, step)
        result = core.o.payload.shape()
        self.writer = FrameWriter(
            data.StructLayout({**FIELDS, **STAMP, **dict(_shapes(result))}), 8
        )
        self.status = FrameWriter(data.StructLayout(FIELDS | self.control.counted), 8)
        self._length = self.writer.beats - pattern(FIELDS).size
        if self._length > MAX_LENGTH:
            raise MubinnError(
                f"A result of {beats(result, 8)} bytes does not fit into a packet of "
                f"{MAX_LENGTH}: send it over an AXI4-Stream."
            )
        self.divisor = divisor
        pins = SPI if divisor is None else UART
        asleep: dict[str, Member] = {}
        if self.sleeps:
            asleep["core_awake"] = Out(1, init=1)  # type: ignore[call-arg]  # not in the stubs
        super().__init__({**pins, "ready": Out(1), "waiting": Out(1), **asleep})

    def elaborate(self, platform: object) -> Module:
        """Return the port, receiver, core and sender, and what watches over them."""
        m = Module()
        m.submodules.control = control = self.control
        m.submodules.receiver = receiver = PacketReceiver(self.rules)
        m.submodules.sender = sender = PacketSender()
        m.submodules.reader = reader = ResetInserter(control.clear)(self.reader)
        m.submodules.core = core = self._core(m, receiver)
        self._port(m, receiver, sender)
        wiring.connect(m, reader.o, core.i)
        out, into = receiver.o, reader.i
        m.d.comb += [
            into.payload.data.eq(out.payload.data),
            into.payload.last.eq(out.payload.last & control.last),
            into.valid.eq(out.valid),
            out.ready.eq(into.ready),
            control.packet.eq(receiver.packet),
            control.refused.eq(receiver.refused),
            control.held.eq(receiver.held),
            control.fed.eq(out.valid & out.ready & out.payload.last),
            receiver.take.eq(control.take),
            receiver.drop.eq(control.drop),
            receiver.go.eq(control.go),
            self.ready.eq(~receiver.held),
        ]
        if self.loader is not None:
            self._load(m, self.loader, out)
        if self._states is not None:
            self._give(m, *self._states, receiver)
        self._answers(m, control, sender)
        return m

    def _core(self, m: Module, receiver: PacketReceiver) -> Any:
        """Return the core, which is cleared with its window, and has a clock where it is awake."""
        core = ResetInserter(self.control.clear)(self.core)
        if not self.sleeps:
            return core
        m.submodules.request = request = ClockRequest(LINGER)
        ended = receiver.i.valid & (receiver.i.payload == FLAG)
        m.d.comb += request.busy.eq(ended | receiver.held | self.core.awake)
        m.d.sync += self.core_awake.eq(request.awake)
        return DomainRenamer(CORE)(core) if self.gated else EnableInserter(self.core_awake)(core)

    def _load(self, m: Module, loader: Loader, out: stream.Interface) -> None:
        """Have payloads of weights go to what fills the memories."""
        m.submodules.loader = loader
        m.d.comb += [
            self.core.load.eq(loader.o),
            loader.i.payload.data.eq(out.payload.data),
            loader.restart.eq(self.control.begins),
            self.control.loaded.eq(loader.loaded),
        ]
        with m.If(self.control.loading):
            m.d.comb += [
                loader.i.valid.eq(out.valid),
                self.reader.i.valid.eq(0),
                out.ready.eq(loader.i.ready),
            ]

    def _give(
        self, m: Module, sender: StateSender, taker: StateTaker, receiver: PacketReceiver
    ) -> None:
        """Have payloads of a state go to the core's, and that one to what makes packets of it."""
        m.submodules.state_sender, m.submodules.state_taker = sender, taker
        control, out, core = self.control, receiver.o, self.core
        m.d.sync += core.restore.eq(control.gives)
        m.d.comb += [
            taker.restart.eq(control.gives),
            taker.i.payload.eq(out.payload.data),
            control.given.eq(taker.whole),
            core.save.eq(control.saves),
            sender.start.eq(control.saves),
            sender.asked.eq(receiver.packet.counter),
            sender.clear.eq(control.clear),
            control.saving.eq(sender.saving),
        ]
        wiring.connect(m, taker.o, core.state_i)
        wiring.connect(m, core.state_o, sender.i)
        with m.If(control.giving):
            m.d.comb += [
                taker.i.valid.eq(out.valid),
                self.reader.i.valid.eq(0),
                out.ready.eq(taker.i.ready),
            ]

    def _port(self, m: Module, receiver: PacketReceiver, sender: PacketSender) -> None:
        """Connect the pins."""
        m.d.comb += self.waiting.eq(sender.o.valid)
        if self.divisor is None:
            m.submodules.spi = spi = SpiSlave()
            for name in SPI:
                pin, inner = getattr(self, name), getattr(spi, name)
                m.d.comb += pin.eq(inner) if name == "miso" else inner.eq(pin)
            wiring.connect(m, spi.o, receiver.i)
            wiring.connect(m, sender.o, spi.i)
            return
        m.submodules.uart_in = uart_in = UartReceiver(self.divisor)
        m.submodules.uart_out = uart_out = UartTransmitter(self.divisor)
        rx, tx = (getattr(self, name) for name in UART)
        m.d.comb += [uart_in.rx.eq(rx), tx.eq(uart_out.tx)]
        wiring.connect(m, uart_in.o, receiver.i)
        wiring.connect(m, sender.o, uart_out.i)

    def _answers(self, m: Module, control: LinkControl, sender: PacketSender) -> None:
        """Send results, and, between them, what becomes of packets."""
        m.submodules.writer, m.submodules.status = self.writer, self.status
        result, status = self.writer, self.status
        counter, index = Signal(FIELDS["counter"]), Signal(STAMP["index"])
        payload = self.core.o.payload
        fields = dict(_shapes(payload.shape()))
        ends = getattr(payload, END) if END in fields else Const(1, 1)
        idle = ~result.o.valid & ~status.o.valid
        states = self._states and self._states[0]
        if states is not None:
            idle &= ~states.sending
        head = {"counter": counter, "length": self._length}
        flags = Cat(Const(0, 1), ends, control.lost, Const(0, 1))
        stamp = {"window": control.window, "index": index}
        found = {name: getattr(payload, name) for name in fields}
        m.d.comb += [
            result.i.valid.eq(self.core.o.valid & idle & ~control.clear),
            self.core.o.ready.eq(idle & ~control.clear),
            status.i.valid.eq(control.due & idle & ~self.core.o.valid),
            control.stamped.eq(result.i.valid),
            control.ended.eq(result.i.valid & ends),
            control.reported.eq(status.i.valid),
        ]
        _fill(m, result, kind=Cat(Const(Kind.RESULT, 4), flags), **head, **stamp, **found)
        weights: Value = Const(0, 2)
        if self.loader is not None:
            weights = Cat(control.empty, self.loader.refused)
        about = Cat(Const(Kind.STATUS, 4), weights, control.lost, control.working)
        head["length"] = pattern(control.counted).size
        counts = {name: control.counts[name] for name in control.counted}
        _fill(m, status, kind=about, **head, **counts)
        with m.If(result.i.valid | status.i.valid):
            m.d.sync += counter.eq(counter + 1)
        with m.If(control.clear | control.ended):
            m.d.sync += index.eq(0)
        with m.Elif(result.i.valid):
            m.d.sync += index.eq(index + 1)
        m.d.comb += [
            sender.i.valid.eq(result.o.valid | status.o.valid),
            sender.i.payload.eq(Mux(result.o.valid, result.o.payload, status.o.payload)),
            result.o.ready.eq(sender.i.ready),
            status.o.ready.eq(sender.i.ready & ~result.o.valid),
        ]
        if states is not None:
            m.d.comb += [
                states.counter.eq(counter),
                states.may.eq(idle & ~self.core.o.valid & ~control.due),
            ]
            with m.If(states.begins):
                m.d.sync += counter.eq(counter + 1)
            with m.If(states.sending):
                m.d.comb += [
                    sender.i.valid.eq(states.o.valid),
                    sender.i.payload.eq(states.o.payload),
                    states.o.ready.eq(sender.i.ready),
                ]


def _shapes(layout: data.StructLayout) -> list[tuple[str, Any]]:
    """Return the fields of a structure."""
    return [(str(name), field.shape) for name, field in layout]


def _fill(m: Module, writer: FrameWriter, **fields: Any) -> None:
    """Drive the frame that goes into `writer`; an array is copied bit by bit."""
    for name, value in fields.items():
        m.d.comb += writer.i.payload[name].eq(value)
