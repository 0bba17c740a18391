"""Payload layouts of a state stage: the sum of a row with its cell's tags, the new state."""

from amaranth.hdl import Value, signed, unsigned
from amaranth.lib import data

from mubinn.golden.cells.layer import QuantizedLayer


def scale_array(width: int, levels: int) -> data.ArrayLayout:
    """Return the layout of `levels` unsigned scales."""
    return data.ArrayLayout(unsigned(width), levels)


class CellLayouts:
    """All layouts of one cell.

    Parameters
    ----------
    layer : QuantizedLayer
    """

    def __init__(self, layer: QuantizedLayer) -> None:
        self.layer = layer
        self.row_bits = max(2, (layer.cell_rows - 1).bit_length())
        self.kept = {node.name: layer.quantizers[node.name].levels for node in layer.cell.kept}
        """Codes of a cell that a step reads from memory, the first in the low bits."""
        self.kept_bits = max(1, sum(self.kept.values()))
        self.h_bits = layer.h.levels
        self.tags = {"c": unsigned(self.kept_bits), "h_offset": signed(offset_width(layer))}
        z = signed(layer.z_width)
        self.state_input = data.StructLayout({"z": z, "gate": unsigned(self.row_bits), **self.tags})
        """The sum z of one row of one cell, and what travels along."""
        self.output = data.StructLayout({"c": unsigned(self.kept_bits), "h": unsigned(self.h_bits)})
        """What one cell leaves: the codes that it keeps, and that of h, or what rows read next."""

    def kept_part(self, word: Value, name: str) -> Value:
        """Return the code `name` of a word of kept codes."""
        start = 0
        for own, levels in self.kept.items():
            if own == name:
                return word[start : start + levels]
            start += levels
        raise KeyError(name)


def offset_width(layer: QuantizedLayer) -> int:
    """Return the bits of the offset of h, in the fraction of what its encoder reads."""
    shift = layer.fraction_of(layer.cell.states[0].name) - layer.h.fraction
    largest = max(abs(int(offset)) for offset in layer.h.offset.reshape(-1)) << shift
    return max(1, largest.bit_length() + 1) if largest else 1
