"""Fixed-point multiply-accumulate: product and accumulator in one carry-save structure."""

from amaranth.hdl import Module, signed

from mubinn.golden.baseline.fixed_mac import FixedMacParams
from mubinn.hw.arith.booth import add_product
from mubinn.hw.arith.gate_heap import GateHeap
from mubinn.hw.stream.unit import StreamUnit


class FixedMac(StreamUnit):
    """``o.acc = i.acc + a * b`` as `mubinn.golden.baseline.fixed_mac.fixed_mac` defines it.

    Exact modulo ``2**sum_width``. Latency 0 cycles, one transfer a cycle. The rows of a radix-4
    Booth recoding and the accumulator are one heap, so a sum costs a single carry chain.

    Parameters
    ----------
    params : FixedMacParams

    Members
    -------
    i : In(stream of {a, b: signed(width), acc: signed(sum_width)})
    o : Out(stream of {acc: signed(sum_width)})
    """

    def __init__(self, params: FixedMacParams) -> None:
        self.params = params
        operand, total = signed(params.width), signed(params.sum_width)
        super().__init__(
            {"a": operand, "b": operand, "acc": total},
            {"acc": total},
        )

    def compute(self, m: Module) -> None:
        """Fill the heap and sum it."""
        i = self.i.payload
        heap = GateHeap(m, self.params.sum_width, name="mac")
        add_product(m, heap, i.a, i.b, "mac")
        heap.add(i.acc)
        m.d.comb += self.o.payload.acc.eq(heap.sum())
