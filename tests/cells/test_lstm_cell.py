import numpy as np
import pytest
from simulators import QUICK, needs_icarus

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.cells import state_stages
from mubinn.hw.cells.lstm_cell import LstmCell
from mubinn.hw.cells.state_stage import PipelinedState
from mubinn.sim.cells.cell_check import check_cell
from mubinn.sim.testbench.compare import SimulationMismatch

MIXED = Levels(x=2, w=3, h=1, c=2, gate=3, b=4)


def inputs(layer, steps, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 1 << layer.x.levels, (steps, layer.features))


@pytest.mark.parametrize(
    ("simulator", "units", "folded"),
    [
        ("verilator", 1, False),
        pytest.param("icarus", 1, False, marks=needs_icarus),
        pytest.param("icarus", 4, True, marks=needs_icarus),
        pytest.param("icarus", 6, False, marks=needs_icarus),
    ],
)
def test_cell_equals_bit_true_model_under_back_pressure(random_model, simulator, units, folded):
    layer = random_model(seed=3, levels=MIXED).layers[0]
    result = check_cell(
        layer, inputs(layer, 3), units=units, folded_bias=folded, simulator=simulator
    )
    assert result.tests == 2


class WithoutRounding(PipelinedState):
    """A state stage whose requantizer truncates."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        unit = m.submodules.round_z

        def truncate(inner):
            inner.d.comb += unit.o.payload.value.eq(unit.i.payload.value >> unit.params.shift)

        unit.compute = truncate
        return m


def test_bench_finds_a_cell_that_truncates(random_model, monkeypatch):
    layer = random_model(seed=3, levels=(1, 1)).layers[0]
    monkeypatch.setattr(state_stages, "FORMS", (WithoutRounding,))
    design = LstmCell(LayerPlan(layer, folded_bias=False), trace=True)
    with pytest.raises(SimulationMismatch, match=r"cell \d+, signal (o|probe)"):
        check_cell(layer, inputs(layer, 3), design=design, simulator=QUICK)
