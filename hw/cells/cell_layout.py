"""Payload layouts of a state stage: the sum of a row with its cell's tags, the new state."""

from collections.abc import Mapping

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
        self.stored = {name: tensor.levels for name, tensor in layer.stored.items()}
        """Numbers of a cell, the first in the low bits."""
        self.stored_bits = sum(self.stored.values())
        self.tags = {"c": unsigned(self.kept_bits), "h_offset": signed(offset_width(layer))}
        if self.stored:
            self.tags["stored"] = unsigned(self.stored_bits)
        z = signed(layer.z_width)
        self.state_input = data.StructLayout({"z": z, "gate": unsigned(self.row_bits), **self.tags})
        """The sum z of one row of one cell, and what travels along."""
        self.output = data.StructLayout({"c": unsigned(self.kept_bits), "h": unsigned(self.h_bits)})
        """What one cell leaves: the codes that it keeps, and that of h, or what rows read next."""

    def kept_part(self, word: Value, name: str) -> Value:
        """Return the code `name` of a word of kept codes."""
        return part_of(self.kept, word, name)


def part_of(sizes: Mapping[str, int], word: Value, name: str) -> Value:
    """Return the code `name` of a word of codes of such sizes, the first in the low bits."""
    start = sum(list(sizes.values())[: list(sizes).index(name)])
    return word[start : start + sizes[name]]


def offset_width(layer: QuantizedLayer) -> int:
    """Return the bits of the offset of h, in the fraction of what its encoder reads."""
    shift = layer.fraction_of(layer.cell.states[0].name) - layer.h.fraction
    largest = max(abs(int(offset)) for offset in layer.h.offset.reshape(-1)) << shift
    return max(1, largest.bit_length() + 1) if largest else 1
