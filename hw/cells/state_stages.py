"""Which form of the state stage a cell has."""

from mubinn.golden.folding.cell_design import CellDesign
from mubinn.hw.cells.serial_state import SerialState
from mubinn.hw.cells.state_stage import PipelinedState, StateStage

FORMS: tuple[type[StateStage], ...] = (SerialState, PipelinedState)
"""The first one that suits is taken."""


def state_stage_class(design: CellDesign) -> type[StateStage]:
    """Return the class of the state stage of a layer's cell and datapath."""
    return next(form for form in FORMS if form.suits(design))
