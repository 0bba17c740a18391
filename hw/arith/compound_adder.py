"""A parallel-prefix adder that gives a sum and, for a late carry in, the sum plus one."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal, Value


@dataclass(frozen=True)
class CompoundSum:
    """The carries of ``a + b``: bit k of each word is about the k bits below weight k."""

    half: Value  #: a ^ b, and 0 on top
    generate: Value  #: the bits below give a carry by themselves
    propagate: Value  #: the bits below pass a carry in

    def plus(self, carry: Value, *, name: str, m: Module) -> Value:
        """Return ``a + b + carry``, one bit wider than the addends; `carry` may come late."""
        total = Signal(len(self.half), name=name)
        late = carry.replicate(len(self.half))
        m.d.comb += total.eq(self.half ^ (self.generate | (self.propagate & late)))
        return total


def compound_add(m: Module, a: Value, b: Value, name: str) -> CompoundSum:
    """Add two words of equal length in a Sklansky network that keeps its propagates.

    The least number of levels; of its fan-out the mapper's buffers take care.
    """
    width = len(a)
    half = Signal(width + 1, name=f"{name}_half")
    m.d.comb += half.eq(a ^ b)
    gen: list[Value] = [a[k] & b[k] for k in range(width)]
    prop: list[Value] = [a[k] | b[k] for k in range(width)]
    step = 1
    while step < width:
        next_gen, next_prop = gen[:], prop[:]
        for k in range(width):
            if k & step:
                low = (k & ~(2 * step - 1)) + step - 1
                g = Signal(name=f"{name}_g{k}_{step}")
                p = Signal(name=f"{name}_p{k}_{step}")
                m.d.comb += [g.eq(gen[k] | (prop[k] & gen[low])), p.eq(prop[k] & prop[low])]
                next_gen[k], next_prop[k] = g, p
        gen, prop = next_gen, next_prop
        step *= 2
    return CompoundSum(half, Cat(Const(0, 1), *gen), Cat(Const(1, 1), *prop))
