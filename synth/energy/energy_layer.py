"""Energy of a step of a whole layer, as it is generated: any cell, levels, encoders and datapath.

The layer's Verilog is mapped for area times delay, sums to the library's full adders where it has
any, and runs clock by clock on the codes of 64 real windows side by side
(`mubinn.synth.netlist.clocked`). Its outputs have to equal the bit-true model. What all nets do
from one step's output to that of the last step that runs, of a sweep in a whole frame, counts:

==========  ========================================================================================
logic       each change of a settled net, counted in every clock; to which glitches come, that a
            timed simulation of `SAMPLES` clocks finds. Sequencer, registers and their clock pins
            are part of it. Leakage is that of the clock period which the longest path allows
memories    words read and written, from a cited model (`mubinn.synth.energy.energy_memory`); a
            port whose address stays takes nothing
==========  ========================================================================================

The netlist is not pipelined further. `mubinn.synth.energy.energy_cell` puts a cell together from
units, each in its best pipeline and without control, of which no whole design is made.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.bit_true import run_layer
from mubinn.hw.export.layer_folder import LayerDesign
from mubinn.hw.layer.lstm_layer import cycles_per_step
from mubinn.sim.testbench.payload import fields_of, pack_bits
from mubinn.synth.energy.energy import Energy, EnergyLibrary, netlist_energy
from mubinn.synth.energy.energy_memory import Memory, memories_fj
from mubinn.synth.flow.flow import SynthJob, map_netlists
from mubinn.synth.liberty.adder_gates import adder_map
from mubinn.synth.liberty.library import Library
from mubinn.synth.netlist.activity import HELD, WORD, Words
from mubinn.synth.netlist.activity_timed import delays, timed_changes
from mubinn.synth.netlist.clocked import ClockedNetlist, runs_of
from mubinn.synth.netlist.netlist import cell_counts
from mubinn.synth.netlist.sta import analyse

SAMPLES = 256
"""Clocks of all windows whose glitches are simulated."""
MOST_CLOCKS = 100_000
"""That a run takes at most, if it is not of a single step or frame; later steps are left out."""
RESET_CLOCKS = 2
MICROSECOND_PS = 1e6
"""A nW takes a fJ in it."""
SEED = 1


@dataclass(frozen=True)
class LayerEnergy:
    """What one step of a layer takes, of a sweep one pixel.

    Attributes
    ----------
    strategy : str
        By which the netlist was mapped.
    steps : int
        Steps that ran of each window; the energy is of the last one, or of the last frame.
    values : int
        Outputs of the netlist that were compared with the bit-true model, all equal.
    cycles : int
        Clocks of a step.
    period_ps : float
        Least clock period.
    logic : Energy
        fJ of a step, with leakage.
    glitch_fj : float
        The part of it that is of glitches.
    memory_fj : dict of str to float
        By memory.
    memories : dict of str to Memory
        The same memories' bits, and those accessed in a step.
    leakage_nw : float
        Of the logic, at any time.
    area_um2 : float
        Of the logic's cells.
    registers : int
        Of the logic.
    gates, gated : int
        Clock gates, and registers behind them.
    """

    strategy: str
    steps: int
    values: int
    cycles: int
    period_ps: float
    logic: Energy
    glitch_fj: float
    memory_fj: dict[str, float]
    memories: dict[str, Memory]
    leakage_nw: float
    area_um2: float
    registers: int
    gates: int
    gated: int

    @property
    def total_fj(self) -> float:
        """Logic and memories."""
        return self.logic.total + sum(self.memory_fj.values())


def layer_energy(
    cells: EnergyLibrary,
    design: LayerDesign,
    codes: npt.ArrayLike,
    progress: Callable[[str], None] = lambda _: None,
    *,
    gated: bool = False,
) -> LayerEnergy:
    """Return the energy of a step of a layer.

    Parameters
    ----------
    cells : EnergyLibrary
    design : LayerDesign
        Without a classifier; its adder networks those of standard cells.
    codes : int64 [windows, T, I]
        Frames of the layer's input, at least 64 windows, of which the first 64 run.
    progress : callable, optional
        Told what begins.
    gated : bool
        Map with clock gates, see `mubinn.synth.flow.strategies.gating`.

    Raises
    ------
    MubinnError
        On fewer windows or two steps or frames of them, a netlist whose outputs differ from the
        bit-true model, a library without energies or, with `gated`, without a clock gate, or what
        `ClockedNetlist` refuses.
    """
    run = _Run(cells, design, np.asarray(codes, np.int64))
    progress("mapping the layer to standard cells (Yosys)")
    job = SynthJob(design.verilog, design.name)
    strategy = "adders" if adder_map(cells.library) else "choices"
    netlist = map_netlists(job, cells.library, small=True, only=strategy, gated=gated)[strategy]
    progress(f"running the netlist on {WORD} windows, clock by clock")
    return run.measure(strategy, netlist)


def check_windows(layer: QuantizedLayer, codes: Ints) -> int:
    """Return the steps of a frame, 1 where a step is one; raise `MubinnError` on too few windows.

    Parameters
    ----------
    layer : QuantizedLayer
    codes : int64 [windows, T, I]
        As of `layer_energy`.
    """
    block = layer.frames.pixels if isinstance(layer.frames, Sweep) else 1
    if len(codes) < WORD or codes.shape[1] < 2 * block:
        raise MubinnError(
            f"The energy of a layer needs {WORD} windows of two steps or frames, and there are "
            f"{len(codes)} of {codes.shape[1]} steps: give more."
        )
    return block


def cell_area(module: Mapping[str, Any], library: Library) -> float:
    """Return the area of a mapped netlist's cells, memories left out, um^2.

    Raises
    ------
    MubinnError
        Where the library gives a cell no area.
    """
    total = 0.0
    for name, count in cell_counts(module).items():
        area = library.gate(name).area_um2
        if area is None:
            raise MubinnError(f"The library gives {name} no area: complete it.")
        total += count * area
    return total


class _Run:
    """The windows that run through a layer, and what comes out."""

    def __init__(self, cells: EnergyLibrary, design: LayerDesign, codes: Ints) -> None:
        self.cells, self.plan = cells, design.layer.plan
        layer: QuantizedLayer = self.plan.layer
        self.cycles = cycles_per_step(self.plan)
        self.block = check_windows(layer, codes)
        most = max(2, MOST_CLOCKS // (self.cycles * self.block))
        self.steps = min(most, codes.shape[1] // self.block) * self.block
        codes = codes[:WORD, : self.steps]
        h = np.moveaxis(run_layer(layer, codes)["h"], 0, 1)
        self.inputs = self._packed(design.layer.frame, "x", codes, layer.x.levels)
        self.outputs = self._packed(design.layer.state, "h", h, layer.h.levels)

    def _packed(self, layout: Any, name: str, codes: Ints, levels: int) -> list[Words]:
        """Return the payloads [width] of every step, a run in each bit; no window ends."""
        fields = fields_of(layout)
        width = max(int(field.positions().max()) for field in fields) + 1
        found = []
        for step in np.moveaxis(codes, 1, 0):
            planes = np.asarray(step[:, None, :] >> np.arange(levels)[:, None] & 1, np.uint8)
            bits = pack_bits(fields, width, {name: planes, "last": np.zeros(WORD, np.int64)})
            found.append(runs_of(bits))
        return found

    def measure(self, strategy: str, module: Mapping[str, Any]) -> LayerEnergy:
        """Run all steps; return the energy of the last one, of a sweep of the last frame."""
        steps = self.steps
        netlist = ClockedNetlist(module, self.cells.library)
        before, after, clocks = self._clocks(netlist)
        logic, timing = netlist.logic, analyse(netlist.outside, self.cells.library)
        ticks = delays(logic, self.cells.library, timing.arrival_ps)
        timed = timed_changes(logic, after, ticks, before)
        settled = np.bitwise_count(before ^ after).sum(axis=1, dtype=np.int64)
        more = (timed - settled) / (WORD * before.shape[1])
        period = max(timing.period_ps, timing.delay_ps)
        rates = netlist.changes / (WORD * clocks)
        whole = self._energy(netlist, rates + more, period)
        without = self._energy(netlist, rates, period)
        per_step = clocks / self.block
        registers = [group for group in logic.groups if group.registered]
        memories = {
            name: Memory(own.bits, (own.read + own.written) * own.width / self.block)
            for name, own in netlist.memories.items()
        }
        return LayerEnergy(
            strategy,
            steps,
            steps * WORD * self.plan.layer.outputs,
            self.cycles,
            period,
            whole * per_step,
            (whole.total - without.total) * per_step,
            memories_fj(memories, self.cells.library),
            memories,
            netlist_energy(netlist.outside, self.cells, {}, MICROSECOND_PS).leakage,
            cell_area(module, self.cells.library),
            sum(len(group.targets) for group in registers),
            len(netlist.logic.gated),
            sum(len(group.targets) for group in registers if HELD in group.sources),
        )

    def _energy(
        self, netlist: ClockedNetlist, rates: npt.NDArray[np.float64], period_ps: float
    ) -> Energy:
        """Return the energy of a clock."""
        activity = {net: float(rates[row]) for net, row in netlist.logic.nets.items()}
        return netlist_energy(netlist.outside, self.cells, activity, period_ps, netlist.passed)

    def _clocks(self, netlist: ClockedNetlist) -> tuple[Words, Words, int]:
        """Run; return all nets before and after some clocks of the end, and how many it has."""
        count = self.cycles * self.block
        places = np.random.default_rng(SEED).permutation(count)[:SAMPLES]
        chosen: set[int] = set()
        kept: list[tuple[Words, Words]] = []
        taken, begin, last = 0, 0, None
        for clock, ended in enumerate(self._outputs(netlist)):
            if last is not None:
                kept.append((last, netlist.values.copy()))
            if ended:
                taken += 1
                if taken == self.steps:
                    break
                if taken == self.steps - self.block:
                    begin = clock + 1
                    chosen = set((places + begin).tolist())
                    netlist.begin()
            last = netlist.values.copy() if begin and clock + 1 in chosen else None
        if clock + 1 - begin != count:
            raise MubinnError(
                f"The netlist took {clock + 1 - begin} clocks for what takes the layer {count}: "
                "the library's cells do not work as its design."
            )
        before, after = (np.stack(words, 1) for words in zip(*kept, strict=True))
        return before, after, count

    def _outputs(self, netlist: ClockedNetlist) -> Iterator[bool]:
        """Yield clock by clock, all nets settled, whether a step's output was there and right."""
        v, ones = netlist.values, ~np.uint64(0)
        names = ("rst", "i__valid", "i__payload", "i__ready", "o__ready", "o__payload", "o__valid")
        reset, offered, frame, ready, taking, state, valid = map(netlist.pins, names)
        v[reset], v[taking] = ones, ones
        for _ in range(RESET_CLOCKS):
            netlist.settle()
            netlist.clock()
        v[reset], v[offered] = 0, ones
        given, outputs = 0, iter(self.outputs)
        while True:
            # The input runs ahead of the last output, as that of a longer window does.
            v[frame] = self.inputs[given % len(self.inputs)]
            netlist.settle()
            ended = bool(v[valid[0]])
            if v[ready[0]] not in (0, ones) or v[valid[0]] not in (0, ones):
                raise MubinnError("The clocks of the layer's steps depend on its data.")
            if ended and not np.array_equal(v[state], next(outputs)):
                raise MubinnError(
                    "The mapped netlist's output differs from the bit-true model: the library's "
                    "cells do not work as their functions say."
                )
            given += bool(v[ready[0]])
            yield ended
            netlist.clock()
