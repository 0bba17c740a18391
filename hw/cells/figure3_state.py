"""The tail of Figure 3: LUT, encoders, Eq. (5) and the MAC of Eq. (6)."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.constants import GATES
from mubinn.golden.cells.lstm_cell import LstmCellParams
from mubinn.hw.cells.gate_stage import activate, encode
from mubinn.hw.cells.state_stage import Tail, gate_layout
from mubinn.hw.stream.fields import drive
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.activation import Activation
from mubinn.hw.units.mac import Mac
from mubinn.hw.units.mlb_decoder import MlbDecoder
from mubinn.hw.units.mlb_encoder import MlbEncoder
from mubinn.hw.units.pointwise import Pointwise
from mubinn.hw.units.requantize import Requantize

GATE_G, GATE_O = 2, 3


class Figure3Tail(Tail):
    """The units of Figure 3 after the Add unit, in seven stages.

    Parameters and members are those of :class:`mubinn.hw.cells.state_stage.Tail`.
    """

    @classmethod
    def latency(cls, params: LstmCellParams) -> int:
        """Return 7."""
        return 7

    @classmethod
    def trace_layout(cls, params: LstmCellParams) -> data.StructLayout:
        """Return the layout of every intermediate, named as in `mubinn.golden.cells.lstm_cell`."""
        p = params
        table = p.layer.formats.activation("c")
        return data.StructLayout(
            {
                "gates": data.ArrayLayout(gate_layout(p), len(GATES)),
                "c_raw": signed(p.pointwise.sum_width),
                "c": unsigned(p.layer.levels.count("c")),
                "c_q": signed(table.in_width),
                "tanh_c": signed(table.out_width),
                "h_raw": signed(p.mac.sum_width),
                "h": unsigned(p.layer.levels.count("h")),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the pipeline: gates, then the state."""
        m = Module()
        self.constants: Any = self.layouts.constants.const(self.layouts.constant_values())
        pipe = Pipe(m, self.i)
        codes = self._gate(m, pipe, self.i.payload)
        self._state(m, pipe, codes)
        assert pipe.stages == self.latency(self.params)
        return m

    def _gate(self, m: Module, pipe: Pipe, s: Any) -> Any:
        """LUT and encoder of one gate. Two stages, the second shared by the four gates."""
        z_q, y = activate(m, self.params, s.z, s.gate == GATE_G, "tanh_g")
        kept = self._kept(s, z_q=z_q)
        s = pipe.cut("after_lut", y=y, gate=s.gate, c=s.c, h_offset=s.h_offset, **kept)
        code = encode(m, "encode_gate", self.params, self.constants, s.y, s.gate)
        return self._collect(m, pipe, s, code)

    def _collect(self, m: Module, pipe: Pipe, s: Any, code: Any) -> Any:
        """Keep the codes of f, i and g until o is there. One stage."""
        held = Signal(data.ArrayLayout(unsigned(self.layouts.gate_bits), GATE_O))
        with m.If(pipe.transfer), m.Switch(s.gate):
            for index in range(GATE_O):
                with m.Case(index):
                    m.d.sync += held[index].eq(code)
        traced = self._gates(m, pipe, s, code) if self._trace else {}
        pipe.keep(s.gate == GATE_O)
        f, i, g = (held[index] for index in range(GATE_O))
        return pipe.cut("gates", f=f, i=i, g=g, o=code, c=s.c, h_offset=s.h_offset, **traced)

    def _gates(self, m: Module, pipe: Pipe, s: Any, code: Any) -> dict[str, Any]:
        """Collect the traces of the four gates, o in the highest place."""
        record: Any = Signal(gate_layout(self.params))
        drive(m, record, z_q=s.z_q, y=s.y, gate=code)
        layout = self.trace_layout(self.params)["gates"].shape
        seen: Any = Signal(layout)
        now: Any = Signal(layout)
        m.d.comb += now.as_value().eq(Cat(seen.as_value(), record)[len(record.as_value()) :])
        with m.If(pipe.transfer):
            m.d.sync += seen.eq(now)
        return {"gates": now}

    def _state(self, m: Module, pipe: Pipe, s: Any) -> None:
        """Eq. (5) and (6) and the encoders of c and h. Five stages."""
        p, constants = self.params, self.constants
        kept = self._kept(s, "gates")
        c_raw = apply(
            m,
            "pointwise",
            Pointwise(p.pointwise),
            f=s.f,
            c=s.c,
            i=s.i,
            g=s.g,
            gamma_fc=constants.gamma_fc,
            gamma_ig=constants.gamma_ig,
        ).c_raw
        s = pipe.cut("after_pointwise", c_raw=c_raw, o=s.o, h_offset=s.h_offset, **kept)
        encoder = p.encoder("c")
        offset = {"offset": constants.c_encode_offset} if encoder.offset_width else {}
        unit = MlbEncoder(encoder)
        scales = constants.c_encode_scales
        code = apply(m, "encode_c", unit, value=s.c_raw, scales=scales, **offset).code
        kept = self._kept(s, "gates", "c_raw")
        s = pipe.cut("after_encode_c", c=code, o=s.o, h_offset=s.h_offset, **kept)
        offset = {"offset": constants.c_offset} if p.c_decoder.offset_width else {}
        decoder = MlbDecoder(p.c_decoder)
        value = apply(m, "decode_c", decoder, code=s.c, scales=constants.c_scales, **offset).value
        c_q = apply(m, "round_c", Requantize(p.c_requantize), value=value).value
        tanh_c = apply(m, "tanh_c", Activation(p.layer.formats.activation("c")), z=c_q).y
        kept = self._kept(s, "gates", "c_raw", c_q=c_q)
        s = pipe.cut("after_tanh", tanh_c=tanh_c, c=s.c, o=s.o, h_offset=s.h_offset, **kept)
        self._hidden(m, pipe, s)

    def _hidden(self, m: Module, pipe: Pipe, s: Any) -> None:
        """Eq. (6): MAC and the encoder of h."""
        p, constants = self.params, self.constants
        h_raw = apply(
            m,
            "mac",
            Mac(p.mac),
            o=s.o,
            tanh_c=s.tanh_c,
            offset=constants.o_offset,
            scales=constants.o_scales,
        ).h_raw
        kept = self._kept(s, "gates", "c_raw", "c_q", "tanh_c")
        s = pipe.cut("after_mac", h_raw=h_raw, c=s.c, h_offset=s.h_offset, **kept)
        encoder = p.encoder("h")
        offset = {"offset": s.h_offset} if encoder.offset_width else {}
        code = apply(
            m, "encode_h", MlbEncoder(encoder), value=s.h_raw, scales=constants.h_scales, **offset
        ).code
        names = ("gates", "c_raw", "c_q", "tanh_c", "h_raw")
        kept = self._kept(s, *names)
        s = pipe.cut("output", c=s.c, h=code, **kept)
        pipe.end(self.o)
        drive(m, self.o.payload, c=s.c, h=s.h)
        if self._trace:
            drive(m, self.probe, **{name: getattr(s, name) for name in (*names, "c", "h")})
