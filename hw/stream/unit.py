"""The two building blocks of every datapath: a combinational unit and a pipeline register."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TypeAlias

from amaranth.hdl import Module, ShapeLike
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from mubinn.hw.stream.component import Component

Payload: TypeAlias = "ShapeLike | Mapping[str, ShapeLike]"


class StreamUnit(Component):
    """A combinational function between two streams.

    Latency is 0 cycles, throughput one transfer a cycle; valid and ready pass straight through, so
    that a chain of units is one path of logic and a `Register` decides where it is cut.

    Parameters
    ----------
    i_shape, o_shape : ShapeLike or mapping of str to ShapeLike
        Payload shapes; a mapping is that of a structure's fields.

    Members
    -------
    i : In(stream.Signature(i_shape))
    o : Out(stream.Signature(o_shape))
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, i_shape: Payload, o_shape: Payload) -> None:
        i, o = (
            data.StructLayout(shape) if isinstance(shape, Mapping) else shape
            for shape in (i_shape, o_shape)
        )
        super().__init__({"i": In(stream.Signature(i)), "o": Out(stream.Signature(o))})

    @abstractmethod
    def compute(self, m: Module) -> None:
        """Add to `m` the logic that drives ``o.payload`` from ``i.payload``."""

    def elaborate(self, platform: object) -> Module:
        """Return the module: the handshake passed through, and `compute`."""
        m = Module()
        m.d.comb += [self.o.valid.eq(self.i.valid), self.i.ready.eq(self.o.ready)]
        self.compute(m)
        return m


class Register(Component):
    """One pipeline stage: latency 1 cycle, one transfer a cycle, payload held until taken.

    Parameters
    ----------
    shape : ShapeLike
        Payload shape.

    Members
    -------
    i, o : In, Out(stream.Signature(shape))
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        """Return the module."""
        m = Module()
        m.d.comb += self.i.ready.eq(self.o.ready | ~self.o.valid)
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
            with m.If(self.i.valid):
                m.d.sync += self.o.payload.eq(self.i.payload)
        return m
