"""Pointwise XNOR multiplier: a b + c d from level bits alone, Eq. (5) with f c + i g."""

from amaranth.hdl import Cat, Const, Module, Value, signed
from amaranth.lib import data

from mubinn.golden.units.pointwise import PointwiseParams
from mubinn.hw.arith.gate_heap import GateHeap
from mubinn.hw.arith.level_sum import add_scaled_sign
from mubinn.hw.stream.component import View
from mubinn.hw.stream.unit import StreamUnit


class Pointwise(StreamUnit):
    """``sum = sum_km gamma_ab[k, m] a_k b_m + sum_km gamma_cd[k, m] c_k d_m``, exact; latency 0.

    Each pair is one XNOR that negates its gamma; all pairs meet in one carry-save heap.

    Parameters
    ----------
    params : PointwiseParams

    Members
    -------
    i : In(stream of {a, b, c, d: levels, gamma_ab, gamma_cd: ArrayLayout(signed(gamma_width),
        rows * columns)})
        Row-major; index 0 belongs to the offset where a factor has one.
    o : Out(stream of {sum: signed(sum_width)})
    """

    def __init__(self, params: PointwiseParams) -> None:
        self.params = params
        gamma = signed(params.gamma_width)
        super().__init__(
            {
                "a": params.a_levels,
                "b": params.b_levels,
                "c": params.c_levels,
                "d": params.d_levels,
                "gamma_ab": data.ArrayLayout(gamma, params.ab_shape[0] * params.ab_shape[1]),
                "gamma_cd": data.ArrayLayout(gamma, params.cd_shape[0] * params.cd_shape[1]),
            },
            {"sum": signed(params.sum_width)},
        )

    def compute(self, m: Module) -> None:
        """Add the heap of all level pairs."""
        p, i = self.params, self.i.payload
        heap = GateHeap(m, p.sum_width, name="sum")
        _add_pairs(heap, i.gamma_ab, _extend(i.a, p.a_offset), _extend(i.b, p.b_offset))
        _add_pairs(heap, i.gamma_cd, _extend(i.c, p.c_offset), _extend(i.d, p.d_offset))
        m.d.comb += self.o.payload.sum.eq(heap.sum())


def _extend(code: Value, offset: bool) -> Value:
    """Put an offset's constant sign +1 before the levels' signs."""
    return Cat(Const(1, 1), code) if offset else code


def _add_pairs(heap: GateHeap, gamma: View, rows: Value, columns: Value) -> None:
    for k in range(len(rows)):
        for m in range(len(columns)):
            same = ~(rows[k] ^ columns[m])
            add_scaled_sign(heap, gamma[k * len(columns) + m], same)
