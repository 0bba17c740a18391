"""The cell of a layer, whichever it is: its parameters, and one time step."""

from mubinn.golden.cells.gru_before_cell import GruBeforeCellParams, gru_before_cell
from mubinn.golden.cells.gru_before_layer import QuantizedGruBefore
from mubinn.golden.cells.gru_cell import GruCellParams, gru_cell
from mubinn.golden.cells.gru_layer import QuantizedGru
from mubinn.golden.cells.lstm_cell import LstmCellParams, Trace, lstm_cell
from mubinn.golden.cells.lstm_layer import QuantizedLstm
from mubinn.golden.ground.fixed import Ints

QuantizedLayer = QuantizedLstm | QuantizedGru | QuantizedGruBefore

AnyCellParams = LstmCellParams | GruCellParams | GruBeforeCellParams


def cell_params(layer: QuantizedLayer) -> AnyCellParams:
    """Return the parameters of the units of a layer's cell."""
    if isinstance(layer, QuantizedGruBefore):
        return GruBeforeCellParams(layer)
    return GruCellParams(layer) if isinstance(layer, QuantizedGru) else LstmCellParams(layer)


def cell_step(layer: QuantizedLayer, x: Ints, h: Ints, c: Ints) -> Trace:
    """Return every intermediate of one time step, as `lstm_cell` and the functions of GRUs do.

    Parameters are those of `lstm_cell`; a GRU has no c of its own.
    """
    if isinstance(layer, QuantizedGruBefore):
        return gru_before_cell(layer, x, h)
    return gru_cell(layer, x, h) if isinstance(layer, QuantizedGru) else lstm_cell(layer, x, h, c)
