"""Pointwise XNOR multiplier: Eq. (5), c = f c + i g, from level bits alone."""

from amaranth.hdl import Cat, Const, Module, Value, signed
from amaranth.lib import data

from mubinn.golden.units.pointwise import PointwiseParams
from mubinn.hw.arith.gate_heap import GateHeap
from mubinn.hw.arith.level_sum import add_scaled_sign
from mubinn.hw.stream.component import View
from mubinn.hw.stream.unit import StreamUnit


class Pointwise(StreamUnit):
    """``c_raw = sum_km gamma_fc[k, m] f_k c_m + sum_km gamma_ig[k, m] i_k g_m``, exact; latency 0.

    Each pair is one XNOR that negates its gamma; all pairs meet in one carry-save heap.

    Parameters
    ----------
    params : PointwiseParams

    Members
    -------
    i : In(stream of {f, c, i, g: levels, gamma_fc, gamma_ig: ArrayLayout(signed(gamma_width),
        rows * columns)})
        Row-major; index 0 belongs to the offset where a factor has one.
    o : Out(stream of {c_raw: signed(sum_width)})
    """

    def __init__(self, params: PointwiseParams) -> None:
        self.params = params
        gamma = signed(params.gamma_width)
        super().__init__(
            data.StructLayout(
                {
                    "f": params.f_levels,
                    "c": params.c_levels,
                    "i": params.i_levels,
                    "g": params.g_levels,
                    "gamma_fc": data.ArrayLayout(gamma, params.fc_shape[0] * params.fc_shape[1]),
                    "gamma_ig": data.ArrayLayout(gamma, params.ig_shape[0] * params.ig_shape[1]),
                }
            ),
            data.StructLayout({"c_raw": signed(params.sum_width)}),
        )

    def compute(self, m: Module) -> None:
        """Add the heap of all level pairs."""
        p, i = self.params, self.i.payload
        heap = GateHeap(m, p.sum_width, name="c_raw")
        _add_pairs(heap, i.gamma_fc, _extend(i.f, p.f_offset), _extend(i.c, p.c_offset))
        _add_pairs(heap, i.gamma_ig, _extend(i.i, p.i_offset), _extend(i.g, p.g_offset))
        m.d.comb += self.o.payload.c_raw.eq(heap.sum())


def _extend(code: Value, offset: bool) -> Value:
    """Put an offset's constant sign +1 before the levels' signs."""
    return Cat(Const(1, 1), code) if offset else code


def _add_pairs(heap: GateHeap, gamma: View, rows: Value, columns: Value) -> None:
    for k in range(len(rows)):
        for m in range(len(columns)):
            same = ~(rows[k] ^ columns[m])
            add_scaled_sign(heap, gamma[k * len(columns) + m], same)
