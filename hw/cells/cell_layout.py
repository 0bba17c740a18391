"""Payload layouts of the LSTM cell: what one pass carries, and what comes out."""

from typing import Any

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.cell import AnyCellParams
from mubinn.golden.cells.constants import GATES


def scale_array(width: int, levels: int) -> data.ArrayLayout:
    """Return the layout of `levels` unsigned scales."""
    return data.ArrayLayout(unsigned(width), levels)


class CellLayouts:
    """All layouts of one cell.

    Parameters
    ----------
    params : LstmCellParams or GruCellParams
    """

    def __init__(self, params: AnyCellParams) -> None:
        self.params: Any = params
        layer = params.layer
        self.levels = layer.levels
        self.gate_bits = self.levels.count("gate")
        self.c_bits = layer.kept_bits
        self.h_bits = self.levels.count("h")
        h_encoder = params.encoder("h")
        self.side = {
            "c": unsigned(self.c_bits),
            "h_offset": signed(max(1, h_encoder.offset_width)),
        }

    @property
    def tail_input(self) -> data.StructLayout:
        """The sum z of one gate of one cell, and what travels along."""
        z = signed(self.params.z_width)
        return data.StructLayout({"z": z, "gate": unsigned(2), **self.side})

    @property
    def constants(self) -> data.StructLayout:
        """The scales of M_s that hold for all cells, aligned as the units want them."""
        p = self.params
        gate, c, h, point = p.encoder("gate"), p.encoder("c"), p.encoder("h"), p.pointwise
        rows_fc, columns_fc = point.fc_shape
        rows_ig, columns_ig = point.ig_shape
        gamma = signed(point.gamma_width)
        return data.StructLayout(
            {
                "gate_scales": data.ArrayLayout(
                    scale_array(gate.scale_width, gate.levels), len(GATES)
                ),
                "gate_offset": data.ArrayLayout(signed(max(1, gate.offset_width)), len(GATES)),
                "gamma_fc": data.ArrayLayout(gamma, rows_fc * columns_fc),
                "gamma_ig": data.ArrayLayout(gamma, rows_ig * columns_ig),
                "c_encode_scales": scale_array(c.scale_width, c.levels),
                "c_encode_offset": signed(max(1, c.offset_width)),
                "c_scales": scale_array(p.c_decoder.scale_width, c.levels),
                "c_offset": signed(max(1, p.c_decoder.offset_width)),
                "o_scales": scale_array(p.mac.scale_width, p.mac.levels),
                "o_offset": signed(p.mac.scale_width + 1),
                "h_scales": scale_array(h.scale_width, h.levels),
            }
        )

    def constant_values(self) -> dict[int | str, Any]:
        """Return the content of `constants` for the layer's own scales."""
        layer = self.params.layer
        y = layer.formats.y_fraction
        gates = [layer.gates[name] for name in GATES]
        o = layer.gates["o"]
        c_shift = layer.c_raw_fraction - layer.c.fraction
        h_shift = layer.h_raw_fraction - layer.h.fraction
        return {
            "gate_scales": [(q.scales << (y - q.fraction)).tolist() for q in gates],
            "gate_offset": [int(q.offset) << (y - q.fraction) for q in gates],
            "gamma_fc": layer.gamma_fc.ravel().tolist(),
            "gamma_ig": layer.gamma_ig.ravel().tolist(),
            "c_encode_scales": (layer.c.scales << c_shift).tolist(),
            "c_encode_offset": int(layer.c.offset.reshape(1)[0]) << c_shift,
            "c_scales": layer.c.scales.tolist(),
            "c_offset": int(layer.c.offset.reshape(1)[0]),
            "o_scales": o.scales.tolist(),
            "o_offset": int(o.offset),
            "h_scales": (layer.h.scales << h_shift).tolist(),
        }

    @property
    def output(self) -> data.StructLayout:
        """The new state of one cell: codes of c and h."""
        return data.StructLayout({"c": unsigned(self.c_bits), "h": unsigned(self.h_bits)})
