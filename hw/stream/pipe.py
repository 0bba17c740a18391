"""Composing units: `apply` uses a unit as a function, `Pipe` places the registers."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream

from mubinn.hw.stream.component import FieldValue, View, view_signal
from mubinn.hw.stream.fields import drive
from mubinn.hw.stream.unit import Register, StreamUnit


def apply(m: Module, name: str, unit: StreamUnit, /, **fields: FieldValue) -> View:
    """Add the combinational `unit` to `m` as submodule `name` and return its output payload.

    `fields` drive the payload members of the same names. The handshake of the pipeline around the
    unit decides when its output is used, so the unit's own one is tied off.
    """
    m.submodules[name] = unit
    m.d.comb += [unit.i.valid.eq(1), unit.o.ready.eq(1)]
    drive(m, unit.i.payload, **fields)
    payload: View = unit.o.payload
    return payload


class Pipe:
    """A pipeline under construction: knows who is valid at its end, and whom to make ready.

    Parameters
    ----------
    m : Module
    source : stream.Interface
        What feeds the pipeline.
    """

    def __init__(self, m: Module, source: stream.Interface) -> None:
        self._m = m
        self.valid: Value = source.valid
        self.ready: Value = source.ready
        self.stages = 0

    @property
    def transfer(self) -> Value:
        """Whether the end of the pipeline moves on in this cycle."""
        return self.valid & self.ready

    def cut(self, name: str, /, **fields: Value | View) -> View:
        """Place a register that takes `fields`; return its output payload with the same fields."""
        layout = data.StructLayout({field: value.shape() for field, value in fields.items()})
        register = Register(layout)
        self._m.submodules[name] = register
        self._m.d.comb += [register.i.valid.eq(self.valid), self.ready.eq(register.i.ready)]
        drive(self._m, register.i.payload, **fields)
        self.valid, self.ready = register.o.valid, register.o.ready
        self.stages += 1
        payload: View = register.o.payload
        return payload

    def recent(self, record: View, layout: data.ArrayLayout) -> View:
        """Return an array of the `record` of the last transfers, the newest one highest."""
        seen, now = view_signal(layout, "seen"), view_signal(layout, "now")
        width = len(record.as_value())
        self._m.d.comb += now.as_value().eq(Cat(seen.as_value(), record)[width:])
        with self._m.If(self.transfer):
            self._m.d.sync += seen.eq(now)
        return now

    def keep(self, condition: Value) -> None:
        """Let only transfers with `condition` pass on; take the others without delay."""
        ready = Signal()
        self._m.d.comb += self.ready.eq(~condition | ready)
        self.valid, self.ready = self.valid & condition, ready

    def end(self, sink: stream.Interface) -> None:
        """Hand valid and ready over to the stream `sink`."""
        self._m.d.comb += [sink.valid.eq(self.valid), self.ready.eq(sink.ready)]
