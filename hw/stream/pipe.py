"""Composing units: `apply` uses a unit as a function, `Pipe` places the registers."""

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data

from mubinn.hw.stream.fields import drive
from mubinn.hw.stream.unit import Register, StreamUnit


def apply(m: Module, name: str, unit: StreamUnit, **fields: Any) -> Any:
    """Add the combinational `unit` to `m` as submodule `name` and return its output payload.

    `fields` drive the payload members of the same names. The handshake of the pipeline around the
    unit decides when its output is used, so the unit's own one is tied off.
    """
    m.submodules[name] = unit
    m.d.comb += [unit.i.valid.eq(1), unit.o.ready.eq(1)]
    drive(m, unit.i.payload, **fields)
    return unit.o.payload


class Pipe:
    """A pipeline under construction: knows who is valid at its end, and whom to make ready.

    Parameters
    ----------
    m : Module
    source : stream interface
        What feeds the pipeline.
    """

    def __init__(self, m: Module, source: Any) -> None:
        self._m = m
        self.valid: Value = source.valid
        self.ready: Value = source.ready
        self.stages = 0

    @property
    def transfer(self) -> Value:
        """Whether the end of the pipeline moves on in this cycle."""
        return self.valid & self.ready

    def cut(self, name: str, **fields: Any) -> Any:
        """Place a register that takes `fields`; return its output payload with the same fields."""
        layout = data.StructLayout({field: value.shape() for field, value in fields.items()})
        register = Register(layout)
        self._m.submodules[name] = register
        self._m.d.comb += [register.i.valid.eq(self.valid), self.ready.eq(register.i.ready)]
        drive(self._m, register.i.payload, **fields)
        self.valid, self.ready = register.o.valid, register.o.ready
        self.stages += 1
        return register.o.payload

    def keep(self, condition: Value) -> None:
        """Let only transfers with `condition` pass on; take the others without delay."""
        ready = Signal()
        self._m.d.comb += self.ready.eq(~condition | ready)
        self.valid, self.ready = self.valid & condition, ready

    def end(self, sink: Any) -> None:
        """Hand valid and ready over to the stream `sink`."""
        self._m.d.comb += [sink.valid.eq(self.valid), self.ready.eq(sink.ready)]
