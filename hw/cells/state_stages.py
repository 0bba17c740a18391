"""The state stage of every cell and datapath."""

from typing import Any

from mubinn.golden.cells.cell import AnyCellParams
from mubinn.golden.cells.gru_before_cell import GruBeforeCellParams
from mubinn.golden.cells.gru_cell import GruCellParams
from mubinn.golden.cells.lstm_cell import LstmCellParams
from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.cells.figure3_state import Figure3State
from mubinn.hw.cells.gru_before_figure3_state import GruBeforeFigure3State
from mubinn.hw.cells.gru_before_threshold_state import GruBeforeThresholdState
from mubinn.hw.cells.gru_figure3_state import GruFigure3State
from mubinn.hw.cells.gru_threshold_state import GruThresholdState
from mubinn.hw.cells.serial_state import SerialState
from mubinn.hw.cells.state_stage import StateStage
from mubinn.hw.cells.threshold_state import ThresholdState

AnyStage = type[StateStage[Any]]

STAGES: dict[type[AnyCellParams], dict[str, tuple[AnyStage, ...]]] = {
    LstmCellParams: {"figure3": (Figure3State,), "threshold": (SerialState, ThresholdState)},
    GruCellParams: {"figure3": (GruFigure3State,), "threshold": (GruThresholdState,)},
    GruBeforeCellParams: {
        "figure3": (GruBeforeFigure3State,),
        "threshold": (GruBeforeThresholdState,),
    },
}
"""The forms of the stage by cell and datapath; the first one that suits is taken."""


def state_stage_class(params: AnyCellParams) -> AnyStage:
    """Return the class of the state stage of the layer's cell and datapath.

    Raises
    ------
    MubinnError
        On an unknown datapath.
    """
    forms, datapath = STAGES[type(params)], params.layer.datapath
    if datapath not in forms:
        raise MubinnError(f"unknown datapath {datapath!r}: give one of {', '.join(forms)}.")
    return next(form for form in forms[datapath] if form.suits(params))
