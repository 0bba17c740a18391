"""Which stage of a pipeline each cell belongs to, filled one after the other.

A cell goes into the first stage that still has time for it. Where cells are slow against a stage,
as full adders are, that loses less than cuts at points in time, which part a stage's last cells by
when they would be there, not by whether the stage has room for them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mubinn.synth.netlist.sta import Event, Net, Path


@dataclass(frozen=True)
class Staging:
    """A stage, from 0, for every net and every cell.

    Attributes
    ----------
    nets : dict of net to int
        The stage of what drives it.
    cells : dict of str to int
    stages : int
        How many there are, the one that ends at the outputs' registers included.
    """

    nets: Mapping[Net, int]
    cells: Mapping[str, int]
    stages: int


def fill_stages(
    cells: Iterable[str],
    delays: Mapping[str, Mapping[Path, float]],
    inputs: Iterable[Net],
    budget: float,
) -> Staging:
    """Return the staging whose stages take `budget` ps at most, or a single cell.

    Parameters
    ----------
    cells : iterable of str
        In an order in which each comes after those that drive it.
    delays : mapping
        By cell: ps of each path through it (`mubinn.synth.netlist.sta.arc_delays`).
    inputs : iterable of net
        Nets that no cell drives.
    budget : float
        Logic of a stage, registers not included, ps.
    """
    stage: dict[Net, int] = dict.fromkeys(inputs, 0)
    at: dict[Event, float] = {}
    placed: dict[str, int] = {}
    for name in cells:
        paths = delays[name]
        own = max((stage[net] for (net, _), _ in paths), default=0)
        times = _arrivals(paths, {e: at.get(e, 0.0) for e, _ in paths if stage[e[0]] == own})
        if max(times.values(), default=0.0) > budget:
            own += 1
            times = _arrivals(paths, {})
        placed[name] = own
        stage |= dict.fromkeys((net for net, _ in times), own)
        at |= times
    return Staging(stage, placed, max(placed.values(), default=0) + 1)


def _arrivals(paths: Mapping[Path, float], at: Mapping[Event, float]) -> dict[Event, float]:
    """Return when a cell's outputs are there; inputs that are not in `at` begin the stage."""
    times: dict[Event, float] = {}
    for (source, target), delay in paths.items():
        times[target] = max(times.get(target, 0.0), at.get(source, 0.0) + delay)
    return times
