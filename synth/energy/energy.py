"""Energy of a mapped netlist, from how often its nets change.

=========  ========================================================================================
switching  ``1/2 C V**2`` for each change of a cell's output, C the pins that it drives (four
           inverters at an output port, as static timing has it)
internal   the library's internal energy for each change of a cell's output, by the input that
           caused it (inputs share in proportion to their own changes), and of an input pin itself
inputs     ``1/2 C V**2`` for each change at an input port, which a driver outside pays
clock      two edges at each register's clock pin: its capacitance, and its internal energy. Behind
           a clock gate those that it passes; of the gate those of its clock pin, and the internal
           energy of its output
leakage    the library's leakage over the clock period
=========  ========================================================================================

Wires and the clock's own tree count nothing, as wires count nothing in static timing either.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mubinn.synth.liberty.clock_gates import clock_gate_of
from mubinn.synth.liberty.gate_energy import GateEnergy, LibraryEnergy
from mubinn.synth.liberty.gate_timing import GateTiming, LibraryTiming
from mubinn.synth.liberty.library import Library
from mubinn.synth.netlist.sta import Net

CLOCK_EDGES = 2
OUTPUT_FANOUT = 4
"""Smallest inverters at every output port."""


@dataclass(frozen=True)
class Energy:
    """Energy by its causes, fJ; may be added and multiplied by a number."""

    switching: float = 0.0
    internal: float = 0.0
    inputs: float = 0.0
    clock: float = 0.0
    leakage: float = 0.0

    @property
    def total(self) -> float:
        """All causes."""
        return sum(self.parts.values())

    @property
    def parts(self) -> dict[str, float]:
        """By name."""
        return {field.name: float(getattr(self, field.name)) for field in fields(self)}

    def __add__(self, other: "Energy") -> "Energy":
        """Return the sum, cause by cause."""
        mine, others = self.parts, other.parts
        return Energy(**{name: mine[name] + others[name] for name in mine})

    def __mul__(self, factor: float) -> "Energy":
        """Return all causes times `factor`."""
        return Energy(**{name: value * factor for name, value in self.parts.items()})


@dataclass(frozen=True)
class EnergyLibrary:
    """A library with what timing and energy know of its cells, read once for many netlists."""

    library: Library
    timing: LibraryTiming
    energy: LibraryEnergy

    @classmethod
    def of(cls, library: Library) -> "EnergyLibrary":
        """Return it for `library`."""
        return cls(library, LibraryTiming(library), LibraryEnergy(library))

    @property
    def half_v2(self) -> float:
        """``V**2 / 2``: fJ per fF and edge."""
        return 0.5 * self.energy.voltage**2


def netlist_energy(
    module: Mapping[str, Any],
    cells: EnergyLibrary,
    activity: Mapping[Net, float],
    period_ps: float,
    passed: Mapping[Net, float] | None = None,
) -> Energy:
    """Return the energy of a clock period, fJ.

    Parameters
    ----------
    module : mapping
        A flat mapped netlist, as Yosys writes it in JSON.
    cells : EnergyLibrary
    activity : mapping of net to float
        Changes per clock; the clock's own net is not asked for.
    period_ps : float
    passed : mapping of net to float, optional
        By the net behind each clock gate, the share of clocks that it passes.

    Raises
    ------
    MubinnError
        On a cell that the library lacks, or if it says nothing of voltage or internal energy.
    """
    loads = _loads(module, cells)
    edges = {net: CLOCK_EDGES * share for net, share in (passed or {}).items()}
    total = Energy(inputs=_inputs(module, loads, activity) * cells.half_v2)
    for cell in module["cells"].values():
        timing, energy = cells.timing.gate(cell["type"]), cells.energy.gate(cell["type"])
        nets = {pin: bits[0] for pin, bits in cell["connections"].items() if bits}
        gate = clock_gate_of(cells.library.gate(cell["type"]))
        clocks = {arc.pin for arcs in timing.launches.values() for arc in arcs}
        if gate is not None:
            clocks = {gate.clock, gate.out}
        rates = {
            pin: edges.get(net, CLOCK_EDGES) if pin in clocks else activity.get(net, 0.0)
            for pin, net in nets.items()
        }
        outputs = {pin: loads[net] for pin, net in nets.items() if pin in timing.outputs}
        out = 0.0 if gate is None else _internal(energy, gate.out, rates, outputs, cells)
        # What it drives are clock pins, each of which counts its own capacitance.
        outputs = {pin: load for pin, load in outputs.items() if pin not in clocks}
        switched = sum(rates[pin] * load for pin, load in outputs.items())
        own = sum(
            _internal(energy, pin, rates, outputs, cells) for pin in nets if pin not in clocks
        )
        total += Energy(
            switching=switched * cells.half_v2,
            internal=own,
            clock=out
            + sum(
                rates[pin] * _clock(timing, energy, pin, cells) for pin in clocks - timing.outputs
            ),
            leakage=energy.leakage_nw * period_ps * 1e-6,
        )
    return total


def _loads(module: Mapping[str, Any], cells: EnergyLibrary) -> dict[Net, float]:
    """Return what each net drives, fF."""
    loads: dict[Net, float] = defaultdict(float)
    for cell in module["cells"].values():
        for pin, load in cells.timing.gate(cell["type"]).loads.items():
            for net in cell["connections"].get(pin, ())[:1]:
                loads[net] += load
    output = OUTPUT_FANOUT * cells.library.inverters[0][1]
    for port in module["ports"].values():
        if port["direction"] == "output":
            for bit in port["bits"]:
                loads[bit] += output
    return loads


def _inputs(
    module: Mapping[str, Any], loads: Mapping[Net, float], activity: Mapping[Net, float]
) -> float:
    """Return what the input ports but the clock charge per period, fF."""
    ports = (port for port in module["ports"].values() if port["direction"] == "input")
    nets = (bit for port in ports for bit in port["bits"])
    return sum(activity.get(net, 0.0) * loads.get(net, 0.0) for net in nets)


def _internal(
    energy: GateEnergy,
    pin: str,
    rates: Mapping[str, float],
    outputs: Mapping[str, float],
    cells: EnergyLibrary,
) -> float:
    """Return the internal energy of a pin's changes."""
    if pin not in energy.pins or not rates[pin]:
        return 0.0
    found, slew, load = energy.pins[pin], cells.energy.slew_ps, outputs.get(pin, 0.0)
    shares = {related: rates.get(related, 0.0) for related in found.tables}
    whole = sum(shares.values())
    if not whole:
        shares, whole = dict.fromkeys(shares, 1.0), float(len(shares))
    mean = sum(found.of(cause, slew, load) * share for cause, share in shares.items()) / whole
    return rates[pin] * mean


def _clock(timing: GateTiming, energy: GateEnergy, pin: str, cells: EnergyLibrary) -> float:
    """Return the energy of an edge at a clock pin."""
    own = energy.pins[pin].of("", cells.energy.slew_ps, 0.0) if pin in energy.pins else 0.0
    return timing.loads[pin] * cells.half_v2 + own
