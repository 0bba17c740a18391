"""Binary32 addition of a term whose sign a level bit decides."""

from amaranth.hdl import Cat, Module

from mubinn.hw.baseline.binary32 import BINARY32
from mubinn.hw.baseline.float_add import FloatAdd
from mubinn.hw.stream.pipe import apply
from mubinn.hw.stream.unit import StreamUnit


class SignedFloatAdd(StreamUnit):
    """``o = acc + term`` where `bit` is 1, ``acc - term`` where it is 0; latency 0.

    A level of a binarized tensor times a binary32 number is that number with its sign bit under an
    XNOR, so that their dot product needs no multiplier. Rounds as `FloatAdd` does.

    Members
    -------
    i : In(stream of {acc: BINARY32, term: BINARY32, bit: 1})
    o : Out(stream.Signature(BINARY32))
    """

    def __init__(self) -> None:
        super().__init__({"acc": BINARY32, "term": BINARY32, "bit": 1}, BINARY32)

    def compute(self, m: Module) -> None:
        """Put the XNOR before an adder."""
        i = self.i.payload
        term = i.term.as_value()
        signed = Cat(term[:-1], ~(term[-1] ^ i.bit))
        m.d.comb += self.o.payload.eq(apply(m, "add", FloatAdd(), a=i.acc, b=signed))
