"""Sigmoid and tanh in binary32: piecewise linear, for the full-precision cell."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from mubinn.golden.baseline.float_activation import FloatActivationParams
from mubinn.hw.baseline.binary32 import BINARY32
from mubinn.hw.baseline.float_add import FloatAdd
from mubinn.hw.baseline.float_mult import FloatMult
from mubinn.hw.stream.unit import StreamUnit


class FloatActivation(StreamUnit):
    """``o`` as `mubinn.golden.baseline.float_activation.float_activation` defines it.

    Latency 0 cycles, one transfer a cycle: a table of logic, a multiplier and an adder. The table's
    word is chosen by the leading bits of the number's magnitude alone.

    Parameters
    ----------
    params : FloatActivationParams

    Members
    -------
    i, o : In, Out(stream.Signature(BINARY32))
    """

    def __init__(self, params: FloatActivationParams) -> None:
        self.params = params
        super().__init__(BINARY32, BINARY32)

    def compute(self, m: Module) -> None:
        """Look up, multiply, add."""
        x = Value.cast(self.i.payload)
        slope, base, last = self._table(m, x)
        m.submodules.mult = mult = FloatMult()
        m.submodules.add = add = FloatAdd()
        is_nan = Signal(name="is_nan")
        m.d.comb += [
            is_nan.eq(x[23:31].all() & x[:23].any()),
            Value.cast(mult.i.payload.a).eq(slope),
            # NaN lies in the last segment, and has to pass.
            Value.cast(mult.i.payload.b).eq(Mux(last & ~is_nan, 0, x)),
            add.i.payload.a.eq(mult.o.payload),
            Value.cast(add.i.payload.b).eq(base),
            self.o.payload.eq(add.o.payload),
        ]

    def _table(self, m: Module, x: Value) -> tuple[Value, Value, Value]:
        """Return the slope and base of x's segment, and whether that is the last one."""
        params = self.params
        slope, base = Signal(32, name="slope"), Signal(32, name="base")
        first, last = Signal(name="first"), Signal(name="last")
        key = x[23 - params.octave_bits : 31]
        count = params.octave_segments
        end = count + 1
        # Within the octaves the low bits of the key tell the segments apart.
        place = key[: count.bit_length()]
        m.d.comb += [first.eq(key < params.first_key), last.eq(key >= params.first_key + count)]
        pairs = [
            Cat(Const(int(params.slopes[k]), 32), self._base(k, x[31])) for k in range(end + 1)
        ]
        words = Signal(64, name="words")
        with m.Switch(place):
            for k in range(count):
                with m.Case((params.first_key + k) & ((1 << len(place)) - 1)):
                    m.d.comb += words.eq(pairs[k + 1])
        chosen = Mux(last, pairs[end], Mux(first, pairs[0], words))
        m.d.comb += Cat(slope, base).eq(chosen)
        return slope, base, last

    def _base(self, segment: int, negative: Value) -> Value:
        above, below = (Const(int(self.params.bases[k, segment]), 32) for k in (0, 1))
        return Mux(negative, below, above)


class FloatSegment(FloatActivation):
    """What `FloatActivation` looks up, for a multiplier and an adder that stand elsewhere.

    The function of x is ``slope * factor + base``, each step rounded. Latency 0 cycles.

    Parameters
    ----------
    params : FloatActivationParams

    Members
    -------
    i : In(stream.Signature(BINARY32))
    o : Out(stream of {slope, factor, base: 32 bits, each a binary32})
    """

    def __init__(self, params: FloatActivationParams) -> None:
        self.params = params
        words = data.StructLayout({"slope": 32, "factor": 32, "base": 32})
        StreamUnit.__init__(self, BINARY32, words)

    def compute(self, m: Module) -> None:
        """Look up."""
        x = Value.cast(self.i.payload)
        slope, base, last = self._table(m, x)
        is_nan = x[23:31].all() & x[:23].any()
        m.d.comb += [
            self.o.payload.slope.eq(slope),
            self.o.payload.factor.eq(Mux(last & ~is_nan, 0, x)),
            self.o.payload.base.eq(base),
        ]
