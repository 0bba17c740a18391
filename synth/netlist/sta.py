"""Static timing of a mapped netlist: through full adders and flip-flops as well.

Rise and fall are timed apart, as the arcs' senses say, with the worst arrival and the worst slew at
every net. Each input is driven by the library's driving cell (its delay beyond that without load),
each output loaded, as ABC's ``stime`` and OpenSTA's ``set_driving_cell`` have it. Flip-flops begin
paths at clock to Q and end them at setup; the clock arrives everywhere at once with no slew. An
input loads its net by the capacitance of the edge, the top of its range where the library gives
one, as OpenSTA has it; ABC takes the mean. Wires count nothing.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.gate_timing import EDGES, Arc, LibraryTiming
from mubinn.synth.liberty.library import Library

Net = int | str
Pin = tuple[str, str]
Event = tuple[Net, int]
"""A net and its rising (0) or falling (1) edge."""

Path = tuple[Event, Event]
"""From an edge of an input net of a cell to an edge of an output net."""

_NEVER = [[-1.0, 0.0], [-1.0, 0.0]]


@dataclass(frozen=True)
class Step:
    """One cell of a path: name and type, the pins passed, arrival and edge at its output."""

    cell: str
    kind: str
    pin: str
    output: str
    arrival_ps: float
    edge: str


@dataclass(frozen=True)
class TimingReport:
    """The longest paths.

    Attributes
    ----------
    delay_ps : float
        Longest path to an output, from an input or from a clock edge; 0 where there is none.
    period_ps : float
        Least clock period: the longest path to a flip-flop, setup included; 0 without any.
    path : tuple of Step
        Of the longer of the two.
    arrival_ps : dict of net to float
        Worst arrival of either edge at every net.
    """

    delay_ps: float
    period_ps: float
    path: tuple[Step, ...]
    arrival_ps: Mapping[Net, float]


class _Timer:
    """One analysis: nets hold (arrival, slew) for the rising and the falling edge."""

    def __init__(self, module: Mapping[str, Any], library: Library, timing: LibraryTiming) -> None:
        self.module = module
        self.timing = timing
        self.output_load = 4 * library.inverters[0][1]
        self.driver = min(library.inverters, key=lambda p: abs(p[1] - self.output_load))[0].name
        self.cells: dict[str, Any] = module["cells"]
        self.drives: dict[Net, Pin] = {}
        self.uses: dict[Net, list[Pin]] = defaultdict(list)
        self.loads: dict[Net, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self.times: dict[Net, list[list[float]]] = {}
        self.cause: dict[tuple[Net, int], tuple[str, str, Net, int]] = {}
        self.order: list[str] = []
        self._connect()

    def net(self, cell: str, pin: str) -> Net:
        found: Net = self.cells[cell]["connections"][pin][0]
        return found

    def _connect(self) -> None:
        for name, cell in self.cells.items():
            timing = self.timing.gate(cell["type"])
            for pin, bits in cell["connections"].items():
                if not bits:
                    continue
                if pin in timing.outputs:
                    self.drives[bits[0]] = name, pin
                elif pin in timing.edge_loads:
                    self.uses[bits[0]].append((name, pin))
                    self._load(bits[0], timing.edge_loads[pin])
        for port in self.module["ports"].values():
            if port["direction"] == "output":
                for bit in port["bits"]:
                    self._load(bit, (self.output_load, self.output_load))

    def _load(self, net: Net, more: tuple[float, float]) -> None:
        """Add a load at the rising and the falling edge to a net."""
        for edge in (0, 1):
            self.loads[net][edge] += more[edge]

    def begin(self) -> None:
        """Set the arrivals of inputs, constants and flip-flops."""
        ((_, arcs),) = self.timing.gate(self.driver).arcs.items()
        for port in self.module["ports"].values():
            if port["direction"] == "input":
                for bit in port["bits"]:
                    load, delay, slew = self.loads[bit], arcs[0].delay, arcs[0].slew
                    self.times[bit] = [
                        [delay[e].at(0, load[e]) - delay[e].at(0, 0), slew[e].at(0, load[e])]
                        for e in (0, 1)
                    ]
        for name, cell in self.cells.items():
            for pin, launches in self.timing.gate(cell["type"]).launches.items():
                if cell["connections"].get(pin):
                    for arc in launches:
                        self._pass(name, pin, arc, [[0.0, 0.0], [0.0, 0.0]])

    def _pass(self, cell: str, pin: str, arc: Arc, source: list[list[float]]) -> None:
        """Let an arc raise arrival and slew of the net at output `pin`."""
        net = self.net(cell, pin)
        mine = self.times.setdefault(net, [list(edge) for edge in _NEVER])
        for edge in (0, 1):
            load = self.loads[net][edge]
            for before in arc.causes(edge):
                at, slew = source[before]
                if at < 0:
                    continue
                time = at + arc.delay[edge].at(slew, load)
                if time > mine[edge][0]:
                    mine[edge][0] = time
                    self.cause[net, edge] = cell, arc.pin, self.net(cell, arc.pin), before
                mine[edge][1] = max(mine[edge][1], arc.slew[edge].at(slew, load))

    def propagate(self) -> None:
        """Time every cell after all that drive it."""
        waits, ready = {}, []
        for name, cell in self.cells.items():
            arcs = self.timing.gate(cell["type"]).arcs
            pins = {arc.pin for one in arcs.values() for arc in one}
            waits[name] = sum(1 for pin in pins if self._waits_for_logic(self.net(name, pin)))
            if arcs and not waits[name]:
                ready.append(name)
        while ready:
            name = ready.pop()
            self.order.append(name)
            cell = self.cells[name]
            for pin, several in self.timing.gate(cell["type"]).arcs.items():
                if not cell["connections"].get(pin):
                    continue
                for arc in several:
                    source = self.times.get(self.net(name, arc.pin))
                    if source is not None:
                        self._pass(name, pin, arc, source)
                ready += self._release(self.net(name, pin), waits)
        if len(self.order) != sum(
            1 for c in self.cells.values() if self.timing.gate(c["type"]).arcs
        ):
            raise MubinnError("The design has a combinational loop: put a register into it.")

    def delays(self, name: str) -> dict[Path, float]:
        """Return the delay of each path through a cell, after all are timed."""
        found: dict[Path, float] = {}
        for pin, several in self.timing.gate(self.cells[name]["type"]).arcs.items():
            if not self.cells[name]["connections"].get(pin):
                continue
            target = self.net(name, pin)
            for arc in several:
                source = self.net(name, arc.pin)
                for edge, before in ((e, b) for e in (0, 1) for b in arc.causes(e)):
                    at, slew = self.times.get(source, _NEVER)[before]
                    if at >= 0:
                        delay = arc.delay[edge].at(slew, self.loads[target][edge])
                        path = (source, before), (target, edge)
                        found[path] = max(found.get(path, 0.0), delay)
        return found

    def _waits_for_logic(self, net: Net) -> bool:
        driver = self.drives.get(net)
        if driver is None:
            return False
        return driver[1] in self.timing.gate(self.cells[driver[0]]["type"]).arcs

    def _release(self, net: Net, waits: dict[str, int]) -> list[str]:
        """Return the users of a net that wait for nothing else."""
        free = []
        for user, pin in self.uses[net]:
            arcs = self.timing.gate(self.cells[user]["type"]).arcs.values()
            if any(arc.pin == pin for several in arcs for arc in several):
                waits[user] -= 1
                if not waits[user]:
                    free.append(user)
        return free

    def worst_output(self) -> tuple[float, Net, int]:
        """Return the longest arrival at an output, its net and edge."""
        ports = [p for p in self.module["ports"].values() if p["direction"] == "output"]
        nets = {bit for port in ports for bit in port["bits"] if bit in self.times}
        ends = [(self.times[net][edge][0], net, edge) for net in nets for edge in (0, 1)]
        return max(ends, key=lambda end: end[0], default=(0.0, "", 0))

    def worst_setup(self) -> tuple[float, Net, int]:
        """Return the longest arrival at a flip-flop with its setup, its net and edge."""
        ends: list[tuple[float, Net, int]] = []
        for name, cell in self.cells.items():
            for pin, tables in self.timing.gate(cell["type"]).setups.items():
                net = self.net(name, pin)
                for edge, (at, slew) in enumerate(self.times.get(net, [])):
                    if at >= 0:
                        ends.append((at + tables[edge].at(0, slew), net, edge))
        return max(ends, key=lambda end: end[0], default=(0.0, "", 0))

    def trace(self, net: Net, edge: int) -> tuple[Step, ...]:
        """Return the path to a net's edge."""
        steps = []
        while (net, edge) in self.cause:
            cell, pin, before, cause = self.cause[net, edge]
            output = self.drives[net][1]
            kind = self.cells[cell]["type"]
            at = self.times[net][edge][0]
            steps.append(Step(cell, kind, pin, output, at, EDGES[edge]))
            if output in self.timing.gate(kind).launches:
                break
            net, edge = before, cause
        return tuple(reversed(steps))


def analyse(
    module: Mapping[str, Any], library: Library, timing: LibraryTiming | None = None
) -> TimingReport:
    """Return the longest paths of a flat mapped netlist, as Yosys writes it in JSON.

    Parameters
    ----------
    module : mapping
        See `mubinn.synth.netlist.netlist.load_module`.
    library : Library
    timing : LibraryTiming, optional
        Its arcs, where several netlists share them.

    Raises
    ------
    MubinnError
        On a cell that the library does not have, an arc without tables, or a loop of logic.
    """
    timer = _Timer(module, library, timing or LibraryTiming(library))
    timer.begin()
    timer.propagate()
    delay, delay_net, delay_edge = timer.worst_output()
    period, net, edge = timer.worst_setup()
    if delay > period:
        net, edge = delay_net, delay_edge
    arrival = {n: max(0.0, *(at for at, _ in pair)) for n, pair in timer.times.items()}
    return TimingReport(delay, period, timer.trace(net, edge), arrival)


def arc_delays(
    module: Mapping[str, Any], library: Library, timing: LibraryTiming | None = None
) -> dict[str, dict[Path, float]]:
    """Return, for every cell of logic, the ps of each path through it.

    With the slews and loads of the whole netlist; parameters and errors as of
    `analyse`. Cells stand in an order in which each comes after those that drive it.
    """
    timer = _Timer(module, library, timing or LibraryTiming(library))
    timer.begin()
    timer.propagate()
    return {name: timer.delays(name) for name in timer.order}
