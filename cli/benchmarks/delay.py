"""``mubinn bench delay``: other cells over the merged binarized cell, serial and at equal area.

All figures come from one run with one library; I, H of the bundled float model. What is counted
stands in docs/concepts/table1.md and, of energies, in docs/concepts/energy.md.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mubinn.cli.benchmarks import energy as bench_energy
from mubinn.cli.benchmarks.figures import figure, subject, subject_about
from mubinn.cli.shared.recordings import calibrated
from mubinn.golden.baseline.float_activation import FloatActivationParams
from mubinn.golden.model.float_model import FloatModel
from mubinn.hw.baseline.float_activation import FloatSegment
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.synth.flow.flow import SynthJob, map_netlists, synthesize, tool_versions
from mubinn.synth.liberty.gate_energy import LibraryEnergy
from mubinn.synth.liberty.gate_timing import LibraryTiming
from mubinn.synth.liberty.library import Library
from mubinn.synth.netlist.pipeline import Pipelined, pipelines, smallest_register
from mubinn.synth.netlist.sta import analyse
from mubinn.synth.table1.cell_units import CellUnit, Start, cell_units
from mubinn.synth.table1.delay_model import Workload, delay_model
from mubinn.synth.table1.equal_area import STAGES, Datapath, best_datapath
from mubinn.synth.table1.fixed_cell import fixed_delay_model, fixed_units, shared_units
from mubinn.synth.table1.merged_cell import (
    GATES,
    bits_units,
    merged_delay_model,
    merged_layer,
    merged_units,
)

WORKERS = 2
CONFIGS = ((3, 3), (1, 1))
INTEGERS = (8, 16)
STATE_PRODUCTS = 3
"""Products of Eq. (5) and (6), on the multiplier of the matrices."""

ACTIVATIONS = 5
"""Of the gates and of c: a product and a sum each, on the same units."""

HALVINGS = 6
"""Products that make the three sigmoids of binary32 of tanh: one before and one after it."""

PIPELINED = 2
"""Netlists of a unit that are pipelined; each takes longer than to map."""

STEP_UNITS = ("step_table", "step_sum")
"""What sums the activations of a step, a code at a time."""

GOALS = {
    "serial_fp_over_3_3": ">= 100 (the paper: 47)",
    "serial_fp_over_1_1": "the paper: 102",
    "equal_area_fp_over_3_3": ">= 470",
    "equal_area_fp_over_1_1": "",
    **{f"{way}_int{bits}_over_3_3": "" for way in ("serial", "equal_area") for bits in INTEGERS},
}


class _Units:
    """Units, each measured once: the fastest for a serial cell, the smallest for a pipelined one.

    Parameters
    ----------
    library : Library
    fast, small : dict of str to CellUnit
        By role, in a cell of either kind.
    """

    def __init__(
        self, library: Library, fast: dict[str, CellUnit], small: dict[str, CellUnit]
    ) -> None:
        self.library = library
        self.small = small
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = {name: _job(unit) for name, unit in fast.items()}
            made = pool.map(
                lambda job: synthesize(job, library=library, generic=False), jobs.values()
            )
            jobs = {name: _job(unit) for name, unit in small.items()}
            netlists = pool.map(lambda job: map_netlists(job, library, small=True), jobs.values())
            self.delays = {name: r.delay_ps for name, r in zip(fast, made, strict=True)}
            self.netlists = dict(zip(small, netlists, strict=True))

    def ways(self, name: str) -> list[Pipelined]:
        """Return the ways to pipeline a unit, from its netlists of least area times delay."""
        best = sorted(self._sizes(name), key=lambda size: size[0] * size[1])[:PIPELINED]
        return [
            way
            for _, _, strategy in best
            for way in pipelines(self.netlists[name][strategy], self.library, STAGES)
        ]

    def smallest(self, name: str) -> tuple[float, float]:
        """Return area in um^2 and delay in ps of a unit's smallest netlist, not pipelined."""
        area, delay, _ = min(self._sizes(name))
        return area, delay

    def _sizes(self, name: str) -> list[tuple[float, float, str]]:
        """Return area, delay and strategy of a unit's netlists."""
        return [
            (
                self.library.area_um2(cell["type"] for cell in one["cells"].values()),
                analyse(one, self.library).delay_ps,
                strategy,
            )
            for strategy, one in self.netlists[name].items()
        ]


def _job(unit: CellUnit) -> SynthJob:
    return SynthJob(verilog_text(unit.make(), unit.kind), unit.kind)


def _binary32(library: Library, load: Workload) -> tuple[float, Datapath]:
    """Return the serial delay of a cell and its pipelined datapath."""
    fast = cell_units((None, None), None)
    table = CellUnit.of(FloatSegment, FloatActivationParams("tanh"))
    units = _Units(library, fast, {**fast, "table": table})
    ways = {name: units.ways(name) for name in ("float_mult", "float_add")}
    products = GATES * (load.features + load.hidden) + STATE_PRODUCTS + ACTIVATIONS
    cycles, (beside, _) = products + HALVINGS, units.smallest("table")
    serial = delay_model((None, None), load).cell_delay(units.delays)
    return serial, best_datapath(ways, cycles, beside_um2=beside)


def _integers(library: Library, load: Workload, bits: int) -> tuple[float, Datapath]:
    """Return the serial delay of a cell and its pipelined datapath."""
    units = _Units(library, fixed_units(bits, load), shared_units(bits, load))
    cycles = GATES * (load.features + load.hidden) + STATE_PRODUCTS + ACTIVATIONS
    beside = sum(units.smallest(name)[0] for name in units.small if name != "mac")
    serial = fixed_delay_model(load).cell_delay(units.delays)
    ways = {"mac": units.ways("mac")}
    return serial, best_datapath(ways, cycles, beside_um2=beside)


def _merged(
    library: Library, start: Start, load: Workload, a: int, w: int
) -> tuple[float, Datapath]:
    """Return the serial delay of a cell and its pipelined datapath."""
    layer = merged_layer(start, a, w)
    units = _Units(library, merged_units(layer), bits_units(layer))
    ways = {name: units.ways(name) for name in ("merged", "search_gate")}
    rest = {name: units.smallest(name) for name in units.small if name not in ways}
    register = library.area_um2([smallest_register(library, LibraryTiming(library)).cell])
    # The codes of f, i and g wait for o, those of c and h for the memories; the sum over the
    # activations of a step stands while that over the next grows.
    waiting = 5 * w + 2 * dict(units.small["step_sum"].parameters)["width"]
    beside = sum(area for area, _ in rest.values()) + waiting * register
    step = sum(rest[name][1] for name in STEP_UNITS)
    state = sum(delay for name, (_, delay) in rest.items() if name not in STEP_UNITS)
    least = max(state / GATES, step / (GATES * load.hidden // (load.features + load.hidden)))
    datapath = best_datapath(ways, GATES, beside_um2=beside, least_period_ps=least)
    return merged_delay_model().cell_delay(units.delays), datapath


def bench_delay(library: Library | None = None, model: FloatModel | None = None) -> dict[str, Any]:
    """Measure the figures.

    Parameters
    ----------
    library : Library, optional
        By default the built-in one.
    model : FloatModel, optional
        By default the bundled one.
    """
    library, model = subject(library, model)
    load = Workload(model.features, model.layers[0].hidden)
    others = {"fp": _binary32(library, load)}
    others |= {f"int{bits}": _integers(library, load, bits) for bits in INTEGERS}
    start = calibrated(model)
    ours = {f"{a}_{w}": _merged(library, start, load, a, w) for a, w in CONFIGS}
    values: dict[str, float] = {}
    for name, (serial, datapath) in ours.items():
        for other, (longer, larger) in others.items():
            values[f"serial_{other}_over_{name}"] = longer / serial
            values[f"equal_area_{other}_over_{name}"] = larger.cost / datapath.cost
    measured: dict[str, Any] = {}
    for name, found in (others | ours).items():
        measured |= _about(name, *found, library)
    energies, energy_about = _energies(library, model)
    return {
        "figures": [
            *(figure(name, values[name], "ratio", goal) for name, goal in GOALS.items()),
            *energies,
        ],
        "versions": tool_versions(),
        "parameters": {
            **subject_about(library, model),
            **measured,
            **energy_about,
        },
    }


def _energies(library: Library, model: FloatModel) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the figures of energy, and what they were measured with."""
    lacks = LibraryEnergy(library).lacks
    if lacks:
        return [], {"energy": lacks}
    found = bench_energy.Energies.measure(library, model, CONFIGS)
    about = {f"energy_{name}": value for name, value in found.about().items()}
    return found.figures(), about


def _about(name: str, serial: float, datapath: Datapath, library: Library) -> dict[str, Any]:
    """Return what a configuration was measured with."""
    return {
        f"serial_ns_{name}": serial / 1000,
        f"serial_fo4_{name}": serial / library.fo4_ps,
        f"period_ps_{name}": datapath.period_ps,
        f"period_fo4_{name}": datapath.period_ps / library.fo4_ps,
        f"area_um2_{name}": datapath.area_um2,
        f"beside_um2_{name}": datapath.beside_um2,
        f"cycles_{name}": datapath.cycles,
        f"stages_{name}": ", ".join(f"{unit} {n}" for unit, n in datapath.stages.items()),
    }
