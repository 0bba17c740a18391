"""The LSTM cell of Figure 3: XNOR multiplier, mult, Add, LUT, encoders, Eq. (5), MAC."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from mubinn.golden.lstm_cell import LstmCellParams
from mubinn.golden.scaling_mult import ScalingMultParams
from mubinn.golden.xnor_multiplier import XnorMultiplierParams
from mubinn.hw.activation import Activation
from mubinn.hw.bias_add import BiasAdd
from mubinn.hw.cell_layout import CellLayouts
from mubinn.hw.mac import Mac
from mubinn.hw.mlb_decoder import MlbDecoder
from mubinn.hw.mlb_encoder import MlbEncoder
from mubinn.hw.pipe import Pipe, apply
from mubinn.hw.pointwise import Pointwise
from mubinn.hw.requantize import Requantize
from mubinn.hw.scaling_mult import ScalingMult
from mubinn.hw.xnor_multiplier import XnorMultiplier

GATE_G, GATE_O = 2, 3


class LstmCell(wiring.Component):  # type: ignore[type-arg]
    """`mubinn.golden.lstm_cell.lstm_cell` in hardware, one hidden unit at a time.

    The four gates f, i, g, o of a cell arrive in this order, each as `passes` transfers of one
    level-pair product over x and one over h. One transfer a cycle; the new state of a cell leaves
    `LATENCY` cycles after its last pass was taken, and the next cell's passes need not wait for it.

    Parameters
    ----------
    params : LstmCellParams
    trace : bool
        Add a port that shows every intermediate of the cell at the output.

    Members
    -------
    i : In(stream.Signature(CellLayouts.a_pass))
    o : Out(stream.Signature(CellLayouts.output))
    constants : In(CellLayouts.constants)
        Scales that hold for all cells; steady while passes are under way.
    probe : Out(CellLayouts.cell_trace), with `trace`
        Belongs to ``o.payload``.
    """

    i: Any
    o: Any
    constants: Any
    probe: Any

    LATENCY = 10

    def __init__(self, params: LstmCellParams, *, trace: bool = False) -> None:
        self.params = params
        self.layouts = CellLayouts(params)
        self._trace = trace
        members: dict[str, Any] = {
            "i": In(stream.Signature(self.layouts.a_pass)),
            "o": Out(stream.Signature(self.layouts.output)),
            "constants": In(self.layouts.constants),
        }
        if trace:
            members["probe"] = Out(self.layouts.cell_trace)
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the pipeline: dot products, gates, state."""
        m = Module()
        pipe = Pipe(m, self.i)
        z = self._sums(m, pipe)
        codes = self._gate(m, pipe, z)
        self._state(m, pipe, codes)
        assert pipe.stages == self.LATENCY
        return m

    def _kept(self, s: Any, *names: str, **new: Any) -> dict[str, Any]:
        """Return what a stage carries on for the trace: fields `names` of `s`, and new ones."""
        return {name: getattr(s, name) for name in names} | new if self._trace else {}

    def _sums(self, m: Module, pipe: Pipe) -> Any:
        """Eq. (1)-(4) before the activation: XNOR multiplier, mult, Add. Three stages."""
        p, word = self.params, self.i.payload
        side = ("first", "last", "gate", "bias", "bias_scales", "c", "h_offset")
        xnor_x = XnorMultiplier(XnorMultiplierParams(p.layer.features))
        xnor_h = XnorMultiplier(XnorMultiplierParams(p.layer.hidden))
        s = pipe.cut(
            "after_xnor",
            dot_x=apply(m, "xnor_x", xnor_x, a=word.x, w=word.wx).dot,
            dot_h=apply(m, "xnor_h", xnor_h, a=word.h, w=word.wh).dot,
            gamma_x=word.gamma_x,
            gamma_h=word.gamma_h,
            **{name: getattr(word, name) for name in side},
        )
        mult = ScalingMultParams(p.dot_width, p.gamma_width)
        s = pipe.cut(
            "after_mult",
            prod_x=apply(m, "mult_x", ScalingMult(mult), dot=s.dot_x, scale=s.gamma_x).product,
            prod_h=apply(m, "mult_h", ScalingMult(mult), dot=s.dot_h, scale=s.gamma_h).product,
            **{name: getattr(s, name) for name in side},
            **self._kept(s, "dot_x", "dot_h"),
        )
        acc = Signal(signed(p.z_width))
        total = apply(
            m,
            "add",
            BiasAdd(p.bias_add),
            acc=acc,
            first=s.first,
            product_x=s.prod_x,
            product_h=s.prod_h,
            bias=s.bias,
            scales=s.bias_scales,
        ).sum
        traced = self._passes(m, pipe, s) if self._trace else {}
        with m.If(pipe.transfer):
            m.d.sync += acc.eq(total)
        pipe.keep(s.last)
        return pipe.cut("after_add", z=total, gate=s.gate, c=s.c, h_offset=s.h_offset, **traced)

    def _passes(self, m: Module, pipe: Pipe, s: Any) -> dict[str, Any]:
        """Collect what the passes of a gate computed, the last one in the highest place."""
        names = ("dot_x", "dot_h", "prod_x", "prod_h")
        record: Any = Signal(self.layouts.pass_trace)
        m.d.comb += [getattr(record, name).eq(getattr(s, name)) for name in names]
        layout = self.layouts.gate_trace["passes"].shape
        seen: Any = Signal(layout)
        now: Any = Signal(layout)
        width = len(record.as_value())
        m.d.comb += now.as_value().eq(Cat(seen.as_value(), record)[width:])
        with m.If(pipe.transfer):
            m.d.sync += seen.eq(now)
        return {"passes": now}

    def _gate(self, m: Module, pipe: Pipe, s: Any) -> Any:
        """LUT and encoder of one gate. Two stages, the second shared by the four gates."""
        p, constants = self.params, self.constants
        table = p.layer.formats.activation
        z_q = apply(m, "round_z", Requantize(p.z_requantize), value=s.z).value
        sigmoid = apply(m, "sigmoid", Activation(table("f")), z=z_q).y
        tanh = apply(m, "tanh_g", Activation(table("g")), z=z_q).y
        y = Mux(s.gate == GATE_G, tanh, sigmoid)
        kept = self._kept(s, "z", "passes", z_q=z_q)
        s = pipe.cut("after_lut", y=y, gate=s.gate, c=s.c, h_offset=s.h_offset, **kept)
        encoder = p.encoder("gate")
        offset = {"offset": constants.gate_offset[s.gate]} if encoder.offset_width else {}
        code = apply(
            m,
            "encode_gate",
            MlbEncoder(encoder),
            value=s.y,
            scales=constants.gate_scales[s.gate],
            **offset,
        ).code
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
        record: Any = Signal(self.layouts.gate_trace)
        m.d.comb += [
            getattr(record, name).eq(getattr(s, name)) for name in ("passes", "z", "z_q", "y")
        ]
        m.d.comb += record.gate.eq(code)
        layout = self.layouts.cell_trace["gates"].shape
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
        m.d.comb += [self.o.payload.c.eq(s.c), self.o.payload.h.eq(s.h)]
        if self._trace:
            shown = (*names, "c", "h")
            m.d.comb += [getattr(self.probe, name).eq(getattr(s, name)) for name in shown]
