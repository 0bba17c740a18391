"""The timing arcs of library gates: delay and slew tables, clock to Q, setup."""

from dataclasses import dataclass
from functools import lru_cache

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.library import Library
from mubinn.synth.liberty.nldm import Table, cap_unit_ff, library_of, read_table, time_unit_ps
from mubinn.synth.liberty.tree import Group

RISE, FALL = 0, 1
EDGES = ("rise", "fall")
CLOCKED = ("rising_edge", "falling_edge")
LOGIC = ("", "combinational")
SETUP = ("setup_rising", "setup_falling")
GATES_KEPT = 1024
"""Cells of all libraries whose tables are kept."""


@dataclass(frozen=True)
class Arc:
    """A path through a gate from one pin to another.

    Attributes
    ----------
    pin : str
        Where it begins.
    sense : str
        ``positive_unate``, ``negative_unate`` or ``non_unate``.
    delay, slew : pair of Table
        For the rising and the falling edge of the output.
    """

    pin: str
    sense: str
    delay: tuple[Table, Table]
    slew: tuple[Table, Table]

    def causes(self, edge: int) -> tuple[int, ...]:
        """Return the input edges that may cause an output edge."""
        if self.sense == "positive_unate":
            return (edge,)
        return (1 - edge,) if self.sense == "negative_unate" else (RISE, FALL)


@dataclass(frozen=True)
class GateTiming:
    """What static timing needs of a gate; ps and fF.

    Attributes
    ----------
    loads : dict of str to float
        Capacitance of the input pins.
    edge_loads : dict of str to (float, float)
        Largest capacitance of the input pins as they rise and as they fall.
    outputs : set of str
        Output pins.
    arcs : dict of str to tuple of Arc
        Logic arcs by output pin.
    launches : dict of str to tuple of Arc
        Arcs from the clock by output pin.
    setups : dict of str to pair of Table
        By data pin: setup of a rising and of a falling edge, over clock slew and data slew.
    """

    loads: dict[str, float]
    edge_loads: dict[str, tuple[float, float]]
    outputs: set[str]
    arcs: dict[str, tuple[Arc, ...]]
    launches: dict[str, tuple[Arc, ...]]
    setups: dict[str, tuple[Table, Table]]


class LibraryTiming:
    """Arcs of a library's gates, each read when it is asked for.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        self._library = library

    def gate(self, name: str) -> GateTiming:
        """Return what is known of a gate.

        Raises
        ------
        MubinnError
            If the library has no such gate, or a table of it cannot be read.
        """
        return _read(self._library.gate(name).group)


@lru_cache(GATES_KEPT)
def _read(gate: Group) -> GateTiming:
    farads = cap_unit_ff(library_of(gate))
    found = GateTiming({}, {}, set(), {}, {}, {})
    for pin in gate.of("pin"):
        name = pin.arguments[0]
        if pin.get("direction") == "input":
            found.loads[name] = pin.number("capacitance") * farads
            rise, fall = (_edge_load(pin, edge) * farads for edge in (RISE, FALL))
            found.edge_loads[name] = rise, fall
        elif pin.get("direction") == "output":
            found.outputs.add(name)
        for kinds, into in ((LOGIC, found.arcs), (CLOCKED, found.launches)):
            arcs = tuple(_arc(t) for t in pin.of("timing") if t.get("timing_type") in kinds)
            if arcs:
                into[name] = arcs
        for timing in pin.of("timing"):
            if timing.get("timing_type") in SETUP:
                late = (_table(timing, f"{edge}_constraint") for edge in EDGES)
                found.setups[name] = next(late), next(late)
    return found


def _arc(timing: Group) -> Arc:
    delay = tuple(_table(timing, f"cell_{edge}") for edge in EDGES)
    slew = tuple(_table(timing, f"{edge}_transition") for edge in EDGES)
    return Arc(
        timing.get("related_pin"),
        timing.get("timing_sense", "non_unate"),
        (delay[0], delay[1]),
        (slew[0], slew[1]),
    )


def _table(timing: Group, kind: str) -> Table:
    """Return a table in ps over ps and fF, of a constraint over ps and ps."""
    group = next(timing.of(kind), None)
    if group is None:
        raise MubinnError(f"A timing arc has no {kind} table: complete the library.")
    library = library_of(group)
    ps, farads = time_unit_ps(library), cap_unit_ff(library)
    return read_table(group).scaled(ps, ps if "constraint" in kind else farads, ps)


def _edge_load(pin: Group, edge: int) -> float:
    """Return an input's capacitance at an edge: the top of its range, as late paths meet it."""
    key = f"{EDGES[edge]}_capacitance"
    ends = pin.numbers(f"{key}_range")
    return max(ends) if ends else pin.number(key if pin.get(key) else "capacitance")
