"""The names of `mubinn.sim`: what programs use of it."""

from mubinn.sim.layer.layer_check import check_layer as check_layer
from mubinn.sim.runner.simulate import SimResult as SimResult
from mubinn.sim.runner.simulate import simulate as simulate
from mubinn.sim.runner.unit_check import UnitResult as UnitResult
from mubinn.sim.runner.unit_check import check_unit as check_unit
from mubinn.sim.testbench.compare import SimulationMismatch as SimulationMismatch
from mubinn.sim.testbench.compare import compare_traces as compare_traces
