"""What the second half of a cell is made for."""

from dataclasses import dataclass

from mubinn.golden.cells.layer import QuantizedLayer


@dataclass(frozen=True, eq=False)
class CellDesign:
    """A layer's cell, how often its sums come, and what it is made of.

    Attributes
    ----------
    layer : QuantizedLayer
    interval : int
        Least cycles from the sum of one row to that of the next.
    network : str
        What the hardware is made of: ``"asic"`` cells, or an FPGA's ``"lut4"`` or ``"xc7"``.
    """

    layer: QuantizedLayer
    interval: int = 1
    network: str = "asic"
