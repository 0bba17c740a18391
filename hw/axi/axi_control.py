"""What starts, ends and counts the windows of an accelerator."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from mubinn.hw.axi.axi_lite import DATA
from mubinn.hw.axi.register_map import CONTROL, Register
from mubinn.hw.stream.component import Component, View

BEAT = data.StructLayout({"valid": 1, "last": 1})
COUNTERS = ("cycles", "windows", "steps")


def register_layout(register: Register) -> data.FlexibleLayout:
    """Return the fields of a register as a layout of its word."""
    fields: dict[int | str, data.Field] = {
        n: data.Field(unsigned(b.width), b.lowest) for n, b in register.fields.items()
    }
    return data.FlexibleLayout(DATA, fields)


class AxiControl(Component):
    """Decides what happens to each beat, and keeps `mubinn.hw.axi.register_map.CONTROL`.

    Members
    -------
    command : In(layout of register control)
        Bits that are 1 for one cycle each.
    beat : In({valid, last})
        A beat is transferred on ``s_axis`` in this cycle; its TLAST.
    frame : In({valid, last})
        A step's last frame goes into the core in this cycle; whether it is its window's last.
    result : In(1)
        A window's last result leaves the core in this cycle.
    sending : In(1)
        A result waits to be taken, or is being sent.
    fault : In(1)
        This cycle's beat ends a window in the middle of a step.
    take : Out(1)
        Beats go to the core.
    discard : Out(1)
        Beats are taken and forgotten.
    clear : Out(1)
        Forget what is under way.
    status : Out(layout of register status)
    cycles, windows, steps : Out(32)
    """

    command: View
    beat: View
    frame: View
    result: Signal
    sending: Signal
    fault: Signal
    take: Signal
    discard: Signal
    clear: Signal
    status: View
    cycles: Signal
    windows: Signal
    steps: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "command": In(register_layout(CONTROL["control"])),
                "beat": In(BEAT),
                "frame": In(BEAT),
                **dict.fromkeys(("result", "sending", "fault"), In(1)),
                **dict.fromkeys(("take", "discard", "clear"), Out(1)),
                "status": Out(register_layout(CONTROL["status"])),
                **dict.fromkeys(COUNTERS, Out(DATA)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return flags and counters."""
        m = Module()
        command = self.command
        started, discarding, fault, opened = (
            Signal(name=name) for name in ("started", "discarding", "faulty", "opened")
        )
        still_open = Mux(self.beat.valid, ~self.beat.last, opened)
        m.d.comb += [
            self.take.eq(started & ~discarding),
            self.discard.eq(discarding),
            self.clear.eq(command.abort | command.reset | self.fault),
        ]
        m.d.sync += [opened.eq(still_open), discarding.eq(discarding & still_open)]
        with m.If(self.fault):
            m.d.sync += fault.eq(1)
        with m.If(command.start):
            m.d.sync += started.eq(1)
        with m.If(command.abort):
            m.d.sync += [discarding.eq(still_open), fault.eq(0)]
        with m.If(command.reset):
            m.d.sync += Cat(started, discarding, fault, opened).eq(0)
        busy = self._count(m, ~opened & self.beat.valid & self.take)
        m.d.comb += [
            self.status.started.eq(started),
            self.status.busy.eq(busy),
            self.status.discarding.eq(discarding),
            self.status.result.eq(self.sending),
            self.status.fault.eq(fault),
        ]
        return m

    def _count(self, m: Module, begins: Value) -> Value:
        """Count; return whether a window is under way."""
        # More windows than these cannot be under way: a core holds a few frames.
        active = Signal(8)
        running = Signal(DATA)
        fresh = Signal(init=1)
        m.d.sync += active.eq(active + begins - self.result)
        with m.If(active.any()):
            m.d.sync += running.eq(running + 1)
        with m.If(self.result):
            m.d.sync += [running.eq(0), self.cycles.eq(running + 1)]
            m.d.sync += self.windows.eq(self.windows + 1)
        with m.If(self.frame.valid):
            m.d.sync += [fresh.eq(self.frame.last), self.steps.eq(Mux(fresh, 1, self.steps + 1))]
        with m.If(self.clear):
            m.d.sync += [active.eq(0), running.eq(0), fresh.eq(1)]
        with m.If(self.command.reset):
            m.d.sync += [getattr(self, name).eq(0) for name in COUNTERS]
        return active.any()
