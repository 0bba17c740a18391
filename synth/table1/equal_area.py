"""Pipelined datapaths at equal area: what one cell operation costs in area times time.

Each datapath is pipelined at the clock period where its area times period is least, registers
included; of two datapaths the smaller, taken as often as the larger's area has room for it, then
does ``cost / cost`` times as many cells a second. Memories and control belong to neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mubinn.synth.netlist.pipeline import Pipelined

STAGES = (*range(1, 9), 10, 12, 14)
"""Counts of stages that are tried for each unit."""


@dataclass(frozen=True)
class Datapath:
    """Units that share a clock.

    Attributes
    ----------
    period_ps, area_um2 : float
    beside_um2 : float
        Part of the area that is not pipelined.
    stages : dict of str to int
        By unit.
    cycles : int
        Clock cycles that a cell operation occupies the units.
    """

    period_ps: float
    area_um2: float
    beside_um2: float
    stages: dict[str, int]
    cycles: int

    @property
    def cost(self) -> float:
        """Area times time of a cell operation, um^2 ps."""
        return self.area_um2 * self.period_ps * self.cycles


def best_datapath(
    units: Mapping[str, Sequence[Pipelined]],
    cycles: int,
    *,
    beside_um2: float = 0.0,
    least_period_ps: float = 0.0,
) -> Datapath:
    """Return the datapath of least cost.

    Parameters
    ----------
    units : mapping of str to sequence of Pipelined
        The ways to pipeline each unit; in each clock each of them begins one operation.
    cycles : int
        Cycles a cell operation takes.
    beside_um2 : float
        Area of what is not pipelined, since it has several cycles for each result.
    least_period_ps : float
        What those several cycles demand of the period.
    """
    periods = {way.period_ps for ways in units.values() for way in ways}
    found: list[Datapath] = []
    for period in sorted(max(period, least_period_ps) for period in periods):
        fits = {
            name: min(
                (way for way in ways if way.period_ps <= period),
                key=lambda way: way.area_um2,
                default=None,
            )
            for name, ways in units.items()
        }
        chosen = {name: way for name, way in fits.items() if way is not None}
        if len(chosen) == len(units):
            area = beside_um2 + sum(way.area_um2 for way in chosen.values())
            stages = {name: way.stages for name, way in chosen.items()}
            found.append(Datapath(period, area, beside_um2, stages, cycles))
    return min(found, key=lambda datapath: datapath.cost)
