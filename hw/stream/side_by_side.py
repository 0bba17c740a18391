"""Streams to layers beside each other, and what they make side by side again."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mubinn.hw.stream.component import Component
from mubinn.hw.stream.fields import drive, frame_layout

Source: TypeAlias = "stream.Interface | wiring.FlippedInterface[Any, stream.Interface]"


def link(m: Module, source: Source, sink: stream.Interface) -> None:
    """Connect streams whose payloads differ in their fields' names alone."""
    m.d.comb += [
        sink.valid.eq(source.valid),
        sink.payload.as_value().eq(source.payload.as_value()),
        source.ready.eq(sink.ready),
    ]


def fork(m: Module, source: Source, sinks: Sequence[stream.Interface]) -> None:
    """Give every payload of `source` to all of `sinks`, in the cycle in which all are ready.

    None of them may wait for its valid before it is ready.
    """
    if len(sinks) == 1:
        link(m, source, sinks[0])
        return
    for sink in sinks:
        others = Cat(other.ready for other in sinks if other is not sink).all()
        m.d.comb += [
            sink.valid.eq(source.valid & others),
            sink.payload.as_value().eq(source.payload.as_value()),
        ]
    m.d.comb += source.ready.eq(Cat(sink.ready for sink in sinks).all())


class SideBySide(Component):
    """Steps of several streams as one step, once all are there; the first one says which is last.

    Parameters
    ----------
    sizes : sequence of int
        Bits of a plane of each stream.
    levels : int
        Planes.

    Members
    -------
    i_0, i_1, ... : In(stream of {h: planes, last: 1})
    o : Out(stream of {h: planes of all bits, those of i_0 lowest, last: 1})
    """

    o: stream.Interface

    def __init__(self, sizes: Sequence[int], levels: int) -> None:
        self.count, self.levels = len(sizes), levels
        layouts = {f"i_{k}": frame_layout(size, levels, "h") for k, size in enumerate(sizes)}
        inputs = {name: In(stream.Signature(layout)) for name, layout in layouts.items()}
        whole = frame_layout(sum(sizes), levels, "h")
        super().__init__({**inputs, "o": Out(stream.Signature(whole))})

    def elaborate(self, platform: object) -> Module:
        """Return the handshake of all."""
        m = Module()
        parts = [getattr(self, f"i_{k}") for k in range(self.count)]
        m.d.comb += self.o.valid.eq(Cat(part.valid for part in parts).all())
        m.d.comb += [part.ready.eq(self.o.valid & self.o.ready) for part in parts]
        planes = [Cat(part.payload.h[k] for part in parts) for k in range(self.levels)]
        drive(m, self.o.payload, h=planes, last=parts[0].payload.last)
        return m
