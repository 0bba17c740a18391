"""The rows of a GRU that resets after the product, up to the candidate's sum nx + r nh."""

from typing import NamedTuple

from amaranth.hdl import Module, Signal, Value, signed

from mubinn.golden.cells.gru_cell import GruCellParams
from mubinn.golden.cells.gru_layer import GRU_ROWS
from mubinn.hw.cells.gate_stage import mac_constants
from mubinn.hw.stream.component import View
from mubinn.hw.stream.fields import constants
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.mac import Mac

ROW_Z, ROW_R, ROW_NH, ROW_NX = range(len(GRU_ROWS))


class ResetSum(NamedTuple):
    """What the last row meets: codes of z and r, the product r nh, and the candidate's sum."""

    z: Value
    r: Value
    rnh: Value
    n_raw: Value


def reset_sum(m: Module, pipe: Pipe, params: GruCellParams, s: View, code: Value) -> ResetSum:
    """Keep what rows leave for the last one, `code` that of their gate; r nh takes a MAC."""
    bits, reset = params.layer.levels.count("gate"), params.layer.gates["r"]
    z, r = Signal(bits, name="held_z"), Signal(bits, name="held_r")
    const = constants(**mac_constants("r", params.mac, reset))
    unit = Mac(params.mac)
    fields = {"offset": const.r_offset, "scales": const.r_scales}
    product = apply(m, "mac", unit, o=r, tanh_c=s.z, **fields).h_raw
    rnh = Signal(signed(params.mac.sum_width), name="held_rnh")
    with m.If(pipe.transfer), m.Switch(s.gate):
        with m.Case(ROW_Z):
            m.d.sync += z.eq(code)
        with m.Case(ROW_R):
            m.d.sync += r.eq(code)
        with m.Case(ROW_NH):
            m.d.sync += rnh.eq(product)
    n_raw = Signal(signed(params.n_width))
    m.d.comb += n_raw.eq(rnh + (s.z << reset.fraction))
    return ResetSum(z, r, rnh, n_raw)
