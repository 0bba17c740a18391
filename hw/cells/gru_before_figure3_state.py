"""The tail of a GRU in Cho's form on the units of Figure 3."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.constants import GRU_GATES
from mubinn.golden.cells.gru_before_cell import ChoCellParams
from mubinn.hw.cells.cell_layout import scale_array
from mubinn.hw.cells.gate_stage import activate, encode
from mubinn.hw.cells.state_stage import Tail, gate_layout
from mubinn.hw.stream.fields import drive
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.mlb_encoder import MlbEncoder
from mubinn.hw.units.pointwise import Pointwise

GATE_Z, GATE_R, GATE_N = range(len(GRU_GATES))


class ChoTail(Tail):
    """`cho_reset` and `cho_state` of `golden.cells.gru_before_cell` in hardware, in four stages.

    In the first phase the sums of z and r of a cell arrive and s leaves, in the second the sum of n
    arrives and the new h leaves; both pass through the same LUTs, encoders and pointwise
    multiplier. A cell's state ``c`` is its h with the code of z above it, which M_g keeps from the
    first phase to the second.

    Parameters and members are those of :class:`mubinn.hw.cells.state_stage.Tail`.
    """

    params: ChoCellParams

    FIRST_PHASE = ("s_raw", "s")

    @classmethod
    def latency(cls, params: ChoCellParams) -> int:
        """Return 4."""
        return 4

    @classmethod
    def trace_layout(cls, params: ChoCellParams) -> data.StructLayout:
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

    @property
    def constants_layout(self) -> data.StructLayout:
        """The scales of M_s that hold for all cells, those of s first, then those of h."""
        p = self.params
        gate, state, point = p.encoder("gate"), p.encoder("h"), p.pointwise
        gamma = signed(point.gamma_width)
        rows = point.fc_shape[0] * point.fc_shape[1], point.ig_shape[0] * point.ig_shape[1]
        gates = len(GRU_GATES)
        return data.StructLayout(
            {
                "gate_scales": data.ArrayLayout(scale_array(gate.scale_width, gate.levels), gates),
                "gate_offset": data.ArrayLayout(signed(max(1, gate.offset_width)), gates),
                "gamma_left": data.ArrayLayout(data.ArrayLayout(gamma, rows[0]), 2),
                "gamma_right": data.ArrayLayout(data.ArrayLayout(gamma, rows[1]), 2),
                "scales": data.ArrayLayout(scale_array(state.scale_width, state.levels), 2),
                "s_offset": signed(max(1, state.offset_width)),
            }
        )

    def constant_values(self) -> dict[int | str, Any]:
        """Return the content of `constants_layout` for the layer's own scales."""
        layer = self.params.layer
        y = layer.formats.y_fraction
        gates = layer.gates.values()
        states = [(q, layer.h_raw_fraction - q.fraction) for q in (layer.s, layer.h)]
        right = layer.gamma_zn.ravel().tolist()
        return {
            "gate_scales": [(q.scales << (y - q.fraction)).tolist() for q in gates],
            "gate_offset": [int(q.offset) << (y - q.fraction) for q in gates],
            "gamma_left": [g.ravel().tolist() for g in (layer.gamma_rh, layer.gamma_zh)],
            # s has no second product.
            "gamma_right": [[0] * len(right), right],
            "scales": [(q.scales << shift).tolist() for q, shift in states],
            "s_offset": int(layer.s.offset) << states[0][1],
        }

    def elaborate(self, platform: Any) -> Module:
        """Return the pipeline: gates, then s or the new state."""
        m = Module()
        self.constants: Any = self.constants_layout.const(self.constant_values())
        pipe = Pipe(m, self.i)
        s = self._gate(m, pipe, self.i.payload)
        self._state(m, pipe, s)
        assert pipe.stages == self.latency(self.params)
        return m

    def _gate(self, m: Module, pipe: Pipe, s: Any) -> Any:
        """LUT and encoder of one gate; the code of z waits for that of r. Two stages."""
        p = self.params
        z_q, y = activate(m, p, s.z, s.gate == GATE_N, "tanh")
        side = {name: getattr(s, name) for name in ("gate", "c", "h_offset")}
        s = pipe.cut("after_lut", y=y, **side, **self._kept(s, z_q=z_q))
        code = encode(m, "encode_gate", p, self.constants, s.y, s.gate)
        held = Signal.like(code, name="held_z")
        with m.If(pipe.transfer & (s.gate == GATE_Z)):
            m.d.sync += held.eq(code)
        traced = self._gates(m, pipe, s, code) if self._trace else {}
        pipe.keep(s.gate != GATE_Z)
        levels = p.layer.h.levels
        new = s.gate == GATE_N
        z = Mux(new, s.c[levels:], held)
        own = {"z": z, "code": code, "h": s.c[:levels], "new": new, "h_offset": s.h_offset}
        return pipe.cut("gates", **own, **traced)

    def _gates(self, m: Module, pipe: Pipe, s: Any, code: Any) -> dict[str, Any]:
        """Record the gates: z and r, or n in the highest place."""
        record: Any = Signal(gate_layout(self.params))
        drive(m, record, z_q=s.z_q, y=s.y, gate=code)
        seen = Signal.like(record.as_value(), name="seen_z")
        with m.If(pipe.transfer):
            m.d.sync += seen.eq(record)
        return {"records": Cat(seen, record, record)}

    def _state(self, m: Module, pipe: Pipe, s: Any) -> None:
        """Products r h, or (1 - z) h + z n, and their encoder. Two stages."""
        p, constants = self.params, self.constants
        raw = apply(
            m,
            "pointwise",
            Pointwise(p.pointwise),
            f=Mux(s.new, ~s.z, s.code),
            c=s.h,
            i=s.z,
            g=s.code,
            gamma_fc=constants.gamma_left[s.new],
            gamma_ig=constants.gamma_right[s.new],
        ).c_raw
        side = {name: getattr(s, name) for name in ("z", "h", "new", "h_offset")}
        s = pipe.cut("after_pointwise", raw=raw, **side, **self._kept(s, "records"))
        encoder = p.encoder("h")
        offset = {}
        if encoder.offset_width:
            offset["offset"] = Mux(s.new, s.h_offset, constants.s_offset)
        unit, scales = MlbEncoder(encoder), constants.scales[s.new]
        code = apply(m, "encode_state", unit, value=s.raw, scales=scales, **offset).code
        kept = self._kept(s, "records", "raw")
        s = pipe.cut("output", h=code, c=Cat(Mux(s.new, code, s.h), s.z), **kept)
        pipe.end(self.o)
        drive(m, self.o.payload, c=s.c, h=s.h)
        if self._trace:
            size = len(s.records) // len(GRU_GATES)
            gates = [s.records.word_select(gate, size) for gate in range(len(GRU_GATES))]
            drive(m, self.probe, gates=gates, s_raw=s.raw, s=s.h, h_raw=s.raw, h=s.h)
