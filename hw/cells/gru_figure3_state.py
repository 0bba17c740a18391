"""The state stage of a GRU on the units of Figure 3: LUT, encoders, MAC, pointwise multiplier."""

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.constants import GRU_GATES
from mubinn.golden.cells.gru_cell import GruCellParams
from mubinn.hw.cells.cell_layout import scale_array
from mubinn.hw.cells.gate_stage import (
    encode,
    encode_gate,
    encoder_constants,
    gate_layout,
    gate_record,
    scales_of,
)
from mubinn.hw.cells.reset_sum import ROW_NX, ROW_R, ROW_Z, reset_sum
from mubinn.hw.cells.state_stage import PipelinedState
from mubinn.hw.stream.component import FieldValue, View
from mubinn.hw.stream.fields import constants, fields_of
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.activation import Activation
from mubinn.hw.units.pointwise import Pointwise
from mubinn.hw.units.requantize import Requantize


class GruFigure3State(PipelinedState[GruCellParams]):
    """`mubinn.golden.cells.gru_cell.gru_state` in hardware, in six stages.

    The rows arrive as `GRU_ROWS`. The codes of z and r and the product r nh wait for the last row,
    which starts the four stages of the candidate and the new state. A cell's state ``c`` is its h.

    Parameters and members are those of `mubinn.hw.cells.state_stage.StateStage`.
    """

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

    def _constants(self) -> View:
        """Return the scales of M_s that hold for all cells, aligned as the units want them."""
        p, layer = self.params, self.params.layer
        h, gamma = p.encoder("h"), signed(p.pointwise.gamma_width)
        zh, zn = layer.gamma_zh.ravel().tolist(), layer.gamma_zn.ravel().tolist()
        scales = scale_array(h.scale_width, h.levels)
        return constants(
            **encoder_constants(p),
            gamma_zh=(data.ArrayLayout(gamma, len(zh)), zh),
            gamma_zn=(data.ArrayLayout(gamma, len(zn)), zn),
            h_scales=(scales, scales_of(layer.h, layer.h_raw_fraction)),
        )

    def _build(self, m: Module, pipe: Pipe) -> None:
        """Add gates, candidate, state."""
        self.constants = self._constants()
        s = self._gates(m, pipe, self.i.payload)
        s = self._candidate(m, pipe, s)
        self._state(m, pipe, s)

    def _gates(self, m: Module, pipe: Pipe, s: View) -> View:
        """Gates z and r, the product r nh, and the sum of the candidate. Two stages."""
        p = self.params
        z_q = apply(m, "round_z", Requantize(p.z_requantize), value=s.z).value
        y = apply(m, "sigmoid", Activation(p.layer.formats.activation("f")), z=z_q).y
        tags = fields_of(s, "z", "gate", "c", "h_offset")
        s = pipe.cut("after_lut", y=y, **tags, **self._kept(s, z_q=z_q))
        code = encode_gate(m, "encode_gate", p, self.constants, s.y, s.gate[:1])
        held = reset_sum(m, pipe, p, s, code)
        traced = {}
        if self._trace:
            # The traces of z and r, r in the higher place.
            record = gate_record(m, p, s, code)
            width = len(record.as_value())
            seen = Signal(2 * width, name="seen_gates")
            with m.If(pipe.transfer & ((s.gate == ROW_Z) | (s.gate == ROW_R))):
                m.d.sync += seen.eq(Cat(seen[width:], record))
            traced = {"zr": seen, "rnh": held.rnh}
        pipe.keep(s.gate == ROW_NX)
        tags = {"z": held.z, "c": s.c, "h_offset": s.h_offset}
        return pipe.cut("sums", n_raw=held.n_raw, **tags, **traced)

    def _candidate(self, m: Module, pipe: Pipe, s: View) -> View:
        """Tanh and encoder of n. Two stages."""
        p = self.params
        n_q = apply(m, "round_n", Requantize(p.n_requantize), value=s.n_raw).value
        y = apply(m, "tanh", Activation(p.layer.formats.activation("g")), z=n_q).y
        kept = self._kept(s, "zr", "rnh", "n_raw", n_q=n_q)
        s = pipe.cut("after_tanh", y=y, **fields_of(s, "z", "c", "h_offset"), **kept)
        n = encode_gate(m, "encode_n", p, self.constants, s.y, GRU_GATES.index("n"))
        kept = self._kept(s, "zr", "rnh", "n_raw", "n_q", "y")
        return pipe.cut("after_encode_n", n=n, **fields_of(s, "z", "c", "h_offset"), **kept)

    def _state(self, m: Module, pipe: Pipe, s: View) -> None:
        """Eq. 13 and the encoder of h. Two stages."""
        p, const = self.params, self.constants
        h_raw = apply(
            m,
            "pointwise",
            Pointwise(p.pointwise),
            a=~s.z,
            b=s.c,
            c=s.z,
            d=s.n,
            gamma_ab=const.gamma_zh,
            gamma_cd=const.gamma_zn,
        ).sum
        names = ("zr", "rnh", "n_raw", "n_q", "y", "n")
        kept = self._kept(s, *names)
        s = pipe.cut("after_pointwise", h_raw=h_raw, h_offset=s.h_offset, **kept)
        code = encode(m, "encode_h", p.encoder("h"), s.h_raw, const.h_scales, s.h_offset)
        s = pipe.cut("output", h=code, **self._kept(s, *names, "h_raw"))
        shown: dict[str, FieldValue] = {}
        if self._trace:
            width = len(s.zr) // 2
            own = {"z_q": s.n_q, "y": s.y, "gate": s.n}
            shown = {**fields_of(s, "rnh", "n_raw", "h_raw", "h")}
            shown["gates"] = [s.zr[:width], s.zr[width:], own]
        self._finish(m, pipe, s.h, s.h, **shown)
