"""The tail of a GRU on the units of Figure 3: LUT, encoders, MAC and pointwise multiplier."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.constants import GRU_GATES
from mubinn.golden.cells.gru_cell import GruCellParams
from mubinn.golden.cells.gru_layer import GRU_ROWS
from mubinn.hw.cells.cell_layout import scale_array
from mubinn.hw.cells.gate_stage import encode
from mubinn.hw.cells.state_stage import Tail, gate_layout
from mubinn.hw.stream.fields import drive
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.activation import Activation
from mubinn.hw.units.mac import Mac
from mubinn.hw.units.mlb_encoder import MlbEncoder
from mubinn.hw.units.pointwise import Pointwise
from mubinn.hw.units.requantize import Requantize

ROW_Z, ROW_R, ROW_NH, ROW_NX = range(len(GRU_ROWS))


class GruTail(Tail):
    """`mubinn.golden.cells.gru_cell.gru_tail` in hardware, in six stages.

    The rows arrive as `GRU_ROWS`. The codes of z and r and the product r nh wait for the last row,
    which starts the four stages of the candidate and the new state. A cell's state ``c`` is its h.

    Parameters and members are those of :class:`mubinn.hw.cells.state_stage.Tail`.
    """

    params: GruCellParams

    @classmethod
    def latency(cls, params: GruCellParams) -> int:
        """Return 6."""
        return 6

    @classmethod
    def trace_layout(cls, params: GruCellParams) -> data.StructLayout:
        """Return the layout of every intermediate, named as in `mubinn.golden.cells.gru_cell`."""
        return data.StructLayout(
            {
                "gates": data.ArrayLayout(gate_layout(params), len(GRU_GATES)),
                "rnh": signed(params.mac.sum_width),
                "n_raw": signed(params.n_width),
                "h_raw": signed(params.pointwise.sum_width),
                "h": unsigned(params.layer.levels.count("h")),
            }
        )

    @property
    def constants_layout(self) -> data.StructLayout:
        """The scales of M_s that hold for all cells, aligned as the units want them."""
        p = self.params
        gate, h, point = p.encoder("gate"), p.encoder("h"), p.pointwise
        gamma = signed(point.gamma_width)
        sizes = [rows * columns for rows, columns in (point.fc_shape, point.ig_shape)]
        each = len(GRU_GATES)
        return data.StructLayout(
            {
                "gate_scales": data.ArrayLayout(scale_array(gate.scale_width, gate.levels), each),
                "gate_offset": data.ArrayLayout(signed(max(1, gate.offset_width)), each),
                "r_scales": scale_array(p.mac.scale_width, p.mac.levels),
                "r_offset": signed(p.mac.scale_width + 1),
                "gamma_zh": data.ArrayLayout(gamma, sizes[0]),
                "gamma_zn": data.ArrayLayout(gamma, sizes[1]),
                "h_scales": scale_array(h.scale_width, h.levels),
            }
        )

    def constant_values(self) -> dict[int | str, Any]:
        """Return the content of `constants_layout` for the layer's own scales."""
        layer = self.params.layer
        y, r = layer.formats.y_fraction, layer.gates["r"]
        gates = [layer.gates[name] for name in GRU_GATES]
        h_shift = layer.h_raw_fraction - layer.h.fraction
        return {
            "gate_scales": [(q.scales << (y - q.fraction)).tolist() for q in gates],
            "gate_offset": [int(q.offset) << (y - q.fraction) for q in gates],
            "r_scales": r.scales.tolist(),
            "r_offset": int(r.offset),
            "gamma_zh": layer.gamma_zh.ravel().tolist(),
            "gamma_zn": layer.gamma_zn.ravel().tolist(),
            "h_scales": (layer.h.scales << h_shift).tolist(),
        }

    def elaborate(self, platform: Any) -> Module:
        """Return the pipeline: gates, candidate, state."""
        m = Module()
        self.constants: Any = self.constants_layout.const(self.constant_values())
        pipe = Pipe(m, self.i)
        s = self._gates(m, pipe, self.i.payload)
        s = self._candidate(m, pipe, s)
        self._state(m, pipe, s)
        assert pipe.stages == self.latency(self.params)
        return m

    def _gates(self, m: Module, pipe: Pipe, s: Any) -> Any:
        """Gates z and r, the product r nh, and the sum of the candidate. Two stages."""
        p = self.params
        z_q = apply(m, "round_z", Requantize(p.z_requantize), value=s.z).value
        y = apply(m, "sigmoid", Activation(p.layer.formats.activation("f")), z=z_q).y
        names = ("z", "gate", "c", "h_offset")
        side = {name: getattr(s, name) for name in names}
        s = pipe.cut("after_lut", y=y, **side, **self._kept(s, z_q=z_q))
        code = encode(m, "encode_gate", p, self.constants, s.y, s.gate[:1])
        levels = p.layer.levels.count("gate")
        z, r = Signal(levels, name="held_z"), Signal(levels, name="held_r")
        product = apply(
            m,
            "mac",
            Mac(p.mac),
            o=r,
            tanh_c=s.z,
            offset=self.constants.r_offset,
            scales=self.constants.r_scales,
        ).h_raw
        rnh = Signal(signed(p.mac.sum_width), name="held_rnh")
        with m.If(pipe.transfer), m.Switch(s.gate):
            with m.Case(ROW_Z):
                m.d.sync += z.eq(code)
            with m.Case(ROW_R):
                m.d.sync += r.eq(code)
            with m.Case(ROW_NH):
                m.d.sync += rnh.eq(product)
        n_raw = Signal(signed(p.n_width))
        m.d.comb += n_raw.eq(rnh + (s.z << p.layer.gates["r"].fraction))
        traced = self._seen(m, pipe, s, code, rnh) if self._trace else {}
        pipe.keep(s.gate == ROW_NX)
        return pipe.cut("sums", n_raw=n_raw, z=z, c=s.c, h_offset=s.h_offset, **traced)

    def _seen(self, m: Module, pipe: Pipe, s: Any, code: Any, rnh: Any) -> dict[str, Any]:
        """Keep the traces of z and r, r in the higher place."""
        record: Any = Signal(gate_layout(self.params))
        drive(m, record, z_q=s.z_q, y=s.y, gate=code)
        width = len(record.as_value())
        seen = Signal(2 * width, name="seen_gates")
        with m.If(pipe.transfer & ((s.gate == ROW_Z) | (s.gate == ROW_R))):
            m.d.sync += seen.eq(Cat(seen[width:], record))
        return {"zr": seen, "rnh": rnh}

    def _candidate(self, m: Module, pipe: Pipe, s: Any) -> Any:
        """Tanh and encoder of n. Two stages."""
        p = self.params
        n_q = apply(m, "round_n", Requantize(p.n_requantize), value=s.n_raw).value
        y = apply(m, "tanh", Activation(p.layer.formats.activation("g")), z=n_q).y
        side = {"z": s.z, "c": s.c, "h_offset": s.h_offset}
        kept = self._kept(s, "zr", "rnh", "n_raw", n_q=n_q)
        s = pipe.cut("after_tanh", y=y, **side, **kept)
        n = encode(m, "encode_n", self.params, self.constants, s.y, GRU_GATES.index("n"))
        side = {"z": s.z, "c": s.c, "h_offset": s.h_offset}
        kept = self._kept(s, "zr", "rnh", "n_raw", "n_q", "y")
        return pipe.cut("after_encode_n", n=n, **side, **kept)

    def _state(self, m: Module, pipe: Pipe, s: Any) -> None:
        """Eq. 13 and the encoder of h. Two stages."""
        p, constants = self.params, self.constants
        h_raw = apply(
            m,
            "pointwise",
            Pointwise(p.pointwise),
            f=~s.z,
            c=s.c,
            i=s.z,
            g=s.n,
            gamma_fc=constants.gamma_zh,
            gamma_ig=constants.gamma_zn,
        ).c_raw
        names = ("zr", "rnh", "n_raw", "n_q", "y", "n")
        kept = self._kept(s, *names)
        s = pipe.cut("after_pointwise", h_raw=h_raw, h_offset=s.h_offset, **kept)
        encoder = p.encoder("h")
        offset = {"offset": s.h_offset} if encoder.offset_width else {}
        unit, scales = MlbEncoder(encoder), constants.h_scales
        code = apply(m, "encode_h", unit, value=s.h_raw, scales=scales, **offset).code
        s = pipe.cut("output", h=code, **self._kept(s, *names, "h_raw"))
        pipe.end(self.o)
        drive(m, self.o.payload, c=s.h, h=s.h)
        if self._trace:
            width = len(s.zr) // 2
            gates = [s.zr[:width], s.zr[width:], {"z_q": s.n_q, "y": s.y, "gate": s.n}]
            shown = {name: getattr(s, name) for name in ("rnh", "n_raw", "h_raw", "h")}
            drive(m, self.probe, gates=gates, **shown)
