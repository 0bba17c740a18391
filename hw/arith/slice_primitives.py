"""The primitives of Xilinx 7-series slices, as instances or as the plain logic they stand for.

Yosys infers neither a LUT with two outputs nor the use of carry chains as counters, so a network
that lives on them names the primitives. The plain form is the same network, table by table, for
simulators that have no models of these primitives.
"""

from collections.abc import Callable, Sequence
from itertools import product

from amaranth.hdl import Cat, Const, Instance, Module, Signal, Value

Function = Callable[..., bool]
LUT_INPUTS = 6
CHAIN = 4


def truth_table(function: Function, count: int, size: int = LUT_INPUTS) -> int:
    """Return the contents of a LUT of `size` inputs: `function` of the first `count` of them."""
    rows = [reversed(bits) for bits in product((False, True), repeat=size)]
    return sum(bool(function(*list(bits)[:count])) << row for row, bits in enumerate(rows))


class SlicePrimitives:
    """Adds LUTs and carry chains to a module.

    Parameters
    ----------
    m : Module
        Receives the logic, in its combinational domain.
    name : str
        Prefix of the names.
    primitives : bool
        Instances of ``LUT6``, ``LUT6_2`` and ``CARRY4``; else plain logic.
    """

    def __init__(self, m: Module, name: str, *, primitives: bool) -> None:
        self._m = m
        self._name = name
        self._primitives = primitives
        self._count = 0

    def _signal(self, width: int = 1) -> Signal:
        self._count += 1
        return Signal(width, name=f"{self._name}_{self._count}")

    def _instance(self, kind: str, **ports: object) -> None:
        self._m.submodules[f"{self._name}_cell{self._count}"] = Instance(kind, **ports)

    def lut(self, function: Function, inputs: Sequence[Value]) -> Value:
        """Return one function of at most six inputs: one LUT."""
        out = self._signal()
        table = truth_table(function, len(inputs))
        if not self._primitives:
            self._m.d.comb += out.eq(Const(table, 64).bit_select(Cat(*inputs), 1))
            return out
        wired = [*inputs, *[Const(0, 1)] * (LUT_INPUTS - len(inputs))]
        ports: dict[str, object] = {f"i_I{k}": bit for k, bit in enumerate(wired)}
        self._instance("LUT6", p_INIT=Const(table, 64), o_O=out, **ports)
        return out

    def lut2(
        self, first: Function, second: Function, inputs: Sequence[Value]
    ) -> tuple[Value, Value]:
        """Return two functions of the same inputs, at most five: one LUT with two outputs."""
        high, low = self._signal(), self._signal()
        tables = [truth_table(f, len(inputs), LUT_INPUTS - 1) for f in (first, second)]
        if not self._primitives:
            for out, table in zip((high, low), tables, strict=True):
                self._m.d.comb += out.eq(Const(table, 32).bit_select(Cat(*inputs), 1))
            return high, low
        wired = [*inputs, *[Const(0, 1)] * (LUT_INPUTS - 1 - len(inputs)), Const(1, 1)]
        ports: dict[str, object] = {f"i_I{k}": bit for k, bit in enumerate(wired)}
        init = Const(tables[0] << 32 | tables[1], 64)
        self._instance("LUT6_2", p_INIT=init, o_O6=high, o_O5=low, **ports)
        return high, low

    def chain(
        self, select: Sequence[Value], data: Sequence[Value], carry: Value
    ) -> tuple[list[Value], Value]:
        """Return the sum bits of a carry chain, and its carry out.

        Place k gives ``select[k] ^ carry`` and passes the carry on where `select` is 1, `data` on
        where it is 0.
        """
        sums: list[Value] = []
        for start in range(0, len(select), CHAIN):
            part, own = select[start : start + CHAIN], data[start : start + CHAIN]
            out, carries = self._signal(CHAIN), self._signal(CHAIN)
            s, d = (Cat(*bits, Const(0, CHAIN - len(bits))) for bits in (part, own))
            if self._primitives:
                # The carry chain of the FPGA begins at CYINIT; only a CARRY4 below drives CI.
                begin, below = (carry, Const(0, 1)) if not start else (Const(0, 1), carry)
                ports: dict[str, object] = {"i_CYINIT": begin, "i_CI": below, "i_S": s, "i_DI": d}
                self._instance("CARRY4", o_O=out, o_CO=carries, **ports)
            else:
                before = Cat(carry, carries[: CHAIN - 1])
                self._m.d.comb += [
                    out.eq(s ^ before),
                    carries.eq((s & before) | (~s & d)),
                ]
            sums += [out[k] for k in range(len(part))]
            carry = carries[len(part) - 1]
        return sums, carry
