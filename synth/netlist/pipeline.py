"""Registers placed into a mapped netlist where they are fewest for a clock period.

Three ways, of which the best counts. Cuts: a cell belongs to the stage in which its output arrives,
so a cut at time t takes one register for each net that is there by t and still used after it; for a
given longest stage the cut times with the fewest registers in all are found by dynamic programming.
Or stages are filled one after the other (`mubinn.synth.netlist.stages`), and cells then moved to
later ones where that takes fewer registers (`mubinn.synth.netlist.deferral`). The registers then
stand in the netlist, and static timing of that, clock to Q, setup and their loads included, gives
the period.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.boolean import truth_table
from mubinn.synth.liberty.gate_timing import GateTiming, LibraryTiming
from mubinn.synth.liberty.library import Library, LibraryGate
from mubinn.synth.netlist.deferral import defer_cells
from mubinn.synth.netlist.netlist import netlist_cell
from mubinn.synth.netlist.sta import Net, analyse, arc_delays
from mubinn.synth.netlist.stages import Staging, fill_stages

CLOCK: Net = "clock"
CANDIDATES = 160
"""Times at which a cut is considered, evenly spread over the longest path."""


@dataclass(frozen=True)
class Pipelined:
    """A netlist in stages; its outputs are registered.

    Attributes
    ----------
    stages : int
        Clock cycles from input to output.
    registers : int
    period_ps : float
        Least clock period.
    area_um2 : float
        Cells and registers.
    """

    stages: int
    registers: int
    period_ps: float
    area_um2: float

    @property
    def cost(self) -> float:
        """Area times period: what one result a clock cycle costs, um^2 ps."""
        return self.area_um2 * self.period_ps


class _Netlist:
    """A flat combinational netlist, its arrivals, and where each net is used."""

    def __init__(self, module: Mapping[str, Any], library: Library, timing: LibraryTiming) -> None:
        self.module = module
        self.timing = timing
        report = analyse(module, library, timing)
        self.delays = arc_delays(module, library, timing)
        self.delay = report.delay_ps
        self.arrival = report.arrival_ps
        self.born: dict[Net, float] = {}
        self.users: dict[Net, list[tuple[str, str, float]]] = defaultdict(list)
        for port in module["ports"].values():
            if port["direction"] == "input":
                self.born.update(dict.fromkeys(port["bits"], 0.0))
        for name, cell in sorted(module["cells"].items(), key=self._arrival_of):
            known = timing.gate(cell["type"])
            if known.launches:
                raise MubinnError("A netlist that has registers already is not pipelined again.")
            nets = cell["connections"]
            inputs = {pin: bits[0] for pin, bits in nets.items() if pin in known.loads}
            outputs = [bits[0] for pin, bits in nets.items() if pin in known.outputs and bits]
            # A cell of two outputs is there with the later one; what its earlier one feeds is not
            # there before it.
            at = max(
                0.0,
                *(self.arrival.get(net, 0.0) for net in outputs),
                *(self.born.get(net, 0.0) for net in inputs.values()),
            )
            self.born.update(dict.fromkeys(outputs, at))
            for pin, net in inputs.items():
                self.users[net].append((name, pin, at))
        ports = (p for p in module["ports"].values() if p["direction"] == "output")
        self.outputs = {bit for port in ports for bit in port["bits"] if bit in self.born}

    def _arrival_of(self, item: tuple[str, Any]) -> float:
        """Return when the first output of a cell is there, which is after all its drivers'."""
        known = self.timing.gate(item[1]["type"])
        nets = (bits[0] for pin, bits in item[1]["connections"].items() if pin in known.outputs)
        return min((self.arrival.get(net, 0.0) for net in nets), default=0.0)

    def alive(self, times: Sequence[float]) -> list[int]:
        """Return how many nets each cut would take a register for."""
        steps = [0] * (len(times) + 1)
        for net, born in self.born.items():
            last = max((at for _, _, at in self.users[net]), default=born)
            if net in self.outputs:
                last = self.delay
            first, end = bisect_left(times, born), bisect_left(times, last)
            steps[first] += 1
            steps[max(first, end)] -= 1
        total, counts = 0, []
        for step in steps[:-1]:
            total += step
            counts.append(total)
        return counts

    def cut(self, cuts: Sequence[float]) -> Staging:
        """Return which stage everything belongs to by when it is there."""
        nets = {net: bisect_left(cuts, born) for net, born in self.born.items()}
        cells = {
            name: bisect_left(cuts, at) for users in self.users.values() for name, _, at in users
        }
        return Staging(nets, cells, len(cuts) + 1)

    def fill(self, budget: float) -> Staging:
        """Return which stage everything belongs to where each has `budget` ps of logic."""
        delays = self.delays
        driven = {net for paths in delays.values() for _, (net, _) in paths}
        found = fill_stages(delays, delays, (net for net in self.born if net not in driven), budget)
        # Cells without inputs are constants, there from the first stage on.
        return Staging(
            dict.fromkeys(self.born, 0) | dict(found.nets),
            dict.fromkeys(self.module["cells"], 0) | dict(found.cells),
            found.stages,
        )

    def defer(self, filled: Staging, budget: float) -> Staging:
        """Return a filled staging with cells moved to where they take fewer registers."""
        users = {net: [name for name, _, _ in several] for net, several in self.users.items()}
        return defer_cells(filled, self.delays, users, self.outputs, budget)

    def staged(self, staging: Staging, register: "_Register") -> tuple[dict[str, Any], int]:
        """Return the netlist with registers between stages and at the outputs, and their count."""
        cells = {
            name: {"type": cell["type"], "connections": dict(cell["connections"])}
            for name, cell in self.module["cells"].items()
        }
        count = 0

        def delayed(net: Net, begin: int, end: int) -> Net:
            nonlocal count
            for k in range(begin, end):
                name = f"{net}@{k + 1}"
                if name not in cells:
                    before = net if k == begin else f"{net}@{k}"
                    cells[name] = register.place(before, name)
                    count += 1
            return net if begin == end else f"{net}@{end}"

        for net in self.born:
            for name, pin, _ in self.users[net]:
                after = delayed(net, staging.nets[net], staging.cells[name])
                cells[name]["connections"][pin] = [after]
        ports: dict[str, Any] = {"clock": {"direction": "input", "bits": [CLOCK]}}
        for name, port in self.module["ports"].items():
            bits = list(port["bits"])
            if port["direction"] == "output":
                bits = [
                    delayed(bit, staging.nets[bit], staging.stages) if bit in self.born else bit
                    for bit in bits
                ]
            ports[name] = {"direction": port["direction"], "bits": bits}
        return {"ports": ports, "cells": cells}, count


def _best_cuts(times: Sequence[float], counts: Sequence[int], longest: float) -> list[float]:
    """Return the cut times with fewest registers where no stage takes longer than `longest`."""
    end = len(times)
    cost: list[float] = [0.0] * (end + 1)
    before = [-1] * (end + 1)
    for k in range(end + 1):
        at = times[k] if k < end else times[-1]
        first = bisect_left(times, at - longest)
        # From the inputs when they are near enough, else from the cheapest cut that is.
        options = [(cost[j], j) for j in range(first, min(k, end))] or [(cost[k - 1], k - 1)]
        if at <= longest:
            options.append((0.0, -1))
        least, before[k] = min(options)
        cost[k] = least + (counts[k] if k < end else 0)
    cuts, k = [], before[end]
    while k >= 0:
        cuts.append(times[k])
        k = before[k]
    return cuts[::-1]


@dataclass(frozen=True)
class _Register:
    """A flip-flop: its cell, its pins, and what ties clear and preset off."""

    cell: str
    clock: str
    data: str
    output: str
    tied: tuple[tuple[str, str], ...]

    def place(self, before: Net, after: Net) -> dict[str, Any]:
        """Return the cell that registers net `before` as net `after`."""
        pins: dict[str, Net] = {self.clock: CLOCK, self.data: before, self.output: after}
        return netlist_cell(self.cell, **dict(self.tied), **pins)


def _as_register(cell: LibraryGate, timing: GateTiming) -> _Register | None:
    """Return a cell as a register if it is a plain one, with clear or preset at most."""
    clocks = {arc.pin for arcs in timing.launches.values() for arc in arcs}
    if len(clocks) != 1 or len(timing.setups) != 1 or len(timing.launches) != 1:
        return None
    (clock,), (data,), (output,) = clocks, timing.setups, timing.launches
    tied = {}
    for group in cell.group.of("ff"):
        for kind in ("clear", "preset"):
            names = [pin for pin in timing.loads if re.search(rf"\b{pin}\b", group.get(kind))]
            table = truth_table(group.get(kind), 1)
            if len(names) == 1 and table is not None:
                tied[names[0]] = "1" if table[1] == 0b01 else "0"
    if set(timing.loads) != {clock, data, *tied}:
        return None
    return _Register(cell.name, clock, data, output, tuple(tied.items()))


def smallest_register(library: Library, timing: LibraryTiming) -> _Register:
    """Return the smallest flip-flop."""
    found = []
    for cell in library.usable():
        if cell.is_flipflop and cell.area_um2 is not None:
            register = _as_register(cell, timing.gate(cell.name))
            if register is not None:
                found.append((cell.area_um2, cell.name, register))
    if not found:
        raise MubinnError(
            "The library has no flip-flop with one data input and one output: pipelining needs one."
        )
    return min(found, key=lambda entry: entry[:2])[2]


def pipelines(
    module: Mapping[str, Any], library: Library, stages: Sequence[int]
) -> list[Pipelined]:
    """Return the netlist in about as many stages as asked for, one result for each of `stages`.

    Of the ways to place the registers the one of least area times period.

    Parameters
    ----------
    module : mapping
        A flat mapped netlist without registers, as Yosys writes it in JSON.
    library : Library
    stages : sequence of int
        Counts of stages, the one that ends at the output register included.

    Raises
    ------
    MubinnError
        If the netlist has registers, or the library no plain flip-flop.
    """
    return [way for way, _ in pipelined_netlists(module, library, stages)]


def pipelined_netlists(
    module: Mapping[str, Any], library: Library, stages: Sequence[int]
) -> list[tuple[Pipelined, dict[str, Any]]]:
    """Return what `pipelines` does, each with its netlist."""
    timing = LibraryTiming(library)
    netlist = _Netlist(module, library, timing)
    register = smallest_register(library, timing)
    times = [netlist.delay * (k + 1) / CANDIDATES for k in range(CANDIDATES)]
    counts = netlist.alive(times)
    results = []
    for wanted in stages:
        longest = netlist.delay / wanted * 1.02
        cuts = _best_cuts(times, counts, longest) if wanted > 1 else []
        found = []
        filled = netlist.fill(longest)
        for staging in (netlist.cut(cuts), filled, netlist.defer(filled, longest)):
            staged, registers = netlist.staged(staging, register)
            period = analyse(staged, library, timing).period_ps
            area = library.area_um2(cell["type"] for cell in staged["cells"].values())
            found.append((Pipelined(staging.stages, registers, period, area), staged))
        results.append(min(found, key=lambda made: made[0].cost))
    return results
