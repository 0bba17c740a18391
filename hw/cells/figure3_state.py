"""The state stage of Figure 3: LUT, encoders, Eq. (5) and the MAC of Eq. (6)."""

from amaranth.hdl import Module, Value, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.constants import GATES
from mubinn.golden.cells.lstm_cell import LstmCellParams
from mubinn.hw.cells.cell_layout import scale_array
from mubinn.hw.cells.gate_stage import (
    activate,
    encode,
    encode_gate,
    encoder_constants,
    gate_layout,
    gate_record,
    mac_constants,
    scales_of,
)
from mubinn.hw.cells.state_stage import PipelinedState
from mubinn.hw.stream.component import View, view_signal
from mubinn.hw.stream.fields import constants, fields_of
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.activation import Activation
from mubinn.hw.units.mac import Mac
from mubinn.hw.units.mlb_decoder import MlbDecoder
from mubinn.hw.units.pointwise import Pointwise
from mubinn.hw.units.requantize import Requantize

GATE_G, GATE_O = 2, 3


class Figure3State(PipelinedState[LstmCellParams]):
    """The units of Figure 3 after the Add unit, in seven stages.

    Parameters and members are those of `mubinn.hw.cells.state_stage.StateStage`.
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

    def _constants(self) -> View:
        """Return the scales of M_s that hold for all cells, aligned as the units want them."""
        p, layer = self.params, self.params.layer
        c, h, decoder = p.encoder("c"), p.encoder("h"), p.c_decoder
        gamma = signed(p.pointwise.gamma_width)
        fc, ig = layer.gamma_fc.ravel().tolist(), layer.gamma_ig.ravel().tolist()
        c_offset, c_shift = int(layer.c.offset.reshape(1)[0]), layer.c_raw_fraction
        return constants(
            **encoder_constants(p),
            gamma_fc=(data.ArrayLayout(gamma, len(fc)), fc),
            gamma_ig=(data.ArrayLayout(gamma, len(ig)), ig),
            c_encode_scales=(scale_array(c.scale_width, c.levels), scales_of(layer.c, c_shift)),
            c_encode_offset=(
                signed(max(1, c.offset_width)),
                c_offset << c_shift - layer.c.fraction,
            ),
            c_scales=(scale_array(decoder.scale_width, c.levels), layer.c.scales.tolist()),
            c_offset=(signed(max(1, decoder.offset_width)), c_offset),
            **mac_constants("o", p.mac, layer.gates["o"]),
            h_scales=(
                scale_array(h.scale_width, h.levels),
                scales_of(layer.h, layer.h_raw_fraction),
            ),
        )

    def _build(self, m: Module, pipe: Pipe) -> None:
        """Add gates, then the state."""
        self.constants = self._constants()
        codes = self._gate(m, pipe, self.i.payload)
        self._state(m, pipe, codes)

    def _gate(self, m: Module, pipe: Pipe, s: View) -> View:
        """LUT and encoder of one gate. Two stages, the second shared by the four gates."""
        z_q, y = activate(m, self.params, s.z, s.gate == GATE_G, "tanh_g")
        kept = self._kept(s, z_q=z_q)
        s = pipe.cut("after_lut", y=y, **fields_of(s, "gate", "c", "h_offset"), **kept)
        code = encode_gate(m, "encode_gate", self.params, self.constants, s.y, s.gate)
        return self._collect(m, pipe, s, code)

    def _collect(self, m: Module, pipe: Pipe, s: View, code: Value) -> View:
        """Keep the codes of f, i and g until o is there. One stage."""
        held = view_signal(data.ArrayLayout(unsigned(self.layouts.gate_bits), GATE_O), "held")
        with m.If(pipe.transfer), m.Switch(s.gate):
            for index in range(GATE_O):
                with m.Case(index):
                    m.d.sync += held[index].eq(code)
        traced = {}
        if self._trace:
            record = gate_record(m, self.params, s, code)
            layout = data.ArrayLayout(gate_layout(self.params), len(GATES))
            traced["gates"] = pipe.recent(record, layout)
        pipe.keep(s.gate == GATE_O)
        f, i, g = (held[index] for index in range(GATE_O))
        return pipe.cut("gates", f=f, i=i, g=g, o=code, c=s.c, h_offset=s.h_offset, **traced)

    def _state(self, m: Module, pipe: Pipe, s: View) -> None:
        """Eq. (5) and (6) and the encoders of c and h. Five stages."""
        p, const = self.params, self.constants
        kept = self._kept(s, "gates")
        c_raw = apply(
            m,
            "pointwise",
            Pointwise(p.pointwise),
            a=s.f,
            b=s.c,
            c=s.i,
            d=s.g,
            gamma_ab=const.gamma_fc,
            gamma_cd=const.gamma_ig,
        ).sum
        s = pipe.cut("after_pointwise", c_raw=c_raw, o=s.o, h_offset=s.h_offset, **kept)
        scales, offset = const.c_encode_scales, const.c_encode_offset
        code = encode(m, "encode_c", p.encoder("c"), s.c_raw, scales, offset)
        kept = self._kept(s, "gates", "c_raw")
        s = pipe.cut("after_encode_c", c=code, o=s.o, h_offset=s.h_offset, **kept)
        own = {"offset": const.c_offset} if p.c_decoder.offset_width else {}
        decoder = MlbDecoder(p.c_decoder)
        value = apply(m, "decode_c", decoder, code=s.c, scales=const.c_scales, **own).value
        c_q = apply(m, "round_c", Requantize(p.c_requantize), value=value).value
        tanh_c = apply(m, "tanh_c", Activation(p.layer.formats.activation("c")), z=c_q).y
        kept = self._kept(s, "gates", "c_raw", c_q=c_q)
        s = pipe.cut("after_tanh", tanh_c=tanh_c, c=s.c, o=s.o, h_offset=s.h_offset, **kept)
        self._hidden(m, pipe, s)

    def _hidden(self, m: Module, pipe: Pipe, s: View) -> None:
        """Eq. (6): MAC and the encoder of h."""
        p, const = self.params, self.constants
        h_raw = apply(
            m,
            "mac",
            Mac(p.mac),
            code=s.o,
            factor=s.tanh_c,
            offset=const.o_offset,
            scales=const.o_scales,
        ).product
        kept = self._kept(s, "gates", "c_raw", "c_q", "tanh_c")
        s = pipe.cut("after_mac", h_raw=h_raw, c=s.c, h_offset=s.h_offset, **kept)
        code = encode(m, "encode_h", p.encoder("h"), s.h_raw, const.h_scales, s.h_offset)
        names = ("gates", "c_raw", "c_q", "tanh_c", "h_raw")
        s = pipe.cut("output", c=s.c, h=code, **self._kept(s, *names))
        self._finish(m, pipe, s.c, s.h, **self._kept(s, *names, "c", "h"))
