"""The state stage of a GRU in Cho's form on the units of Figure 3."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.constants import GRU_GATES
from mubinn.golden.cells.gru_before_cell import GruBeforeCellParams
from mubinn.hw.cells.cell_layout import scale_array
from mubinn.hw.cells.gate_stage import (
    activate,
    encode,
    encode_gate,
    encoder_constants,
    gate_layout,
    gate_record,
    scales_of,
)
from mubinn.hw.cells.state_stage import PipelinedState
from mubinn.hw.stream.component import FieldValue, View
from mubinn.hw.stream.fields import constants, fields_of
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.pointwise import Pointwise

GATE_Z, GATE_R, GATE_N = range(len(GRU_GATES))


class GruBeforeFigure3State(PipelinedState[GruBeforeCellParams]):
    """Hardware of `gru_before_reset` and `gru_before_state`, in four stages.

    In the first phase the sums of z and r of a cell arrive and s leaves, in the second the sum of n
    arrives and the new h leaves; both pass through the same LUTs, encoders and pointwise
    multiplier. A cell's state ``c`` is its h with the code of z above it, which M_g keeps from the
    first phase to the second.

    Parameters and members are those of `mubinn.hw.cells.state_stage.StateStage`.
    """

    FIRST_PHASE = ("s_raw", "s")

    @classmethod
    def latency(cls, params: GruBeforeCellParams) -> int:
        """Return 4."""
        return 4

    @classmethod
    def trace_layout(cls, params: GruBeforeCellParams) -> data.StructLayout:
        """Return the layout of every intermediate, named as in `golden.cells.gru_before_cell`.

        With s gates z and r and ``s_raw, s`` hold; with h gate n and ``h_raw, h``.
        """
        raw, code = signed(params.pointwise.sum_width), unsigned(params.layer.levels.count("h"))
        return data.StructLayout(
            {
                "gates": data.ArrayLayout(gate_layout(params), len(GRU_GATES)),
                "s_raw": raw,
                "s": code,
                "h_raw": raw,
                "h": code,
            }
        )

    def _constants(self) -> View:
        """Return the scales of M_s that hold for all cells, those of s first, then those of h."""
        p, layer = self.params, self.params.layer
        state, fraction = p.encoder("h"), layer.h_raw_fraction
        gamma = signed(p.pointwise.gamma_width)
        left = [g.ravel().tolist() for g in (layer.gamma_rh, layer.gamma_zh)]
        # s has no second product.
        own = layer.gamma_zn.ravel().tolist()
        right = [[0] * len(own), own]
        scales = data.ArrayLayout(scale_array(state.scale_width, state.levels), 2)
        offset = int(layer.s.offset) << fraction - layer.s.fraction
        return constants(
            **encoder_constants(p),
            gamma_left=(data.ArrayLayout(data.ArrayLayout(gamma, len(left[0])), 2), left),
            gamma_right=(data.ArrayLayout(data.ArrayLayout(gamma, len(own)), 2), right),
            scales=(scales, [scales_of(q, fraction) for q in (layer.s, layer.h)]),
            s_offset=(signed(max(1, state.offset_width)), offset),
        )

    def _build(self, m: Module, pipe: Pipe) -> None:
        """Add gates, then s or the new state."""
        self.constants = self._constants()
        s = self._gate(m, pipe, self.i.payload)
        self._state(m, pipe, s)

    def _gate(self, m: Module, pipe: Pipe, s: View) -> View:
        """LUT and encoder of one gate; the code of z waits for that of r. Two stages."""
        p = self.params
        z_q, y = activate(m, p, s.z, s.gate == GATE_N, "tanh")
        tags = fields_of(s, "gate", "c", "h_offset")
        s = pipe.cut("after_lut", y=y, **tags, **self._kept(s, z_q=z_q))
        code = encode_gate(m, "encode_gate", p, self.constants, s.y, s.gate)
        held = Signal.like(code, name="held_z")
        with m.If(pipe.transfer & (s.gate == GATE_Z)):
            m.d.sync += held.eq(code)
        traced = {}
        if self._trace:
            # Gates z and r, or n in the highest place.
            record = gate_record(m, p, s, code)
            seen = Signal.like(record.as_value(), name="seen_z")
            with m.If(pipe.transfer):
                m.d.sync += seen.eq(record)
            traced["records"] = Cat(seen, record, record)
        pipe.keep(s.gate != GATE_Z)
        levels = p.layer.h.levels
        new = s.gate == GATE_N
        z = Mux(new, s.c[levels:], held)
        own = {"z": z, "code": code, "h": s.c[:levels], "new": new, "h_offset": s.h_offset}
        return pipe.cut("gates", **own, **traced)

    def _state(self, m: Module, pipe: Pipe, s: View) -> None:
        """Products r h, or (1 - z) h + z n, and their encoder. Two stages."""
        p, const = self.params, self.constants
        raw = apply(
            m,
            "pointwise",
            Pointwise(p.pointwise),
            a=Mux(s.new, ~s.z, s.code),
            b=s.h,
            c=s.z,
            d=s.code,
            gamma_ab=const.gamma_left[s.new],
            gamma_cd=const.gamma_right[s.new],
        ).sum
        tags = fields_of(s, "z", "h", "new", "h_offset")
        s = pipe.cut("after_pointwise", raw=raw, **tags, **self._kept(s, "records"))
        offset = Mux(s.new, s.h_offset, const.s_offset)
        code = encode(m, "encode_state", p.encoder("h"), s.raw, const.scales[s.new], offset)
        kept = self._kept(s, "records", "raw")
        s = pipe.cut("output", h=code, c=Cat(Mux(s.new, code, s.h), s.z), **kept)
        shown: dict[str, FieldValue] = {}
        if self._trace:
            size = len(s.records) // len(GRU_GATES)
            shown["gates"] = [s.records.word_select(gate, size) for gate in range(len(GRU_GATES))]
            shown |= {"s_raw": s.raw, "s": s.h, "h_raw": s.raw, "h": s.h}
        self._finish(m, pipe, s.c, s.h, **shown)
