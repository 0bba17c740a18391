"""IEEE-754 binary32 multiplication with rounding injected before the one carry chain."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from mubinn.hw.arith.booth import add_product
from mubinn.hw.arith.gate_heap import GateHeap
from mubinn.hw.arith.shifter import leading_zeros, shift_right
from mubinn.hw.baseline.binary32 import BINARY32, NAN_FRACTION, PAIR, Operand, unpack
from mubinn.hw.stream.unit import StreamUnit

#: When the last place is known, in two-input gates after the inputs.
_PLACE_ARRIVAL = 25.0


@dataclass(frozen=True)
class _Place:
    """Where the last place of the result stands in the product."""

    shift: Value  #: weight of the last place, 0..49, for products below ``2**(24 + shift)``
    onehot: Value  #: `shift`, decoded
    below: Value  #: ones at all weights less than `shift`
    bounded: Value  #: the exponent's lower end decides `shift`: the result is subnormal or tiny
    exponent: Value  #: exponent field, signed, unless `bounded`


class FloatMult(StreamUnit):
    """``o = a * b`` in binary32, as `mubinn.golden.baseline.float_mult` defines it.

    Rounded once, to nearest, ties to even; subnormal numbers, infinities, signed zeros; every NaN
    is 0x7fc00000. Latency 0 cycles, one transfer a cycle.

    The 13 rows of a radix-4 Booth recoding are reduced in carry-save form. Meanwhile the exponents
    and the leading zeros of a subnormal operand tell the weight of the result's last place but for
    one bit: whether the product of the significands reaches 2. For either case half a last place is
    added to the reduced product and the sum formed by a prefix adder; the first sum tells which of
    the two holds, a tie (all bits below the last place are 0) clears the last bit, and one shift
    brings the sum into place. No operand is normalised beforehand, and no increment follows the
    addition.

    Members
    -------
    i : In(stream.Signature(PAIR))
    o : Out(stream.Signature(BINARY32))
    """

    def __init__(self) -> None:
        super().__init__(PAIR, BINARY32)

    def compute(self, m: Module) -> None:
        """Drive ``o.payload``."""
        a = unpack(m, self.i.payload.a, "a")
        b = unpack(m, self.i.payload.b, "b")
        rows, arrival = _product(m, a.significand, b.significand)
        place = _find_place(m, a, b)
        low = _rounded(m, rows, arrival, place.onehot[1:], "low")
        high = _rounded(m, rows, arrival, place.onehot, "high")
        reaches = Signal(name="reaches")
        m.d.comb += reaches.eq((place.onehot[:25] & low[24:49]).any() & ~place.bounded)
        tie_low, tie_high = Signal(name="tie_low"), Signal(name="tie_high")
        m.d.comb += [
            tie_low.eq(~((low & place.below).any() | place.onehot[0])),
            tie_high.eq(~(high & (place.below | place.onehot)).any()),
        ]
        moved_low = shift_right(m, low, place.shift, 24, "shift_low")
        moved_high = shift_right(m, high[1:], place.shift, 24, "shift_high")
        moved_low = Cat(moved_low[0] & ~tie_low, moved_low[1:])
        moved_high = Cat(moved_high[0] & ~tie_high, moved_high[1:])
        self._select(m, a, b, place, reaches, moved_low, moved_high)

    def _select(
        self,
        m: Module,
        a: Operand,
        b: Operand,
        place: _Place,
        reaches: Value,
        low: Value,
        high: Value,
    ) -> None:
        """Choose between the two sums and the special values with one AND-OR level."""
        special, invalid = Signal(name="special"), Signal(name="invalid")
        up = Signal(10, name="exponent_up")
        huge_low, huge_high = Signal(name="huge_low"), Signal(name="huge_high")
        use_low, use_high = Signal(name="use_low"), Signal(name="use_high")
        m.d.comb += [
            special.eq(a.top | b.top),
            invalid.eq(a.nan | b.nan | (a.infinite & b.zero) | (a.zero & b.infinite)),
            up.eq(place.exponent + 1),
            huge_low.eq(special | (~place.bounded & (place.exponent >= 255))),
            huge_high.eq(special | (~place.bounded & (place.exponent >= 254))),
            use_low.eq(~reaches & ~huge_low),
            use_high.eq(reaches & ~huge_high),
        ]
        tiny = Cat(low[23], Const(0, 7))
        o = self.o.payload
        m.d.comb += [
            o.fraction.eq(
                _if(use_low, low[:23])
                | _if(use_high, high[:23])
                | _if(invalid, Const(NAN_FRACTION, 23))
            ),
            o.exponent.eq(
                _if(use_low, Mux(place.bounded, tiny, place.exponent[:8]))
                | _if(use_high, up[:8])
                | Mux(reaches, huge_high, huge_low).replicate(8)
            ),
            o.sign.eq((a.sign ^ b.sign) & ~invalid),
        ]


def _if(condition: Value, value: Value) -> Value:
    return condition.replicate(len(value)) & value


def _product(m: Module, x: Value, y: Value) -> tuple[tuple[Value, Value], tuple[float, ...]]:
    """Return the product of two 24-bit significands as two rows of 49 bits, with their arrival."""
    # One bit more than the product, as a recoded product is right modulo the heap's width only.
    heap = GateHeap(m, 49, name="product")
    add_product(m, heap, x, y, "product")
    return heap.compress(), heap.arrival


def _rounded(
    m: Module, rows: tuple[Value, Value], arrival: tuple[float, ...], half: Value, name: str
) -> Value:
    """Return the product plus `half` a last place, 49 bits."""
    heap = GateHeap(m, 49, name=name)
    for row in rows:
        for k, bit in enumerate(row):
            heap.add_bit(k, bit, arrival[k])
    for k, bit in enumerate(half):
        heap.add_bit(k, bit, _PLACE_ARRIVAL)
    return heap.sum()


def _find_place(m: Module, a: Operand, b: Operand) -> _Place:
    """Find the last place from the exponents and from the leading zeros of a subnormal operand.

    With two subnormal operands the product is less than half of the smallest number, whatever their
    leading zeros.
    """
    zeros, _ = leading_zeros(m, Mux(a.normal, b.significand, a.significand), "lz")
    total = Signal(9, name="exponent_sum")
    base, bound, spare = Signal(5, name="base"), Signal(6, name="bound"), Signal(11, name="spare")
    shift, bounded = Signal(6, name="shift"), Signal(name="bounded")
    exp_a = Cat(a.exponent[0] | ~a.normal, a.exponent[1:])
    exp_b = Cat(b.exponent[0] | ~b.normal, b.exponent[1:])
    m.d.comb += [
        total.eq(exp_a + exp_b),
        base.eq(23 - zeros),
        bound.eq(Mux(total < 151 - 49, 49, (151 - total)[:6])),
        spare.eq(total - 128 - zeros),
        bounded.eq(spare[10] | a.zero | b.zero),
        shift.eq(Mux(bounded, bound, base)),
    ]
    onehot, below = Signal(49, name="onehot"), Signal(49, name="below")
    m.d.comb += [
        onehot.eq(Cat(shift == k for k in range(49))),
        below.eq(Cat(shift > k for k in range(49))),
    ]
    return _Place(shift, onehot, below, bounded, (spare + 1)[:10].as_signed())
