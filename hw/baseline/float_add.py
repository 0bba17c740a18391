"""IEEE-754 binary32 addition in two paths, after Farmwald and Seidel-Even."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from mubinn.hw.arith.compound_adder import compound_add
from mubinn.hw.arith.shifter import leading_zeros, shift_left, shift_right
from mubinn.hw.baseline.binary32 import BINARY32, NAN_FRACTION, PAIR, Operand, unpack
from mubinn.hw.stream.unit import StreamUnit


@dataclass(frozen=True)
class _Far:
    """The far path's candidates: as it stands, and moved by one place."""

    straight: Value  #: 23 fraction bits
    moved: Value  #: 23 fraction bits
    is_moved: Value
    exponent: Value  #: of the larger operand
    carry: Value  #: the sum reaches the next exponent
    rounded_up: Value  #: the moved difference was rounded up to a power of two, and is not moved


@dataclass(frozen=True)
class _Near:
    """The near path's result."""

    fraction: Value
    exponent: Value
    sign: Value


class FloatAdd(StreamUnit):
    """``o = a + b`` in binary32, as `mubinn.golden.baseline.float_add.float_add` defines it.

    Rounded once, to nearest, ties to even; subnormal numbers, infinities, signed zeros; every NaN
    is 0x7fc00000. Latency 0 cycles, one transfer a cycle.

    Differences of neighbouring exponents that cancel go through the near path: one place of
    alignment, a leading-zero anticipator beside the adder, a full shift, no rounding. Everything
    else goes through the far path: a full alignment and one carry tree. There rounding adds 0 or 1
    at the last place only, also after a carry out (the bit that leaves is then 1), so it enters the
    tree as a late carry and there is no second addition.

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
        differ = Signal(name="differ")
        m.d.comb += differ.eq(a.sign ^ b.sign)
        swap, distance = _distance(m, a.exponent, b.exponent)
        far = _far_path(m, a, b, differ, swap, distance)
        near = _near_path(m, a, b)
        self._select(m, a, b, differ, swap, far, near)

    def _select(
        self,
        m: Module,
        a: Operand,
        b: Operand,
        differ: Value,
        swap: Value,
        far: _Far,
        near: _Near,
    ) -> None:
        """Choose among the paths and the special values with one AND-OR level at the end."""
        special = Signal(name="special")
        invalid = Signal(name="invalid")
        # A finite sum that reaches the exponent of infinity has its fraction cleared.
        full = Signal(name="full")
        neighbours = Signal(name="neighbours")
        near_only = Signal(name="near_only")
        exp_a, exp_b = _effective(a), _effective(b)
        m.d.comb += [
            special.eq(a.top | b.top),
            invalid.eq(a.nan | b.nan | (a.infinite & b.infinite & differ)),
            full.eq(~differ & (far.exponent == 254)),
            neighbours.eq(
                differ & ~special & (_apart_by_one(exp_a, exp_b) | _apart_by_one(exp_b, exp_a))
            ),
            near_only.eq(differ & ~special & (exp_a == exp_b)),
        ]
        from_near, from_moved, from_straight = (
            Signal(name=f"from_{path}") for path in ("near", "moved", "straight")
        )
        m.d.comb += [
            from_near.eq(near_only | (neighbours & far.is_moved)),
            from_moved.eq(far.is_moved & ~(neighbours | near_only | special)),
            from_straight.eq(~far.is_moved & ~(near_only | special)),
        ]
        up, down = Signal(8, name="exponent_up"), Signal(8, name="exponent_down")
        m.d.comb += [up.eq(far.exponent + 1), down.eq(far.exponent - 1)]
        far_exponent = Mux(
            differ,
            Mux(far.is_moved & ~far.rounded_up, down, far.exponent),
            Mux(far.carry, up, far.exponent),
        )
        o = self.o.payload
        larger = Mux(swap, b.sign, a.sign)
        special_sign = Mux(a.top, a.sign, b.sign) & ~invalid
        m.d.comb += [
            o.fraction.eq(
                _if(from_near, near.fraction)
                | _if(from_moved & ~full, far.moved)
                | _if(from_straight, far.straight)
                | _if(invalid, Const(NAN_FRACTION, 23))
            ),
            o.exponent.eq(
                _if(from_near, near.exponent)
                | _if(~from_near & ~special, far_exponent)
                | special.replicate(8)
            ),
            o.sign.eq(Mux(special, special_sign, Mux(near_only, near.sign, larger))),
        ]


def _if(condition: Value, value: Value) -> Value:
    return condition.replicate(len(value)) & value


def _apart_by_one(a: Value, b: Value) -> Value:
    """Return whether ``a - b == 1`` modulo the words' size, without a carry chain."""
    differ, some = a ^ ~b, Cat(Const(0, 1), (a | ~b)[: len(a) - 1])
    return differ[: len(a)] == some


def _effective(operand: Operand) -> Value:
    """Return the exponent field, 1 for subnormal numbers."""
    return Cat(operand.exponent[0] | ~operand.normal, operand.exponent[1:])


def _distance(m: Module, a: Value, b: Value) -> tuple[Value, Value]:
    """Return ``a < b`` and ``|a - b|``, both differences formed at once."""
    ahead, behind = Signal(9, name="ahead"), Signal(9, name="behind")
    distance = Signal(8, name="distance")
    m.d.comb += [
        ahead.eq(a - b),
        behind.eq(b - a),
        distance.eq(Mux(ahead[8], behind[:8], ahead[:8])),
    ]
    return ahead[8], distance


def _align(m: Module, small: Value, distance: Value) -> tuple[Value, Value]:
    """Return 24 bits and two more of `small` moved right by `distance`, and the sticky bit."""
    beyond = Signal(name="beyond")
    aligned = Signal(26, name="aligned")
    sticky = Signal(name="sticky")
    shifted = shift_right(m, Cat(Const(0, 2), small), distance[:5], 26, "align")
    # From 26 places on nothing is left to round, so that what is lost does not matter.
    lost = Cat(small[j] & (distance[:5] > j + 2) for j in range(24))
    m.d.comb += [
        beyond.eq(distance[5:].any()),
        aligned.eq(_if(~beyond, shifted)),
        sticky.eq(lost.any()),
    ]
    return aligned, sticky


def _far_path(
    m: Module, a: Operand, b: Operand, differ: Value, swap: Value, distance: Value
) -> _Far:
    """Align the smaller operand, add or subtract, round."""
    big, small = Signal(24, name="big"), Signal(24, name="small")
    exponent = Signal(8, name="exponent")
    left, right = a.scaled, b.scaled
    m.d.comb += [
        big.eq(Mux(swap, right, left)),
        small.eq(Mux(swap, left, right)),
        exponent.eq(Mux(swap, b.exponent, a.exponent)),
    ]
    aligned, sticky = _align(m, small, distance)
    tree = compound_add(m, big, aligned[2:] ^ differ.replicate(24), "far")
    guard, below = aligned[1], aligned[0]
    tail, rest = Signal(name="tail"), Signal(name="rest")
    guard_sub, below_sub, last = (Signal(name=n) for n in ("guard_sub", "below_sub", "last"))
    second = Signal(name="second")
    m.d.comb += [
        rest.eq(below | sticky),
        tail.eq(guard | rest),
        # The bits below the last place after subtraction, when there are any.
        guard_sub.eq(guard ^ rest),
        below_sub.eq(below ^ sticky),
        last.eq(tree.half[0]),
        second.eq(tree.half[1] ^ tree.generate[1]),
    ]
    up_straight, up_moved = Signal(name="up_straight"), Signal(name="up_moved")
    m.d.comb += [
        up_straight.eq(
            Mux(
                differ,
                ~tail | (guard_sub & (below_sub | sticky | last)),
                guard & (rest | last),
            )
        ),
        up_moved.eq(Mux(differ, ~tail | (guard_sub & below_sub), last & (second | tail))),
    ]
    straight = tree.plus(up_straight, name="straight", m=m)
    other = tree.plus(up_moved, name="other", m=m)
    round_in = guard_sub ^ (below_sub & (sticky | guard_sub))
    moved = Mux(differ, Cat(round_in & tail, other[:22]), other[1:24])
    # Which candidate holds is told by the sum before rounding: a carry, or no leading one.
    carry = tree.generate[24]
    lead = tree.half[23] ^ (tree.generate[23] | (tree.propagate[23] & ~tail))
    is_moved = Signal(name="is_moved")
    m.d.comb += is_moved.eq(Mux(differ, ~lead, carry | ~exponent.any()))
    return _Far(straight[:23], moved, is_moved, exponent, straight[24], other[23])


def _near_operands(m: Module, a: Operand, b: Operand) -> tuple[Value, Value, Value]:
    """Return minuend, subtrahend (25 bits) and exponent where exponents are equal or neighbours.

    Two bits of each exponent tell the cases apart.
    """
    exp_a, exp_b = _effective(a), _effective(b)
    odd, swap = Signal(name="odd"), Signal(name="near_swap")
    x, y = Signal(25, name="minuend"), Signal(25, name="subtrahend")
    exponent = Signal(8, name="near_larger")
    other = Mux(swap, a.significand, b.significand)
    m.d.comb += [
        odd.eq(exp_a[0] ^ exp_b[0]),
        swap.eq(odd & (exp_a[1] ^ exp_b[1] ^ (~exp_a[0] & exp_b[0]))),
        x.eq(Cat(Const(0, 1), Mux(swap, b.significand, a.significand))),
        y.eq(Mux(odd, other, Cat(Const(0, 1), other))),
        exponent.eq(Mux(swap, exp_b, exp_a)),
    ]
    return x, y, exponent


def _anticipate(m: Module, x: Value, y: Value) -> Value:
    """Return a word whose leading one is that of ``|x - y|`` or one place above it.

    The indicator of Bruguera and Lang, for differences of either sign.
    """
    width = len(x)
    more, less = x & ~y, ~x & y
    same = ~(x ^ y)
    bits = []
    for k in range(width):
        above = same[k + 1] if k + 1 < width else Const(1, 1)
        g, s = (more[k - 1], less[k - 1]) if k else (Const(0, 1), Const(0, 1))
        bits.append(
            (above & ((more[k] & ~s) | (less[k] & ~g)))
            | (~above & ((less[k] & ~s) | (more[k] & ~g)))
        )
    word = Signal(width, name="anticipated")
    m.d.comb += word.eq(Cat(*bits))
    return word


def _near_path(m: Module, a: Operand, b: Operand) -> _Near:
    """Subtract, and normalise as far as the exponent allows; the result is exact."""
    x, y, exponent = _near_operands(m, a, b)
    tree = compound_add(m, x, ~y, "near")
    positive, difference = Signal(name="positive"), Signal(25, name="difference")
    one, zero = Const(1, 1), Const(0, 1)
    m.d.comb += [
        positive.eq(tree.generate[25] | tree.propagate[25]),
        difference.eq(
            Mux(
                positive,
                tree.plus(one, name="near_plus", m=m)[:25],
                ~tree.plus(zero, name="near_minus", m=m)[:25],
            )
        ),
    ]
    # A one where the exponent runs out stops the normalisation: the result is subnormal.
    limit = Cat(exponent == 25 - k for k in range(25))
    count, _ = leading_zeros(m, _anticipate(m, x, y) | limit, "lz")
    moved = shift_left(m, difference, count, "normalise")
    stopped = Signal(name="stopped")
    fraction, result = Signal(23, name="near_fraction"), Signal(8, name="near_exponent")
    exact, less = Signal(8, name="exponent_exact"), Signal(8, name="exponent_less")
    again = ~moved[24] & ~stopped
    m.d.comb += [
        stopped.eq(exponent == count + 1),
        exact.eq(exponent - count),
        less.eq(exponent - count - 1),
        fraction.eq(Mux(again, moved[:23], moved[1:24])),
        result.eq(_if(moved[24], exact) | _if(again & moved[23], less)),
    ]
    sign = Mux(positive, a.sign & (x != y), b.sign)
    return _Near(fraction, result, sign)
