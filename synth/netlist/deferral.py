"""Cells of a pipeline moved to later stages where that takes fewer registers.

Filling stages one after the other (`mubinn.synth.netlist.stages`) puts every cell as early as it
can be. That is best where cells have fewer outputs than inputs, as in a network of full adders.
Where the inputs of a cell are needed later anyway, as in the shifters and decoders of binary32, its
output takes registers that it would not take if the cell waited. In reverse order each cell goes
into the latest stage in which its users leave it time, if the registers of its inputs grow by no
more than those of its outputs fall.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Set

from mubinn.synth.netlist.sta import Event, Net, Path
from mubinn.synth.netlist.stages import Staging

PASSES = 3
Delays = Mapping[str, Mapping[Path, float]]


class _Deferral:
    """A staging that changes: the stage of each cell, and when its inputs have to be there."""

    def __init__(
        self,
        start: Staging,
        delays: Delays,
        users: Mapping[Net, Iterable[str]],
        outputs: Set[Net],
        budget: float,
    ) -> None:
        self.delays, self.outputs, self.budget, self.stages = delays, outputs, budget, start.stages
        self.cells, self.nets = dict(start.cells), dict(start.nets)
        self.users = {net: tuple(cells) for net, cells in users.items()}
        self.inputs: dict[str, set[Net]] = defaultdict(set)
        for net, cells in self.users.items():
            if net in self.nets:  # constants take no registers
                for cell in cells:
                    self.inputs[cell].add(net)
        self.driven = {cell: {net for _, (net, _) in paths} for cell, paths in delays.items()}
        self.latest: dict[tuple[str, Event], float] = {}

    def run(self) -> bool:
        """Go through all cells once; return whether any has moved."""
        moved = False
        self.latest.clear()
        for cell in reversed(list(self.delays)):
            chosen = self._choose(cell)
            moved |= chosen != self.cells[cell]
            self.cells[cell] = chosen
            self.nets |= dict.fromkeys(self.driven[cell], chosen)
            until = self._until(cell, chosen)
            for (source, target), delay in self.delays[cell].items():
                least = self.latest.get((cell, source), self.budget)
                self.latest[cell, source] = min(least, until(target) - delay)
        return moved

    def _choose(self, cell: str) -> int:
        """Return the stage of fewest registers, of equal ones the last."""
        now = best = self.cells[cell]
        ends = [self.cells[user] for net in self.driven[cell] for user in self.users.get(net, ())]
        ends += [self.stages - 1] * bool(self.driven[cell] & self.outputs)
        most = 0
        others = [self._last(net, cell) for net in self.inputs[cell]]
        for stage in range(now + 1, min(ends, default=now) + 1):
            grown = sum(max(stage, other) - max(now, other) for other in others)
            saved = len(self.driven[cell]) * (stage - now) - grown
            until = self._until(cell, stage)
            in_time = all(d <= until(target) for (_, target), d in self.delays[cell].items())
            if saved >= most and in_time:
                best, most = stage, saved
        return best

    def _last(self, net: Net, but: str) -> int:
        """Return the stage up to which a net is held for all users but one."""
        held = (self.cells[user] for user in self.users[net] if user != but)
        return max(held, default=self.nets[net]) if net not in self.outputs else self.stages

    def _until(self, cell: str, stage: int) -> Callable[[Event], float]:
        """Return what tells when outputs of `cell` have to be there, were it in `stage`."""

        def until(target: Event) -> float:
            near = (user for user in self.users.get(target[0], ()) if self.cells[user] == stage)
            times = (self.latest.get((user, target), self.budget) for user in near)
            return min(times, default=self.budget)

        return until


def defer_cells(
    start: Staging,
    delays: Delays,
    users: Mapping[Net, Iterable[str]],
    outputs: Set[Net],
    budget: float,
) -> Staging:
    """Return a staging of no more registers whose stages take `budget` ps at most.

    Parameters
    ----------
    start : Staging
        As `mubinn.synth.netlist.stages.fill_stages` returns it for `budget`.
    delays : mapping
        By cell, in an order in which each comes after those that drive it: ps of each path.
    users : mapping of net to iterable of str
        The cells that each net is an input of.
    outputs : set of net
        Nets that the registers of the last stage hold.
    budget : float
        Logic of a stage, registers not included, ps.
    """
    deferral = _Deferral(start, delays, users, outputs, budget)
    for _ in range(PASSES):
        if not deferral.run():
            break
    return Staging(deferral.nets, deferral.cells, start.stages)
