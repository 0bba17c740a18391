"""The two building blocks of every datapath: a combinational unit and a pipeline register."""

from abc import abstractmethod
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class StreamUnit(wiring.Component):  # type: ignore[type-arg]
    """A combinational function between two streams.

    Latency is 0 cycles, throughput one transfer a cycle; valid and ready pass straight through, so
    that a chain of units is one path of logic and a :class:`Register` decides where it is cut.

    Parameters
    ----------
    i_shape, o_shape : ShapeLike
        Payload shapes.

    Members
    -------
    i : In(stream.Signature(i_shape))
    o : Out(stream.Signature(o_shape))
    """

    i: Any
    o: Any

    def __init__(self, i_shape: Any, o_shape: Any) -> None:
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    @abstractmethod
    def compute(self, m: Module) -> None:
        """Add to `m` the logic that drives ``o.payload`` from ``i.payload``."""

    def elaborate(self, platform: Any) -> Module:
        """Return the module: the handshake passed through, and :meth:`compute`."""
        m = Module()
        m.d.comb += [self.o.valid.eq(self.i.valid), self.i.ready.eq(self.o.ready)]
        self.compute(m)
        return m


class Register(wiring.Component):  # type: ignore[type-arg]
    """One pipeline stage: latency 1 cycle, one transfer a cycle, payload held until taken.

    Parameters
    ----------
    shape : ShapeLike
        Payload shape.

    Members
    -------
    i, o : In, Out(stream.Signature(shape))
    """

    i: Any
    o: Any

    def __init__(self, shape: Any) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: Any) -> Module:
        """Return the module."""
        m = Module()
        m.d.comb += self.i.ready.eq(self.o.ready | ~self.o.valid)
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
            with m.If(self.i.valid):
                m.d.sync += self.o.payload.eq(self.i.payload)
        return m
