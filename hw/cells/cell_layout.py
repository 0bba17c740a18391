"""Payload layouts of a state stage: the sum of a gate with its cell's tags, the new state."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.cell_params import CellParams


def scale_array(width: int, levels: int) -> data.ArrayLayout:
    """Return the layout of `levels` unsigned scales."""
    return data.ArrayLayout(unsigned(width), levels)


class CellLayouts:
    """All layouts of one cell.

    Parameters
    ----------
    params : CellParams
    """

    def __init__(self, params: CellParams) -> None:
        levels = params.layer.levels
        self.gate_bits = levels.count("gate")
        self.c_bits = params.layer.kept_bits
        self.h_bits = levels.count("h")
        self.tags = {
            "c": unsigned(self.c_bits),
            "h_offset": signed(max(1, params.encoder("h").offset_width)),
        }
        z = signed(params.z_width)
        self.state_input = data.StructLayout({"z": z, "gate": unsigned(2), **self.tags})
        """The sum z of one gate of one cell, and what travels along."""
        self.output = data.StructLayout({"c": unsigned(self.c_bits), "h": unsigned(self.h_bits)})
        """The new state of one cell: codes of c and h."""
