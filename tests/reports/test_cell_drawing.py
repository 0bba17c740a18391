"""Where units stand in the picture of a cell."""

import pytest
from ordered import with_thresholds

from mubinn.reports.cell import CellDrawing


@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
def test_thresholds_stand_where_algorithm_1_does(random_model, datapath):
    model = random_model(1, (2, 2)).with_datapath(datapath)
    plain, other = (CellDrawing(m.layers[0]) for m in (model, with_thresholds(model)))
    assert other.places == plain.places
    boxes = {box.role: box for box in other.boxes}
    assert boxes["encode_gate" if datapath == "figure3" else "search_gate"].title == "thresholds"
