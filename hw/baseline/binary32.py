"""IEEE-754 binary32 as a payload, and what every binary32 unit asks of an operand."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from mubinn.hw.stream.component import View

#: The 32 bits of a binary32 number, by name.
BINARY32 = data.StructLayout({"fraction": 23, "exponent": 8, "sign": 1})

#: The operands of a two-operand unit.
PAIR = data.StructLayout({"a": BINARY32, "b": BINARY32})

#: What every invalid operation gives: the canonical quiet NaN, 0x7fc00000.
NAN_FRACTION = 1 << 22


@dataclass(frozen=True)
class Operand:
    """Classes of one operand, each one bit, and its fields."""

    fraction: Value
    exponent: Value
    sign: Value
    normal: Value  #: exponent field is not 0: the hidden bit
    top: Value  #: exponent field is all ones: infinity or NaN
    infinite: Value
    nan: Value
    zero: Value

    @property
    def significand(self) -> Value:
        """24 bits, hidden bit first; its last bit weighs ``2**(max(exponent, 1) - 150)``."""
        return Cat(self.fraction, self.normal)

    @property
    def scaled(self) -> Value:
        """24 bits, whose last bit weighs ``2**(exponent - 150)``, for subnormal numbers too.

        A subnormal number stands one bit further left, so that no exponent needs correction.
        """
        return Mux(self.normal, Cat(self.fraction, Const(1, 1)), Cat(Const(0, 1), self.fraction))


def unpack(m: Module, number: View, name: str) -> Operand:
    """Return `number`'s fields and classes; signals are prefixed with `name`."""
    fraction, exponent = Value.cast(number.fraction), Value.cast(number.exponent)
    flags = {}
    some = fraction.any()
    for key, value in {
        "normal": exponent.any(),
        "top": exponent.all(),
        "infinite": exponent.all() & ~some,
        "nan": exponent.all() & some,
        "zero": ~(exponent.any() | some),
    }.items():
        flags[key] = Signal(name=f"{name}_{key}")
        m.d.comb += flags[key].eq(value)
    return Operand(fraction, exponent, Value.cast(number.sign), **flags)
