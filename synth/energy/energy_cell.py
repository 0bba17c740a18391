"""Energy of a cell operation: of binary32, and of the merged binarized cell, at their own least.

Both are built alike. Each unit is mapped by the strategies for area times delay, pipelined in every
count of stages of `STAGES` with its outputs registered, and simulated with glitches on operands of
real windows; what takes the least energy counts. A unit that has several cycles for each result is
not pipelined. A cell operation then takes each unit's energy as often as it uses it, and leakage of
everything over its clocks. Control and the classifier count nothing, nor do registers around the
look-ups of binary32.

=========  ========================================================================================
binary32   ``4 (I + H) + 3`` products and ``4 (I + H) + 1`` sums; 3 sigmoids and 2 tanh, each a
           look-up, and a product and a sum on the same units
(A, W)     4 merged sums, of products of bits, and gate searches; one each of the tables and the
           search of Eq. (5), (6); ``(I + H) / H`` additions to the sum over a step's activations;
           for codes that wait ``5 W`` registers, clocked each cycle
=========  ========================================================================================
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.baseline.float_activation import FloatActivationParams
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.hw.baseline.float_activation import FloatSegment
from mubinn.hw.baseline.float_add import FloatAdd
from mubinn.hw.baseline.float_mult import FloatMult
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.sim.testbench.payload import fields_of, pack_bits
from mubinn.synth.energy.energy import Energy, EnergyLibrary, netlist_energy
from mubinn.synth.energy.energy_float import FloatWork, float_stimulus
from mubinn.synth.energy.energy_memory import memories_fj, merged_memories
from mubinn.synth.energy.energy_stimulus import Fields, merged_stimulus
from mubinn.synth.flow.flow import SynthJob, map_netlists
from mubinn.synth.netlist.activity import WORD
from mubinn.synth.netlist.activity_timed import activity
from mubinn.synth.netlist.netlist import netlist_module
from mubinn.synth.netlist.pipeline import pipelined_netlists, smallest_register
from mubinn.synth.netlist.sta import analyse
from mubinn.synth.table1.cell_units import CellUnit, Start
from mubinn.synth.table1.merged_cell import GATES, bits_units, merged_model, sum_params

STAGES = (1, 2, 3, 4)
CHOICE_VECTORS = 8 * WORD
"""Vectors on which strategies and stages are chosen."""
FLOAT_VECTORS = 3200
PAYLOAD = "i__payload"
MICROSECOND_PS = 1e6
"""A nW takes a fJ in it."""

Windows = npt.NDArray[np.floating]


@dataclass(frozen=True)
class UnitEnergy:
    """A unit at its least energy.

    Attributes
    ----------
    uses : float
        For each cell operation.
    strategy : str
    stages : int
        0 where it is not pipelined.
    period_ps : float
        Least clock period; the delay where it is not pipelined.
    energy : Energy
        fJ of a use, without leakage.
    settled_fj : float
        The same with no glitches.
    half_fj : float
        The same from the first half of the vectors.
    vectors : int
    leakage_nw : float
    """

    uses: float
    strategy: str
    stages: int
    period_ps: float
    energy: Energy
    settled_fj: float
    half_fj: float
    vectors: int
    leakage_nw: float


@dataclass(frozen=True)
class CellOperation:
    """One of H cells in one time step.

    Attributes
    ----------
    units : dict of str to UnitEnergy
    cycles : int
        Clocks of the pipelined units.
    beside : Energy
        Of registers beside the units, fJ.
    memory_fj : dict of str to float
        By memory.
    """

    units: dict[str, UnitEnergy]
    cycles: int
    beside: Energy
    memory_fj: dict[str, float]

    @property
    def period_ps(self) -> float:
        """Clock period that the slowest pipelined unit allows."""
        return max(unit.period_ps for unit in self.units.values() if unit.stages)

    @property
    def logic(self) -> Energy:
        """Of units and registers, fJ."""
        total = self.beside
        for unit in self.units.values():
            total += unit.energy * unit.uses
        leaking = sum(unit.leakage_nw for unit in self.units.values())
        return total + Energy(leakage=leaking * self.period_ps * self.cycles * 1e-6)

    @property
    def total_fj(self) -> float:
        """With the memories."""
        return self.logic.total + sum(self.memory_fj.values())

    @property
    def settled_fj(self) -> float:
        """Of the logic, had it no glitches."""
        glitches = sum(
            unit.uses * (unit.energy.total - unit.settled_fj) for unit in self.units.values()
        )
        return self.logic.total - glitches

    @property
    def half_fj(self) -> float:
        """Of the logic, from the first half of the vectors."""
        rest = sum(unit.uses * (unit.energy.total - unit.half_fj) for unit in self.units.values())
        return self.logic.total - rest


class UnitMeter:
    """Measures units with one library.

    Parameters
    ----------
    cells : EnergyLibrary
    """

    def __init__(self, cells: EnergyLibrary) -> None:
        self.cells = cells

    def measure(self, unit: CellUnit, fields: Fields, uses: float, piped: bool) -> UnitEnergy:
        """Return a unit at its least energy on operands `fields`."""
        made = unit.make()
        shape = made.i.payload.shape()
        layout = fields_of(shape)
        width = max(int(field.positions().max()) for field in layout) + 1
        bits = pack_bits(layout, width, fields)
        job = SynthJob(verilog_text(made, unit.kind), unit.kind)
        netlists = map_netlists(job, self.cells.library, small=True)
        return self.choose(netlists, bits, uses, STAGES if piped else ())

    def choose(
        self,
        netlists: Mapping[str, dict[str, Any]],
        bits: npt.NDArray[np.uint8],
        uses: float,
        stages: Sequence[int],
    ) -> UnitEnergy:
        """Return the netlist of least energy: the strategy first, then the count of stages."""
        few = bits[:CHOICE_VECTORS]
        ways: dict[tuple[str, int], tuple[float, dict[str, Any]]] = {}
        for strategy, module in netlists.items():
            ways |= self._ways(strategy, module, stages[:1])
        cost = {way: self._fj(module, few) for way, (_, module) in ways.items()}
        strategy = min(cost, key=lambda way: cost[way])[0]
        for count in stages[1:]:
            more = self._ways(strategy, netlists[strategy], (count,))
            ways |= more
            cost |= {way: self._fj(module, few) for way, (_, module) in more.items()}
        best = min(cost, key=lambda way: cost[way])
        period, module = ways[best]
        return UnitEnergy(
            uses,
            *best,
            period,
            self._energy(module, bits),
            self._fj(module, bits, glitches=False),
            self._fj(module, bits[: max(1, len(bits) // WORD // 2) * WORD]),
            len(bits),
            netlist_energy(module, self.cells, {}, MICROSECOND_PS).leakage,
        )

    def _ways(
        self, strategy: str, module: dict[str, Any], stages: Sequence[int]
    ) -> dict[tuple[str, int], tuple[float, dict[str, Any]]]:
        """Return period and netlist by strategy and stages."""
        library = self.cells.library
        if not stages:
            return {(strategy, 0): (analyse(module, library, self.cells.timing).delay_ps, module)}
        made = pipelined_netlists(module, library, stages)
        return {(strategy, way.stages): (way.period_ps, staged) for way, staged in made}

    def _energy(
        self, module: dict[str, Any], bits: npt.NDArray[np.uint8], *, glitches: bool = True
    ) -> Energy:
        rates = activity(module, self.cells.library, {PAYLOAD: bits}, glitches=glitches)
        return netlist_energy(module, self.cells, rates, 0.0)

    def _fj(
        self, module: dict[str, Any], bits: npt.NDArray[np.uint8], *, glitches: bool = True
    ) -> float:
        return self._energy(module, bits, glitches=glitches).total


def float_operation(cells: EnergyLibrary, model: FloatModel, x: Windows) -> CellOperation:
    """Return the cell operation of (FP, FP).

    Parameters
    ----------
    cells : EnergyLibrary
    model : FloatModel
        Its first layer is meant, an LSTM.
    x : float [windows, T, I]
        Prepared windows.
    """
    layer = model.lstm_layers[0]
    return float_step(cells, layer, x, layer.hidden)


def float_step(
    cells: EnergyLibrary, layer: FloatLayer, x: Windows, cell_operations: int = 1
) -> CellOperation:
    """Return a step of a layer of any cell in binary32, of a sweep a pixel.

    Parameters
    ----------
    cells : EnergyLibrary
    layer : FloatLayer
    x : float [windows, T, inputs]
        What the layer reads, of two steps or frames at least.
    cell_operations : int
        What a step is divided by: its cells, for the operation of one.

    Raises
    ------
    MubinnError
        On an activation that has no unit in binary32, or windows that are too few or too short.
    """
    work = FloatWork.of(layer)
    pipelined = {
        "float_mult": (CellUnit.of(FloatMult), work.products),
        "float_add": (CellUnit.of(FloatAdd), work.sums),
    }
    tables = {
        kind: (CellUnit.of(FloatSegment, FloatActivationParams(kind)), count)
        for kind, count in work.activations.items()
    }
    fields = float_stimulus(layer, x, FLOAT_VECTORS)
    meter = UnitMeter(cells)
    units = {
        name: meter.measure(unit, fields[name], uses / cell_operations, name in pipelined)
        for name, (unit, uses) in (pipelined | tables).items()
    }
    memory = {
        name: energy / cell_operations
        for name, energy in memories_fj(work.memories, cells.library).items()
    }
    return CellOperation(units, work.products // cell_operations, Energy(), memory)


def merged_operation(
    cells: EnergyLibrary, start: Start, a: int, w: int, x: Windows
) -> CellOperation:
    """Return the cell operation of (A, W); parameters as of `float_operation`."""
    quantized = merged_model(start, a, w)
    layer = quantized.lstm_layers[0]
    params = sum_params(layer)
    fields = merged_stimulus(quantized, params, x)
    step = (layer.features + layer.hidden) / layer.hidden
    uses = {"merged": GATES, "search_gate": GATES, "step_table": step, "step_sum": step}
    meter = UnitMeter(cells)
    measured = {
        name: meter.measure(unit, fields[name], uses.get(name, 1), uses.get(name) == GATES)
        for name, unit in bits_units(layer).items()
    }
    levels = {name: layer.levels.count(name) for name in ("x", "w", "h", "c")}
    memories = merged_memories(layer.features, layer.hidden, levels, params.sum_width)
    beside = _registers(cells, 5 * w, 0.5 / GATES) * GATES
    beside += _registers(cells, params.sum_width, 0.5) * step
    return CellOperation(measured, GATES, beside, memories_fj(memories, cells.library))


def _registers(cells: EnergyLibrary, count: int, rate: float) -> Energy:
    """Return the energy of a clock of registers whose bits change at `rate`."""
    register = smallest_register(cells.library, cells.timing)
    module = netlist_module(["d"], ["q"], register=register.place("d", "q"))
    return netlist_energy(module, cells, {"d": rate, "q": rate}, 0.0) * count
